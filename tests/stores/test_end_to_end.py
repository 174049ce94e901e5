"""Real LiteLLM calls under `opentelemetry-instrument`, into all stores at once."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from litespan.stores.reading import records
from litespan.testing import LoopbackProvider
from tests.support.mongo_server import collection
from tests.support.postgres import PostgresServer
from tests.support.program import run

pytestmark = pytest.mark.service

STORES = ("csv", "duckdb", "jsonl", "mongodb", "parquet", "postgres", "sqlite")
PROGRAM = """
    import litellm

    ask = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    litellm.completion(**ask, user="ada", metadata={"session_id": "s-1", "tags": ["beta"]})
    for chunk in litellm.completion(**ask, stream=True):
        pass
    litellm.embedding("openai/text-embedding-3-small", ["a"])
    try:
        litellm.completion(**ask, api_base="http://127.0.0.1:9", max_retries=0)
    except litellm.InternalServerError:
        print("refused")
"""


@pytest.fixture
def env(
    loopback: LoopbackProvider,
    postgres: PostgresServer,
    mongodb_uri: str,
    table: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """All that a user sets: the exporters' names, and where each store is."""
    loopback.clear()
    places = {
        "LITESPAN_CSV": str(tmp_path / "calls.csv"),
        "LITESPAN_DUCKDB": str(tmp_path / "calls.duckdb"),
        "LITESPAN_JSONL": str(tmp_path / "calls.jsonl"),
        "LITESPAN_MONGODB": mongodb_uri,
        "LITESPAN_MONGODB_COLLECTION": table.replace(".", "_"),
        "LITESPAN_PARQUET": str(tmp_path / "calls"),
        "LITESPAN_POSTGRES": postgres.dsn(),
        "LITESPAN_POSTGRES_TABLE": table,
        "LITESPAN_SQLITE": str(tmp_path / "calls.db"),
    }
    for name, value in places.items():  # for reading back
        monkeypatch.setenv(name, value)
    with collection(mongodb_uri, places["LITESPAN_MONGODB_COLLECTION"]):
        yield {
            **places,
            "OPENAI_BASE_URL": loopback.url,
            "OPENAI_API_KEY": "sk-loopback",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_TRACES_EXPORTER": ",".join(STORES),
        }


def test_every_call_is_in_every_store(env: dict[str, str]) -> None:
    """A script that ends right after its last call: four rows in each store, the same in all."""
    ran = run(PROGRAM, env=env, instrument=True)
    assert (ran.code, ran.stdout.splitlines()[-1]) == (0, "refused"), ran.stderr
    assert [line for line in ran.stderr.splitlines() if "row(s)" in line or "off;" in line] == []
    found = {store: {record["key"]: record for record in records(store)} for store in STORES}
    wanted = found["sqlite"]
    assert len(wanted) == 4
    for store, calls in found.items():
        for key, record in wanted.items():
            other = calls[key]
            same = {n: v for n, v in record.items() if n not in ("start_time", "end_time")}
            assert {n: other[n] for n in same} == same, store
            assert other["start_time"][:23] == record["start_time"][:23], store
    by_outcome = sorted((r["outcome"], r["operation"], r["stream"]) for r in wanted.values())
    assert by_outcome == [
        ("failure", "chat", False),
        ("success", "chat", False),
        ("success", "chat", True),
        ("success", "embeddings", False),
    ]
    (ada,) = [r for r in wanted.values() if r["tags"] == ["beta"]]
    assert (ada["session_id"], type(ada["cost_usd"])) == ("s-1", Decimal)
    assert {r["input_messages"] for r in wanted.values()} == {None}  # content is off
