"""A `CallSpan` equals the SDK's span after any calls and reads."""

import logging
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import sampling as sdk_sampling
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from litespan.instrumentation import call_tracer
from litespan.instrumentation.call_tracer import CallTracer
from litespan.instrumentation.ended_span import EndedSpan
from litespan.instrumentation.span import CallSpan

NOW = 1_700_000_000_000_000_000
REMOTE = SpanContext(0xA1, 0xB2, True, TraceFlags(1), TraceState([("vendor", "1")]))


class Text(str):
    """A string that is not exactly a `str`."""

    __slots__ = ()


VALUES: list[Any] = [
    *("text", "", "é\ud800", 1, -(2**70), 1.5, float("inf"), True, Text("own")),
    *(("a", "b"), (), ["a", "b"], [1, 2], (1, "mixed"), ("a", None), b"bytes", b"\xff", None),
    *({"nested": 1}, {"a": [1]}, object, [object], SimpleNamespace()),
]
NAMES: list[Any] = ["a", "b", "c", "d", "gen_ai.operation.name", "", 7, Text("e")]
ERROR = ValueError("wrong")


class Ids(IdGenerator):
    """The same ids for both spans."""

    def generate_span_id(self) -> int:
        return 0xC3

    def generate_trace_id(self) -> int:
        return 0xD4


class Adding(sdk_sampling.Sampler):
    """A sampler that adds attributes and a trace state."""

    def __init__(self, decision: Any, added: Any) -> None:
        self.decision = decision
        self.added = added

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any
    ) -> Any:
        given = args[1] if len(args) > 1 else kwargs.get("attributes")
        state = TraceState([("sampler", "1")])
        return sdk_sampling.SamplingResult(self.decision, {**(given or {}), **self.added}, state)

    def get_description(self) -> str:
        return "adding"


RECORD, SAMPLE = sdk_sampling.Decision.RECORD_ONLY, sdk_sampling.Decision.RECORD_AND_SAMPLE
SAMPLERS = [
    sdk_sampling.ParentBased(sdk_sampling.ALWAYS_ON),
    sdk_sampling.ALWAYS_OFF,
    sdk_sampling.TraceIdRatioBased(1.0),
    Adding(SAMPLE, {"sampler": "x"}),
    Adding(SAMPLE, {"sampler": ["x", 1], "": 1}),
    Adding(RECORD, {}),
]
LIMITS = [
    {},
    {"max_span_attributes": 3, "max_events": 2, "max_event_attributes": 1},
    {"max_attributes": SpanLimits.UNSET, "max_events": SpanLimits.UNSET},
    {"max_attribute_length": 2},
    {"max_span_attribute_length": 2},
    {"max_span_attributes": 0, "max_events": 0},
]


class Processor(SpanProcessor):
    """Does something when a span starts and ends, and keeps what it gets."""

    def __init__(self, on_start: Any, on_ending: Any, on_end: Any) -> None:
        self.actions = (on_start, on_ending, on_end)
        self.parents: list[Any] = []
        self.ended: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.parents.append(parent_context)
        self.actions[0](span)

    def _on_ending(self, span: Any) -> None:
        self.actions[1](span)

    def on_end(self, span: Any) -> None:
        self.ended.append(span)
        self.actions[2](span)


Action = Callable[[Any], Any]


