"""The services of `examples/compose` without Docker, with the same files and variables."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
import pytest
import yaml

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.collector.running import BASE, Collector, collector, get
from tests.collector.test_dashboards import DASHBOARDS, RULES, tool
from tests.proxy.running import MASTER, free_port, proxy, until
from tests.proxy.test_examples import accepted
from tests.support.postgres import PASSWORD, PostgresServer, running
from tests.support.tools import serving

pytestmark = pytest.mark.slow

FOLDER: Final = Path(__file__).parents[2] / "examples" / "compose"
COMPOSE: Final = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SECRETS: Final = {
    "OPENAI_API_KEY": "sk-x",
    "LITELLM_MASTER_KEY": MASTER,
    "POSTGRES_PASSWORD": PASSWORD,
    "GRAFANA_PASSWORD": "grafana-secret-0123456789",
}


def variables(service: str, moved: Mapping[str, str]) -> dict[str, str]:
    """The variables of a service, with our secrets, and `moved` from its network to loopback."""
    given: dict[str, str] = COMPOSE["services"][service]["environment"]
    filled = {
        name: re.sub(r"\$\{(\w+)[^}]*\}", lambda found: SECRETS[found[1]], value)
        for name, value in given.items()
    }
    return {name: relocated(value, moved) for name, value in filled.items()}


def relocated(text: str, moved: Mapping[str, str]) -> str:
    """`text` with addresses of the compose network replaced."""
    for address, ours in moved.items():
        text = text.replace(address, ours)
    return text


@contextmanager
def prometheus(folder: Path, moved: Mapping[str, str]) -> Iterator[str]:
    """Prometheus with the configuration of the folder; its address."""
    given = (FOLDER / "prometheus.yaml").read_text()
    (folder / "prometheus.yaml").write_text(relocated(given, moved).replace(": 15s", ": 1s"))
    shutil.copy(RULES, folder)
    port = free_port()
    command = [
        *(tool("prometheus"), f"--config.file={folder / 'prometheus.yaml'}"),
        *(f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with serving(port, *command, cwd=folder):
        yield f"http://127.0.0.1:{port}"


def grafana_role(server: PostgresServer) -> str:
    """Run `grafana.sql` as PostgreSQL's image does; the DSN of the role that it creates."""
    subprocess.run(
        [
            *("psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={FOLDER / 'grafana.sql'}"),
            server.dsn(),
        ],
        env={**variables("postgres", {}), "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
    )
    return server.dsn("grafana", SECRETS["GRAFANA_PASSWORD"])


def addresses(otelcol: Collector, server: PostgresServer) -> dict[str, str]:
    """Where the services of the compose network are here."""
    return {
        "http://otelcol:4318": otelcol.url,
        "otelcol:9464": otelcol.prometheus.split("/")[2],
        "otelcol:8888": otelcol.self_metrics.split("/")[2],
        "@postgres:5432": f"@127.0.0.1:{server.port}",
    }


def test_a_request_reaches_prometheus_and_grafanas_database(
    loopback: LoopbackProvider, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Proxy, collector, Prometheus and PostgreSQL work together, with the files as they are."""
    config = yaml.safe_load((FOLDER.parent / "proxy" / "config.yaml").read_text())
    with collector(tmp_path / "otelcol") as otelcol, running() as server:
        moved = addresses(otelcol, server)
        reader = grafana_role(server)
        env = variables("litellm", moved)
        quick = {"OTEL_METRIC_EXPORT_INTERVAL": "1000", "OPENAI_BASE_URL": loopback.url}
        (tmp_path / "prometheus").mkdir()
        with (
            prometheus(tmp_path / "prometheus", moved) as url,
            proxy(tmp_path / "proxy", config, loopback, receiver, env={**env, **quick}) as litellm,
        ):

            def ask(query: str) -> list[Any]:
                answer = json.loads(get(f"{url}/api/v1/query?query={quote(query)}") or "{}")
                return list(answer.get("data", {}).get("result", ()))

            body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
            answered = litellm.client(MASTER).post("/v1/chat/completions", json=body)
            assert answered.status_code == 200

            query = 'genai_calls_total{job="litellm",model="gpt-4o-mini",error="none"} == 1'
            until(lambda: ask(query), "call in Prometheus")
            until(lambda: ask('up{job="otelcol"} == 1'), "collector's own metrics")
            rules = json.loads(get(f"{url}/api/v1/rules") or "{}")["data"]["groups"]
            assert len(rules) == len(yaml.safe_load(RULES.read_text())["groups"])

            until(lambda: stored(reader), "call in PostgreSQL")
            assert stored(reader) == [("gpt-4o-mini", "success")]
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                psycopg.connect(reader) as connection,
            ):
                connection.execute("delete from litespan.llm_calls")


def stored(dsn: str) -> list[Any]:
    """The calls that this role can read; none until it can."""
    with psycopg.connect(dsn) as connection:
        try:
            found = connection.execute("select request_model, outcome from litespan.llm_calls")
            return found.fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def test_linters_accept_the_files() -> None:
    """Hadolint, the schema of the Compose specification, and promtool."""
    accepted(["hadolint", "Dockerfile"], FOLDER)
    accepted(
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"], FOLDER
    )


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    """With the rules beside it, as in the container."""
    for path in (FOLDER / "prometheus.yaml", RULES):
        shutil.copy(path, tmp_path)
    checked = [tool("promtool"), "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_that_a_service_mounts_exists() -> None:
    """The collector's configuration, the rules and the dashboards are those of the repository."""
    sources = [
        (FOLDER / volume.split(":")[0]).resolve()
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]
    assert all(source.exists() for source in sources), sources
    assert {BASE, RULES, DASHBOARDS[0].parent} <= set(sources)


def test_every_address_belongs_to_a_service() -> None:
    """The data sources of Grafana name services of the compose file, and variables that it sets."""
    text = (FOLDER / "grafana" / "datasources.yaml").read_text()
    for source in yaml.safe_load(text)["datasources"]:
        assert source["url"].split("//")[-1].split(":")[0] in COMPOSE["services"]
    assert set(re.findall(r"\$(\w+)", text)) <= set(COMPOSE["services"]["grafana"]["environment"])
