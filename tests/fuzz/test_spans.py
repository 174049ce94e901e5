"""Finished spans with any attributes, of litespan and of others: every exporter sends each."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Status, StatusCode

import litespan
from litespan import semconv
from litespan.export.http import HttpExporter
from litespan.genai import conventions
from litespan.genai.copying import stripped
from litespan.genai.span import GenAISpan
from litespan.stores.columns import COLUMNS
from litespan.stores.rows import rows
from tests.cases import CHAT, START_NS, span
from tests.exporters.test_contract import HTTP, PATIENT
from tests.fuzz.values import NUMBERS, TEXTS, VALUES
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, VENDORS, Anyone

KNOWN = sorted(
    {value for value in vars(semconv).values() if isinstance(value, str) and "." in value}
    | conventions.KNOWN
    | conventions.CONTENT
)
PREFIXES = ("litellm.metadata.", "llm.input_messages.0.message.", "gen_ai.prompt.0.")
PLANTED = "planted-5d1c7e"


def as_json(value: Any) -> str:
    """JSON as other instrumentations write it: with NaN, lone surrogates and text of objects."""
    try:
        return json.dumps(value, default=repr, skipkeys=True)
    except ValueError:  # an integer that Python does not format
        return "[" + "9" * 5000 + "]"


ATTRIBUTE = st.one_of(
    TEXTS,
    NUMBERS,
    st.lists(TEXTS, max_size=3).map(tuple),
    st.lists(NUMBERS, max_size=3).map(tuple),
    VALUES.map(as_json),
)
NAME = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(
        ["litellm.metadata.", "llm.input_messages.0.message.", "gen_ai.prompt.0."]
    ).flatmap(lambda prefix: TEXTS.map(lambda rest: prefix + rest)),
    TEXTS.filter(bool),
)
ATTRIBUTES = st.dictionaries(NAME, ATTRIBUTE, max_size=12)
EVENTS = st.lists(
    st.builds(
        Event,
        st.one_of(st.sampled_from(["exception", "litellm.success", "gen_ai.choice"]), TEXTS),
        st.dictionaries(NAME, ATTRIBUTE, max_size=3),
        st.integers(START_NS, START_NS + 10**9),
    ),
    max_size=2,
)


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    """A span of a call."""
    status = draw(st.sampled_from([StatusCode.UNSET, StatusCode.ERROR]))
    return span(
        draw(st.integers(0, 9999)),
        draw(TEXTS),
        {**CHAT, **draw(ATTRIBUTES)},
        draw(EVENTS),
        status=Status(status, draw(TEXTS) if status is StatusCode.ERROR else None),
        scope=draw(st.sampled_from(["litespan", "someone.else"])),
        end_ms=draw(st.sampled_from([-5, 0, 1250])),
    )


class Connected(NamedTuple):
    """An exporter and its service, which checks every request by its rules."""

    exporter: HttpExporter
    vendor: Vendor


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Connected]]:
    """Every exporter that posts HTTP."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        found = {}
        for name, cls in HTTP.items():
            vendor = stack.enter_context(running(VENDORS.get(name, Anyone)()))
            for variable, value in cls.variables_for(vendor.url, SECRET).items():
                patch.setenv(variable, value)
            exporter: HttpExporter = cls(**PATIENT)
            stack.callback(exporter.shutdown)
            found[name] = Connected(exporter, vendor)
        yield found


def errors() -> dict[str, int]:
    """What litespan has suppressed so far."""
    return {name: n for name, n in litespan.stats().items() if name.startswith("errors.")}


@given(batch=st.lists(spans(), min_size=1, max_size=3))
def test_any_span_is_sent_by_the_rules(
    services: dict[str, Connected], batch: list[ReadableSpan]
) -> None:
    """No mapping fails, each service accepts every request, and none exceeds its limits."""
    before = errors()
    for name, (exporter, vendor) in services.items():
        vendor.received.clear()
        result = exporter.export(batch)
        assert (name, vendor.wrong) == (name, [])
        assert {where: n for where, n in errors().items() if before.get(where) != n} == {}
        assert result is SpanExportResult.SUCCESS
        assert all(len(request.body) <= exporter.limits.max_bytes for request in vendor.received)
        assert all(SECRET.encode() not in request.body for request in vendor.received)


@given(finished=spans())
def test_any_span_is_read(finished: ReadableSpan) -> None:
    """The typed view has a value or None for each field, and each store gets a whole row."""
    view = GenAISpan.read(finished)
    assert view is not None
    for part in (*(view.input_messages or ()), *(view.output_messages or ())):
        json.dumps(part.to_json(), allow_nan=False)
    assert view.stages == tuple(sorted(view.stages, key=lambda stage: stage.time_ns))
    for row in rows([finished]):
        assert len(row) == len(COLUMNS)


@given(
    finished=spans(), content=st.dictionaries(st.sampled_from(sorted(conventions.CONTENT)), VALUES)
)
def test_no_content_is_left_in_a_stripped_span(
    finished: ReadableSpan, content: dict[str, Any]
) -> None:
    """What exporters without content get has none of it, whatever the content is."""
    said = {
        name: as_json([value, {"role": "user", "content": PLANTED}])
        for name, value in content.items()
    }
    event = Event("gen_ai.user.message", {"content": PLANTED}, START_NS)
    full = ReadableSpan(
        "chat",
        finished.context,
        attributes={**(finished.attributes or {}), **said},
        events=[*finished.events, event],
        instrumentation_scope=finished.instrumentation_scope,
    )
    view = GenAISpan.read(full)
    assert view is not None
    assert PLANTED not in stripped(full, view).to_json()