def actions(chance: random.Random) -> Iterator[Action]:
    """What a program or a processor may do to a span, at random."""

    def attributes() -> Any:
        names = chance.sample(NAMES[:5] if chance.random() < 0.8 else NAMES, chance.randint(0, 4))
        values = VALUES[:12] if chance.random() < 0.8 else VALUES
        return {name: chance.choice(values) for name in names}

    def event(span: Any, name: Any, given: Any, at: Any) -> None:
        span.add_event(name, given, timestamp=at)

    def private(span: Any, name: str) -> str:
        return str(len(getattr(span, name)))

    def overwrite(span: Any, name: str) -> None:
        span._attributes = {"own": name}

    while True:
        given, at = attributes(), chance.choice([None, NOW + 5])
        name, value = chance.choice(NAMES[:6]), chance.choice(VALUES)
        found: list[Any] = [
            *[lambda s, g=given: s.set_attributes(g)] * 4,
            *[lambda s, n=name, v=value: s.set_attribute(n, v)] * 4,
            *[lambda s, n=name, g=given, t=at: event(s, n, g, t)] * 4,
            lambda s, n=name: s.add_event(n),
            lambda s, n=name: s.update_name(str(n)),
            lambda s: s.set_status(Status(StatusCode.ERROR, "bad")),
            lambda s: s.set_status(StatusCode.OK),
            lambda s, g=given: s.add_link(REMOTE, g),
            lambda s: s.record_exception(ERROR, {"own": 1}),
            lambda s: dict(s.attributes),
            lambda s: [(e.name, e.timestamp, dict(e.attributes)) for e in s.events],
            lambda s: (s.name, s.kind, s.status.status_code, s.parent, s.is_recording()),
            lambda s: (s.start_time, s.end_time, s.context, s.get_span_context(), links(s)),
            lambda s: (s.dropped_attributes, s.dropped_events, s.dropped_links),
            lambda s: s.to_json(),
            lambda s: private(s, "_attributes"),
            lambda s: private(s, "_events"),
            lambda s: s._attributes.maxlen,
            lambda s: hasattr(s, "_no_such_part"),
            lambda s: s.start(),
            lambda s: s.end(NOW + 9) if chance.random() < 0.2 else None,
            lambda s, n=name: overwrite(s, str(n)) if chance.random() < 0.1 else None,
        ]
        yield chance.choice(found)


def links(span: Any) -> list[Any]:
    """The links of a span, which have no equality."""
    return [(link.context, dict(link.attributes)) for link in span.links]


def done(action: Action, span: Any) -> Any:
    """What an action returns or raises."""
    try:
        return action(span)
    except Exception as error:
        return type(error)


