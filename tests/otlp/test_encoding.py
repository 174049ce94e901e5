"""Spans as OTLP's bytes: those of the SDK's exporter, for any span."""

import random
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from litespan.otlp.encoding import encode

VALUES: list[Any] = [
    *("text", "", "é😀", "x" * 300, "\ud800", 0, 1, 127, 128, 2**63 - 1, -1, -(2**63), 2**63),
    *(True, False, 0.0, -0.0, 1.0, 1.5, float("inf"), None, b"bytes"),
    *(("a",), ["a"], ("a", "b"), (), [1, 2], [True], [1.0], ("x" * 300,), (None,)),
    *({"nested": [1]}, [["a"]], {}, object()),
]
RESOURCES = [
    Resource({"service.name": "shop"}),
    Resource({"service.name": "shop", "n": 1}, "https://example.com/schema"),
    Resource({}),
]
SCOPES = [
    InstrumentationScope("litespan", "1.0"),
    InstrumentationScope("other", None, "https://example.com/schema"),
    None,
]
NOW = 1_700_000_000_000_000_000


def span(chance: random.Random) -> ReadableSpan:
    """A span, most of them usual."""

    def one(*values: Any) -> Any:
        return values[0] if chance.random() < 0.8 else chance.choice(values)

    def attributes() -> Any:
        usual = chance.random() < 0.7
        values = VALUES[:6] if usual else VALUES
        names = chance.sample(["a", "b", "c", "é", "d" * 200], chance.randint(0, 5))
        return {name: chance.choice(values) for name in names}

    def context(**given: Any) -> SpanContext:
        ids = chance.getrandbits(128) | 1, chance.getrandbits(64) | 1
        return SpanContext(*ids, is_remote=chance.random() < 0.5, **given)

    state = one(None, TraceState([("a", "b")]))
    return ReadableSpan(
        name=one("chat gpt", "", "é"),
        context=context(trace_flags=TraceFlags(one(1, 0, 3)), trace_state=state),
        parent=one(context(), None),
        resource=one(*RESOURCES),
        attributes=one(attributes(), None),
        events=[
            Event(one("stage", "", "é"), attributes(), one(NOW, 1))
            for _ in range(chance.randint(0, 3))
        ],
        links=one((), [Link(context(), attributes())]),
        kind=one(*SpanKind),
        status=one(Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "é: no")),
        start_time=one(NOW, 1, 0),
        end_time=one(NOW + 5, None),
        instrumentation_scope=one(*SCOPES),
    )


def same(spans: list[ReadableSpan]) -> None:
    """The SDK's exporter sends the same message."""
    assert ExportTraceServiceRequest.FromString(encode(spans)) == encode_spans(spans)


@pytest.mark.filterwarnings("ignore")
def test_any_spans_have_the_bytes_of_the_sdk(caplog: pytest.LogCaptureFixture) -> None:
    """In any mixture, with equal values of different types, in every order."""
    caplog.set_level("CRITICAL")  # the SDK reports attributes that it leaves out
    chance = random.Random(7)
    for _ in range(400):
        same([span(chance) for _ in range(chance.randint(0, 6))])


@pytest.mark.parametrize("first", [1, True, 1.0, 0, False, 0.0, -0.0, ("a",), "a"])
@pytest.mark.parametrize("second", [1, True, 1.0, 0, False, 0.0, -0.0, ["a"], "a"])
def test_a_value_is_not_taken_for_one_that_is_equal(first: Any, second: Any) -> None:
    """The bytes of attributes are kept, by name and value."""
    context = SpanContext(1, 2, is_remote=False)
    both = [
        ReadableSpan(
            "chat",
            context,
            resource=RESOURCES[0],
            attributes={"n": value},
            start_time=NOW,
            end_time=NOW,
        )
        for value in (first, second)
    ]
    written = ExportTraceServiceRequest.FromString(encode(both))
    assert written.SerializeToString() == encode_spans(both).SerializeToString()


@pytest.mark.parametrize(
    "wrong", [{"start_time": -1}, {"end_time": 2**64}, {"name": "\ud800"}, {"name": 7}]
)
def test_a_span_that_cannot_be_encoded_raises_as_in_the_sdk(wrong: dict[str, Any]) -> None:
    """Such as one with times out of range: the exporter then finds and drops it."""
    context = SpanContext(1, 2, is_remote=False)
    broken = ReadableSpan(**{"name": "chat", "context": context, "start_time": NOW, **wrong})
    raised = []
    for write in (encode, encode_spans):
        with pytest.raises((ValueError, TypeError)) as caught:
            write([broken])
        raised.append(caught.type)
    assert raised[0] is raised[1]
