"""`make faults`: provokes every fault, and writes what happens to docs/faults.md."""

import asyncio
import copy
import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import litellm
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

import litespan
from litespan import LiteLLMInstrumentor
from litespan.export.http import HttpExporter
from litespan.testing import LoopbackProvider, Telemetry
from tests.exporters.test_contract import HTTP, PATIENT, QUICK, sent_for
from tests.support.calls import CAPTURE, KEY, MESSAGES
from tests.support.server import Reply, Vendor, in_turn, running
from tests.support.vendors import SECRET, VENDORS, Anyone

PAGE: Final = Path(__file__).parents[1] / "docs/faults.md"
TABLES: Final = ("services", "calls")
HTML: Final = {"Content-Type": "text/html"}
REPLIES: Final[dict[str, Reply]] = {
    "connection reset": Reply(reset=True),
    "no answer": Reply(delay=60.0),
    "an answer byte by byte, without end": Reply(drip=0.05, body=b"x" * 5000),
    "not HTTP": Reply(garbage=True),
    "401": Reply(401),
    "413": Reply(413),
    "429": Reply(429),
    "429 with Retry-After": Reply(429, headers={"Retry-After": "0.05"}),
    "500": Reply(500),
    "502 with an HTML page": Reply(502, b"<html>bad gateway</html>", HTML),
    "redirect": Reply(302, headers={"Location": "http://127.0.0.1:9/"}),
    "200 with an HTML page": Reply(200, b"<html>log in</html>", HTML),
}
SLOW: Final = ("no answer", "an answer byte by byte, without end")
ADDRESSES: Final = {
    "connection refused": "http://127.0.0.1:9",
    "unknown host": "https://no-such-host.invalid",
    "TLS failure": "https://127.0.0.1",  # and the port of a server without TLS
}


# --- services -----------------------------------------------------------------------


@contextmanager
def exporting(name: str, url: str, **limits: Any) -> Iterator[HttpExporter]:
    """The exporter, which sends to `url`."""
    with patch.dict(os.environ, HTTP[name].variables_for(url, SECRET)):
        exporter: HttpExporter = HTTP[name](**{**QUICK, **limits})
    try:
        yield exporter
    finally:
        exporter.shutdown()


def service(name: str, fault: str, *, lasting: bool) -> str:
    """What becomes of a span if the service has the fault once, or all the time."""
    limits = {"patience": 0.5, "hung_patience": 0.2} if lasting else {**PATIENT, "backoff": 0.02}
    if fault in SLOW:
        limits |= {"attempt": 0.3, "patience": 1.5}
    accept = VENDORS.get(name, Anyone)()
    reply = REPLIES.get(fault)
    misbehave = (lambda _: reply) if lasting else in_turn(reply)
    with running(accept, misbehave) as vendor:
        url = address(fault, vendor)
        with exporting(name, url, **limits) as exporter:
            assert exporter.delivery is not None
            exporter.export([sent_for(exporter, vendor)])
            tally = exporter.last
    for cause, lost in tally.dropped.items():
        assert litespan.stats()[f"export.{name}.dropped.{cause}"] >= lost
    if tally.dropped:
        return f"dropped, counted as `{'`, `'.join(sorted(tally.dropped))}`"
    if tally.retried:
        return "delivered after a retry"
    return "delivered with less content" if tally.truncated else "delivered"


def address(fault: str, vendor: Vendor) -> str:
    """Where the exporter sends to."""
    if fault == "TLS failure":
        return vendor.url.replace("http:", "https:")
    return ADDRESSES.get(fault, vendor.url)


def service_row(fault: str, names: Iterable[str] = HTTP) -> str:
    """The table row of a fault: what most exporters do, and those that differ."""
    cells = []
    for lasting in (False, True):
        if fault in ADDRESSES and not lasting:
            cells.append("as any transient fault")
            continue
        found = defaultdict(list)
        for name in names:
            found[service(name, fault, lasting=lasting)].append(name)
        most, *others = sorted(found, key=lambda outcome: -len(found[outcome]))
        differ = [f"{', '.join(found[outcome])}: {outcome}" for outcome in others]
        cells.append("; ".join([most, *differ]))
    return f"| {fault} | {' | '.join(cells)} |"


# --- the application ----------------------------------------------------------------


class Unprintable:
    """An object whose text cannot be had."""

    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