def lives(seed: int, wrap: Callable[[Any], Any], caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Everything that can be seen of the life of one span."""
    chance = random.Random(seed)
    what = actions(chance)

    def some(most: int) -> list[Action]:
        return [next(what) for _ in range(chance.randint(0, most))]

    seen: list[Any] = []
    hooks = [some(2) if chance.random() < 0.3 else [] for _ in range(3)]
    processor = Processor(
        *[lambda s, each=each: seen.extend(done(do, s) for do in each) for each in hooks]
    )
    limits, sampler = chance.choice(LIMITS), chance.choice([SAMPLERS[0], *SAMPLERS])
    provider = TracerProvider(
        sampler,
        Resource({"service.name": "tests"}),
        shutdown_on_exit=False,
        id_generator=Ids(),
        span_limits=SpanLimits(**limits),
    )
    provider.add_span_processor(processor)
    tracer = wrap(provider.get_tracer("tests", "1"))
    parent = chance.choice([None, set_span_in_context(NonRecordingSpan(REMOTE))])
    first = chance.choice([None, {}, {"a": 1, "b": ("x",)}, {"a": None, "": 2, "c": [1]}])
    caplog.clear()
    span = tracer.start_span("name", parent, SpanKind.CLIENT, first, start_time=NOW - 5)
    seen += [done(action, span) for action in some(8)]
    seen.append(done(lambda s: s.end(chance.choice([None, NOW])), span))
    seen += [done(action, span) for action in some(2)]
    views = [view for view in (span, *processor.ended) if hasattr(view, "to_json")]
    for view in views:
        seen += [
            done(action, view)
            for action in (
                lambda v: v.to_json(),
                lambda v: list(v.attributes.items()),
                lambda v: [(e.name, e.timestamp, dict(e.attributes)) for e in v.events],
                lambda v: (v.dropped_attributes, v.dropped_events, v.dropped_links, links(v)),
                lambda v: (
                    v.resource,
                    v.instrumentation_scope,
                    v.context,
                    v.parent,
                    v.status.description,
                ),
            )
        ]
    seen += [processor.parents == [parent], len(processor.ended)]
    return [*seen, [record.getMessage() for record in caplog.records]]


@pytest.fixture
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("opentelemetry.sdk.trace", "time"):
        monkeypatch.setattr(f"{module}.time_ns", lambda: NOW)


@pytest.mark.usefixtures("_frozen")
def test_a_call_span_equals_the_sdks_span(caplog: pytest.LogCaptureFixture) -> None:
    """For any calls, reads and processors: same JSON, values, exceptions and log messages."""
    caplog.set_level(logging.WARNING)
    for seed in range(250):
        ours = lives(seed, CallTracer, caplog)
        assert ours == lives(seed, lambda tracer: tracer, caplog), f"seed {seed}"


def traced(limits: Any = None) -> tuple[CallTracer, Processor]:
    """A call tracer of the installed SDK, and what sees its spans."""
    processor = Processor(*[lambda span: None] * 3)
    provider = TracerProvider(span_limits=limits)
    provider.add_span_processor(processor)
    return CallTracer(provider.get_tracer("tests")), processor


def test_a_call_does_not_need_an_ordinary_span() -> None:
    """The installed SDK is known, and reads by exporters do not convert the span."""
    tracer, processor = traced()
    span = tracer.start_span("chat", attributes={"a": 1, "tags": ("x",)})
    span.set_attribute("b", 2)
    span.set_attributes({"c": 3.0, "a": True})
    span.add_event("stage", {"n": 1})
    assert type(span) is CallSpan
    assert span.is_recording()
    span.end()
    (ended,) = processor.ended
    assert type(ended) is EndedSpan
    assert list(ended.attributes.items()) == [("tags", ("x",)), ("b", 2), ("c", 3.0), ("a", True)]
    assert [dict(event.attributes) for event in ended.events] == [{"n": 1}]
    assert (ended.links, ended.dropped_attributes, ended.dropped_events) == ((), 0, 0)
    for view in (span, ended):
        assert not {"_attributes", "_events", "_links"} & vars(view).keys()


@pytest.mark.parametrize("value", VALUES)
def test_litespans_own_values_are_checked_when_the_span_is_read(value: Any) -> None:
    """A value that the SDK would change or drop is changed or dropped in the same way."""
    seen = []
    for ours in (True, False):
        tracer, processor = traced()
        span: Any = (tracer if ours else tracer._tracer).start_span("chat", attributes={"a": 1})
        (span.keep if ours else span.set_attributes)({"b": value, "c": 2})
        (span.note if ours else span.add_event)("stage", {"d": value}, NOW)
        span.end()
        (ended,) = processor.ended
        events = [(event.name, dict(event.attributes)) for event in ended.events]
        seen.append((dict(ended.attributes), events, ended.dropped_attributes))
    assert repr(seen[0]) == repr(seen[1])


def new_behaviour() -> None:
    """What a later SDK may do."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [(sdk.Span, "end"), (sdk.Span, "_readable_span"), (sdk.Tracer, "start_span")],
)
def test_a_changed_sdk_makes_ordinary_spans(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if it is changed later, as by a monkey patch; an unknown SDK is logged once."""
    caplog.set_level(logging.DEBUG, "litespan")
    monkeypatch.setattr("litespan.errors._seen", set())
    original = getattr(owner, name)

    def changed(*args: Any, **kwargs: Any) -> Any:
        new_behaviour()
        return original(*args, **kwargs)

    earlier, _ = traced()
    monkeypatch.setattr(owner, name, changed)
    assert type(earlier.start_span("chat", attributes={})) is not CallSpan
    monkeypatch.setattr(call_tracer, "_METHODS", call_tracer._methods())  # as if it came so
    for _ in range(2):
        tracer, processor = traced()
        span = tracer.start_span("chat", attributes={})
        assert type(span) is not CallSpan
        span.end()
        assert len(processor.ended) == 1
    (message,) = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert "does not know new_behaviour;" in message


def test_other_tracers_create_the_spans_themselves() -> None:
    """A subclass, a no-op tracer, a wrapped method, and a tracer with a length limit."""
    assert CallTracer(trace.NoOpTracer()).start_span("chat").get_span_context().trace_id == 0
    tracer, _ = traced(SpanLimits(max_attribute_length=100))
    assert type(tracer.start_span("chat", attributes={})) is not CallSpan
    tracer, _ = traced()
    wrapped: Any = object()
    tracer._tracer.start_span = lambda *_args: wrapped
    assert tracer.start_span("chat", attributes={}) is wrapped
    with traced()[0].start_as_current_span("chat") as span:
        assert trace.get_current_span() is span
