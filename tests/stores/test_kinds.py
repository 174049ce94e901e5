"""Every kind of request: which are calls, and that stores, commands and the page agree on them."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from litespan.cli import main
from litespan.export import GenAISpan
from litespan.export.http import HttpExporter
from litespan.ui.index import Index
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import span, usage
from tests.exporters.test_contract import HTTP, connected
from tests.support.page import Running

AGENT = {"gen_ai.agent.name": "forecaster", "gen_ai.agent.id": "agent-7"}


@dataclass(frozen=True)
class Kind:
    """A span of one kind.

    Attributes:
        cost: in USD; each kind has its own. None if LiteLLM has no price for it.
        is_call: whether stores and reports count it.
    """

    span: ReadableSpan
    cost: float | None
    is_call: bool

    @property
    def operation(self) -> str:
        """Its operation, "" if it has none."""
        return str((self.span.attributes or {}).get("gen_ai.operation.name", ""))


def kind(
    number: int,
    operation: str,
    attributes: dict[str, Any],
    cost: float | None = None,
    *,
    is_call: bool | None = None,
    name: str = "",
) -> Kind:
    """A kind; without `is_call`, it is a call if it has a cost."""
    priced = {
        "gen_ai.usage.cost": cost,
        "litellm.cost.total": cost,
        "litellm.cost.source": "litellm",
    }
    given = {
        **({"gen_ai.operation.name": operation} if operation else {}),
        "gen_ai.provider.name": "openai",
        "litellm.outcome": "success",
        **({} if cost is None else priced),
        **attributes,
    }
    made = span(700 + number, name or operation, given)
    return Kind(made, cost, cost is not None if is_call is None else is_call)


SEARCHED = {"litellm.search.queries": 1, "litellm.result.count": 3}
BATCH = {"litellm.batch.id": "batch_1", "gen_ai.response.model": "gpt-4o-mini"}
AUDIO = {"gen_ai.request.model": "gpt-realtime", "gen_ai.usage.audio.output_tokens": 91}
VIDEO = {"gen_ai.request.model": "sora-2", "gen_ai.output.type": "video", "litellm.video.id": "v"}
STORE = {"gen_ai.data_source.id": "vs_1", "gen_ai.retrieval.top_k": 3}
TOOL = {"gen_ai.tool.name": "forecast", "mcp.method.name": "tools/call"}
KINDS = {
    "video": kind(1, "generate_content", VIDEO, 0.8003),
    "ocr": kind(2, "litellm.ocr", {"litellm.ocr.pages": 4}, 0.0127),
    "search": kind(3, "litellm.search", SEARCHED, 0.0083),
    "batch": kind(4, "litellm.create_batch", BATCH),
    "batch result": kind(5, "litellm.batch_result", {**BATCH, **usage(20, 10)}, 0.00047),
    "realtime response": kind(6, "chat", {**AUDIO, **usage(132, 121)}, 0.01231),
    "session": kind(7, "", {"litellm.session.end": "client"}, name="litellm.session gpt-realtime"),
    "time of a session": kind(8, "litellm.session_time", {}, 0.00171),
    "tool": kind(9, "execute_tool", TOOL, name="tools/call forecast"),
    "priced tool": kind(10, "execute_tool", TOOL, 0.0203, name="tools/call forecast"),
    "retrieval": kind(11, "retrieval", STORE),
    "guardrail": kind(12, "", {"litellm.guardrail.verdict": "passed"}, name="litellm.guardrail x"),
    "container": kind(13, "litellm.create_container", {"litellm.container.id": "c"}, 0.0307),
    "agent": kind(14, "invoke_agent", AGENT, name="invoke_agent forecaster"),
    "priced agent": kind(15, "invoke_agent", AGENT, 0.0503, name="invoke_agent forecaster"),
    "passed on": kind(16, "litellm.pass_through", {}, is_call=True),
    "fetched response": kind(17, "fetch_response", {"gen_ai.response.id": "r"}),
    "background response": kind(18, "fetch_response", {"gen_ai.response.id": "r"}, 0.00045),
}
CALLS = [each for each in KINDS.values() if each.is_call]
TOTAL = sum(Decimal(str(each.cost)) for each in CALLS if each.cost)

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every kind, written twice."""
    path = tmp_path_factory.mktemp("kinds") / "calls.db"
    exporter = SQLiteExporter(path)
    for _ in range(2):
        exporter.export([each.span for each in KINDS.values()])
    exporter.shutdown()
    return path


@each_kind
def test_a_kind_is_a_call_if_it_runs_a_model_or_has_a_cost(kind: Kind) -> None:
    """Exporters see it with its operation and cost."""
    read = GenAISpan.read(kind.span)
    if not kind.operation:
        assert read is None
        return
    assert read is not None
    assert read.is_call is kind.is_call
    assert (read.operation, read.cost.total) == (kind.operation, kind.cost)


def test_commands_show_each_call_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`calls`, `show` and `report` have the same calls, and their exact cost."""
    assert main(["calls", "--json", str(path)]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(row["operation"] for row in listed) == sorted(each.operation for each in CALLS)
    for row in listed:
        assert main(["show", row["call_id"], str(path)]) == 0
        assert row["operation"] in capsys.readouterr().out
    assert main(["report", "--json", str(path)]) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert total["calls"] == len(CALLS)
    assert Decimal(str(total["cost_usd"])) == TOTAL


def test_the_page_shows_each_call(path: Path) -> None:
    """The list, and the details of each."""
    index = Index(str(path))
    index.read()
    with Running(index) as running, httpx.Client(base_url=running.url) as client:
        overview, listed = client.get("/"), client.get("/calls?until=2026-11-21T00:00")
        assert (overview.status_code, listed.status_code) == (200, 200)
        for each in CALLS:
            key = GenAISpan.read(each.span)
            assert key is not None
            detail = client.get(f"/calls/{key.key}")
            assert detail.status_code == 200, each.operation
    index.close()


@pytest.mark.parametrize("name", HTTP)
def test_a_service_gets_each_call_with_its_own_cost(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost or raised, and no item has the cost of another one."""
    exporter: HttpExporter = connected(name, "http://127.0.0.1:9", monkeypatch)
    costs = [str(each.cost) for each in CALLS if each.cost]
    taken = list(exporter.items([CALLS[0].span]))
    stated = bool(taken) and costs[0] in str(taken[0].data)
    for each in KINDS.values():
        said = [str(item.data) for item in exporter.items([each.span])]
        if each.is_call:
            assert bool(said) is bool(taken), each.operation
        if stated and each.cost:
            assert [cost for cost in costs if cost in said[0]] == [str(each.cost)], each.operation
    exporter.shutdown()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