class Failing:
    """A handler whose methods raise."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        raise self._kind

    def log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        raise self._kind


class FailingProcessor(SpanProcessor):
    """A span processor of the application that raises."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("the processor is broken")

    on_end = on_start


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
CALLS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {  # manners, arguments
    "401 of the provider": ({"status": 401}, {}),
    "429 of the provider": ({"status": 429}, {}),
    "500 of the provider": ({"status": 500}, {}),
    "connection reset by the provider": ({"reset": True}, {}),
    "no answer in time": ({"delay": 3.0}, {"timeout": 0.2}),
    "a stream that ends early": ({"drop_after": 2}, {"stream": True}),
    "a stream that breaks": ({"break_after": 2}, {"stream": True}),
    "an error within a stream": ({"error_after": 1}, {"stream": True}),
    "a lone surrogate in a message": ({}, {"messages": [{"role": "user", "content": "\ud83d"}]}),
    "cyclic messages": ({}, {"messages": ENDLESS}),
    "metadata whose `__str__` raises": ({}, {"metadata": {"a": Unprintable(), "n": 10**5000}}),
    "a user whose `__str__` raises": ({}, {"user": Unprintable()}),
    "NaN and infinity": ({}, {"temperature": float("nan"), "metadata": {"x": float("inf")}}),
}
HANDLERS: Final = {
    "a handler that raises": RuntimeError,
    "a handler that exits": SystemExit,
}
OPTIONS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "a redactor that raises": lambda: {"redact": Failing(ValueError).log_pre_api_call},
    "a span processor that raises": lambda: {"tracer_provider": failing_provider()},
}


def failing_provider() -> TracerProvider:
    """Its spans pass an application's processor that raises."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(FailingProcessor())
    return provider


def outcome(provider: LoopbackProvider, fault: str, *, is_async: bool) -> Any:
    """What the caller sees: the texts of an answer, or the exception."""
    manners, more = CALLS.get(fault, ({}, {}))
    given = {"model": "openai/gpt-4o-mini", "messages": copy.deepcopy(MESSAGES), "max_retries": 0}
    given |= {"api_base": provider.url_for(**manners), "api_key": KEY, **more}
    seen: list[Any] = []

    async def read() -> None:
        result = await litellm.acompletion(**given)
        seen.extend([c async for c in result] if given.get("stream") else [result])

    try:
        if is_async:
            asyncio.run(read())
        else:
            result = litellm.completion(**given)
            seen.extend(result if given.get("stream") else [result])
    except Exception as error:
        text = re.sub(r"\d+\.\d+ seconds", "… seconds", str(error))
        seen.append((type(error).__name__, text))
    return [
        each if isinstance(each, tuple) else json.dumps(each.model_dump(exclude={"id", "created"}))
        for each in seen
    ]


def call_row(fault: str, provider: LoopbackProvider) -> str:
    """The table row of a fault: whether the caller notices litespan, and what is recorded."""
    before = litespan.stats()
    same, recorded = True, set[str]()
    for is_async in (False, True):
        bare = outcome(provider, fault, is_async=is_async)
        with recording(fault) as telemetry:
            same = outcome(provider, fault, is_async=is_async) == bare and same
        recorded |= {told(span["attributes"]) for span in telemetry.spans}
    counted = [
        f"`{name}`"
        for name, number in sorted(litespan.stats().items())
        if number > before.get(name, 0) and name.startswith(("errors.", "callbacks."))
        if not name.endswith(".delivered")
    ]
    cells = "the same" if same else "NOT THE SAME", ", ".join(sorted(recorded)) or "nothing"
    return f"| {fault} | {' | '.join(cells)} | {', '.join(counted)} |"


@contextmanager
def recording(fault: str) -> Iterator[Telemetry]:
    """LiteLLM, instrumented, with content, and with the part of the application that fails."""
    telemetry, instrumentor = Telemetry(), LiteLLMInstrumentor()
    with patch.dict(os.environ, {CAPTURE: "SPAN_ONLY"}):
        options = OPTIONS[fault]() if fault in OPTIONS else {}
        instrumentor.instrument(**{**telemetry.providers, **options})
    added = []
    if fault in HANDLERS:
        added.append(litespan.add_callback(Failing(HANDLERS[fault]), name="handler"))
    try:
        yield telemetry
        litespan.flush(60)
    finally:
        for each in added:
            each.remove()
        instrumentor.uninstrument()


def told(attributes: Mapping[str, Any]) -> str:
    """The outcome of a call, and how it ended."""
    end = attributes.get("error.type") or attributes.get("litellm.stream.end")
    return attributes["litellm.outcome"] + (f" (`{end}`)" if end else "")


def main() -> None:
    """Write the tables of the page."""
    logging.disable(logging.CRITICAL)
    litellm.suppress_debug_info = True
    rows = [service_row(fault) for fault in (*REPLIES, *ADDRESSES)]
    write("services", rows)
    with LoopbackProvider() as provider:
        rows = [call_row(fault, provider) for fault in (*CALLS, *HANDLERS, *OPTIONS)]
    write("calls", rows)


def write(table: str, rows: list[str]) -> None:
    """Replace the rows of a table of the page."""
    text = PAGE.read_text()
    head, _, rest = text.partition(f"<!-- {table} -->\n")
    lines = rest.splitlines()
    body = next(i for i, line in enumerate(lines) if not line.startswith("|"))
    PAGE.write_text("\n".join([f"{head}<!-- {table} -->", *lines[:2], *rows, *lines[body:], ""]))


if __name__ == "__main__":
    main()
