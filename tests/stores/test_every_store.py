"""What holds for every store alike, each on the real thing."""

import json
import os
import threading
from decimal import Decimal
from typing import Any

from opentelemetry.sdk.trace.export import SpanExportResult

from tests.cases import CASES, CHAT, OTHERS, STARTED, content, cost, span, text
from tests.stores.places import Place, by_key, calls, expected

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
NASTY = span(
    501,
    "chat \0 nul",
    {
        **CHAT,
        "litellm.outcome": "success",
        "user.id": "nul \0 and half \ud83d",
        "session.id": '=HYPERLINK("http://evil")',
        "litellm.tags": ("a\0b", "-2+3", "\ud83d"),
        "litellm.metadata.nul": "\0",
        "litellm.metadata.escaped": "a backslash, u and four noughts: \\u0000",
        "litellm.metadata.dotted.and.$dollar": "x",
        "litellm.metadata.$where": "1 == 1",
        "litellm.metadata.nul\0key": "y",
        "litellm.metadata.big": 10**30,
        "litellm.metadata.negative": -(2**63) - 1,
        "litellm.metadata.nan": float("nan"),
        "litellm.metadata.infinite": float("inf"),
        "gen_ai.usage.input_tokens": 10**25,
        "gen_ai.usage.output_tokens": 2**63 - 1,
        "litellm.provider.error.code": 2**40,
        **content(
            [text("user", "\0 \\u0000 \ud83d 'quoted'; drop table llm_calls;--")],
            [{"role": "assistant", "parts": [
                {"type": "tool_call", "name": "f", "arguments": {"a.b": 10**30, "$set": {"": None}}}
            ]}],
        ),
    },
)  # fmt: skip


def test_every_case_is_one_row_with_every_value(place: Place, exporter: Any) -> None:
    """Exact values in every column; spans that are not model calls have no row."""
    assert exporter.export([*CASES.values(), *OTHERS.values()]) is OK
    assert place.read() == expected(CASES.values())


def test_the_same_call_twice_in_a_batch_is_one_row(place: Place, exporter: Any) -> None:
    """The last one counts, as after retries and double instrumentation."""
    first = span(1, "chat", {**CHAT, "litellm.outcome": "failure"})
    assert exporter.export([first, CASES["chat"], CASES["stream"], CASES["chat"]]) is OK
    assert place.read() == expected([CASES["chat"], CASES["stream"]])


def test_the_same_call_again_replaces_its_row(place: Place, exporter: Any) -> None:
    """A repeated export changes nothing; one with more values adds them."""
    exporter.export([span(1, "chat", {**CHAT, "litellm.outcome": "failure"})])
    exporter.export([CASES["chat"]])
    exporter.export([CASES["chat"]])
    assert place.read() == expected([CASES["chat"]])


def test_a_started_call_becomes_one_finished_row(place: Place, exporter: Any) -> None:
    """A call is recorded while it runs, and once when it has ended."""
    exporter.export_started([STARTED])
    assert exporter.force_flush()
    (row,) = place.read()
    assert (row["outcome"], row["end_time"], row["cost_usd"]) == ("started", None, None)
    exporter.export([CASES["chat"]])
    assert place.read() == expected([CASES["chat"]])


def test_started_never_replaces_finished(place: Place, exporter: Any) -> None:
    """A late snapshot, from a slower thread or another process, is ignored."""
    exporter.export([CASES["chat"]])
    exporter.export_started([STARTED])
    assert exporter.force_flush()
    assert place.read() == expected([CASES["chat"]])


def test_values_that_databases_reject_lose_no_row(place: Place, exporter: Any) -> None:
    """NUL, lone surrogates, huge and infinite numbers, and keys with dots and $."""
    assert exporter.export([NASTY, CASES["chat"]]) is OK
    found = by_key(place.read())
    assert found == by_key(expected([NASTY, CASES["chat"]]))
    (nasty,) = [row for row in found.values() if row["span_name"].startswith("chat \ufffd")]
    assert nasty["user_id"] == "nul \ufffd and half ?"
    assert nasty["tags"] == ["a\ufffdb", "-2+3", "?"]
    assert nasty["metadata"]["dotted.and.$dollar"] == "x"
    assert nasty["metadata"]["nul\ufffdkey"] == "y"
    assert nasty["metadata"]["escaped"].endswith("\\u0000")
    assert (nasty["input_tokens"], nasty["output_tokens"]) == (None, None)  # no call can use them


def test_sums_of_cost_are_exact(place: Place, exporter: Any) -> None:
    """Ten times ten cents is a dollar; a tiny price is not lost beside a large one."""
    amounts = [0.1] * 10 + [1e-10, 345678.9]
    exporter.export(
        [span(600 + i, "chat", {**CHAT, **cost(usd, 0.0)}) for i, usd in enumerate(amounts)]
    )
    costs = [row["cost_usd"] for row in place.read()]
    assert {type(cost) for cost in costs} == {Decimal}
    assert sum(costs) == Decimal("345679.9000000001")


def test_content_false_stores_no_message(place: Place) -> None:
    """`content=False` applies even if the span has messages; the other values are stored."""
    exporter = place.make(content=False)
    exporter.export([CASES["multimodal"]])
    exporter.shutdown()
    (row,) = place.read()
    names = ["input_messages", "output_messages", "system_instructions", "tool_definitions"]
    assert [row[name] for name in names] == [None] * 4
    assert "What is in these pictures?" not in json.dumps(row, default=str)
    assert row["input_tokens"] == 1105


def test_many_threads_may_export_at_once(place: Place, exporter: Any) -> None:
    """Many threads may export at the same time."""
    batches = [calls(range(start, start + 25)) for start in range(1000, 1400, 25)]
    threads = [threading.Thread(target=exporter.export, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exporter.force_flush()
    assert place.read() == expected(calls(range(1000, 1400)))


def test_parent_and_child_write_after_a_fork(place: Place, exporter: Any) -> None:
    """Each has its own connections."""
    exporter.export(calls([1]))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if exporter.export(calls([2])) is OK else 2
            exporter.shutdown()
        finally:
            os._exit(code)
    exporter.export(calls([3]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    exporter.export(calls([4]))
    assert place.read() == expected(calls([1, 2, 3, 4]))


def test_an_export_after_shutdown_fails_without_an_error(place: Place) -> None:
    """It returns FAILURE; a second shutdown has no effect."""
    exporter = place.make()
    exporter.export(calls([1]))
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export(calls([2])) is FAILED
    assert place.read() == expected(calls([1]))


def test_nothing_is_opened_before_the_first_call(place: Place) -> None:
    """Creating an exporter, and exporting other spans, uses neither disk nor network."""
    exporter = place.make()
    threads = threading.active_count()
    assert exporter.export(list(OTHERS.values())) is OK
    assert threading.active_count() == threads
    exporter.shutdown()
