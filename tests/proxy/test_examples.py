"""The real proxy and linters accept the files of `examples/proxy`."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.running import MASTER, proxy

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples" / "proxy"


def test_config_serves_and_traces(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path: Path
) -> None:
    """The unchanged `config.yaml`, with the variables of `compose.yaml`, traces a call."""
    given = yaml.safe_load((EXAMPLES / "config.yaml").read_text())
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    variables = compose["services"]["litellm"]["environment"]
    env = {name: value for name, value in variables.items() if "$" not in value}
    env |= {"LITESPAN_PROXY_SERVICES": "true"}  # no service waits are recorded by default
    env |= collector.env | {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": loopback.url}
    with proxy(tmp_path / "gateway", given, loopback, collector, env=env) as running:

        def call(traceparent: str) -> None:
            client = running.client(MASTER, traceparent=traceparent)
            body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
            assert client.post("/v1/chat/completions", json=body).status_code == 200

        spans = running.trace(call, 3)
    assert [span["name"] for span in spans] == [
        "POST /v1/chat/completions",
        "litellm.router chat",
        "chat gpt-4o-mini",
    ]
    waits = [event for event in spans[0]["events"] if event["name"] == "litellm.service"]
    names = {event["attributes"]["litellm.service.name"] for event in waits}
    assert names >= {"auth", "router"}
    assert all(event["attributes"]["litellm.service.duration"] >= 0 for event in waits)


def test_the_kubernetes_example_has_the_same_configuration() -> None:
    """The config map has the same config, and the deployment the same variables."""
    config_map, deployment = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    given = yaml.safe_load((EXAMPLES / "config.yaml").read_text())
    assert yaml.safe_load(config_map["data"]["config.yaml"]) == given
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    wanted: dict[str, Any] = compose["services"]["litellm"]["environment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    named = {entry["name"]: entry["value"] for entry in container["env"]}
    assert named == {name: value for name, value in wanted.items() if "$" not in value}


LINTERS: Any = [
    pytest.param(["hadolint", "Dockerfile"], id="Dockerfile"),
    pytest.param(
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        id="compose",
    ),
    pytest.param(["kubernetes-validate", "--strict", "kubernetes.yaml"], id="Kubernetes"),
]


@pytest.mark.parametrize("command", LINTERS)
def test_each_file_is_accepted_by_its_linter(command: list[str]) -> None:
    """Hadolint, the schema of the Compose specification, and the schemas of Kubernetes."""
    accepted(command, EXAMPLES)


def test_the_deployment_of_the_page_is_accepted_by_its_linter(tmp_path: Path) -> None:
    """The deployment in the Kubernetes recipe."""
    page = (ROOT / "docs/recipes/kubernetes.md").read_text()
    (tmp_path / "app.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    accepted(["kubernetes-validate", "--strict", "app.yaml"], tmp_path)


def accepted(command: list[str], folder: Path) -> None:
    """The linter, of this environment, finds nothing wrong."""
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [tool, *command[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_has_this_litespan() -> None:
    """The Dockerfile installs the current version."""
    assert f"ARG LITESPAN={version('litespan')}\n" in (EXAMPLES / "Dockerfile").read_text()
