"""The SDK's OTLP exporters with litespan's encoder, while litespan instruments LiteLLM."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import wrapt
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc
from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link

from litespan.otlp import encoding
from litespan.otlp.sdk_encoder import SdkEncoder
from tests.support.program import run
from tests.support.server import Received, Reply
from tests.support.server import running as serving

Send = Callable[[Sequence[ReadableSpan]], SpanExportResult]
MODULES = (over_http, over_grpc)


@pytest.fixture(autouse=True)
def replaced(monkeypatch: pytest.MonkeyPatch) -> Iterator[SdkEncoder]:
    """The encoder of litespan, before the first batch."""
    monkeypatch.setattr(SdkEncoder, "same", None)
    encoder = SdkEncoder()
    yield encoder
    encoder.remove()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of spans of each batch that litespan's encoder has encoded."""
    sizes: list[int] = []

    def counting(spans: Sequence[ReadableSpan]) -> bytes:
        sizes.append(len(spans))
        return encode(spans)

    encode = encoding.encode
    monkeypatch.setattr(encoding, "encode", counting)
    return sizes


@pytest.fixture
def received() -> list[bytes]:
    """The body of each request."""
    return []


@pytest.fixture(params=["http", "grpc"])
def send(request: pytest.FixtureRequest, received: list[bytes]) -> Iterator[Send]:
    """The SDK's exporter for a server."""
    if request.param == "http":

        def answer(post: Received) -> Reply:
            received.append(post.body)
            return Reply(200, b"")

        with serving(answer) as server:
            yield over_http.OTLPSpanExporter(f"{server.url}/v1/traces").export
        return

    class Servicer(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            received.append(request.SerializeToString())
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield over_grpc.OTLPSpanExporter(f"127.0.0.1:{port}", insecure=True).export
    server.stop(None)


def spans(name: str = "chat") -> list[ReadableSpan]:
    """An ordinary span, and one with a link, which only the SDK encodes."""
    tracer = TracerProvider(resource=Resource({"service.name": "shop"})).get_tracer("shop", "1.0")
    plain = tracer.start_span(name, attributes={"user.id": "ann", "n": 1})
    linked: Any = tracer.start_span(name, links=[Link(plain.get_span_context(), {"a": 1})])
    plain.add_event("stage", {"cost": 0.5})
    for span in (plain, linked):
        span.end()
    both: list[Any] = [plain, linked]
    return both


def test_the_exporters_send_what_the_sdk_sends(
    send: Send, received: list[bytes], encoded: list[int]
) -> None:
    """For each batch, the first one included."""
    batches = [spans(), spans("embeddings"), []]
    assert [send(batch) for batch in batches] == [SpanExportResult.SUCCESS] * 3
    assert received == [encode_spans(batch).SerializeToString() for batch in batches]
    assert encoded == [2, 2]


@pytest.mark.parametrize("module", MODULES)
def test_the_encoder_can_be_called_with_a_keyword(module: Any) -> None:
    """As the SDK's own."""
    batch = spans()
    assert module.encode_spans(sdk_spans=batch) == encode_spans(batch)


@pytest.mark.parametrize("written", [b"", b"\xff"])
def test_an_sdk_that_encodes_in_another_way_keeps_its_encoder(
    send: Send, received: list[bytes], monkeypatch: pytest.MonkeyPatch, written: bytes
) -> None:
    """Also bytes that are no message lose no span."""
    monkeypatch.setattr(encoding, "encode", lambda _: written)
    batches = [spans(), spans("embeddings")]
    for batch in batches:
        assert send(batch) is SpanExportResult.SUCCESS
    assert received == [encode_spans(batch).SerializeToString() for batch in batches]


def test_the_sdk_encodes_again_once_it_is_removed(
    replaced: SdkEncoder, send: Send, received: list[bytes], encoded: list[int]
) -> None:
    """The exporters are as they were."""
    assert all(isinstance(each.encode_spans, wrapt.FunctionWrapper) for each in MODULES)
    replaced.remove()
    assert all(each.encode_spans is encode_spans for each in MODULES)
    send(spans())
    assert (len(received), encoded) == (1, [])


def test_the_instrumentation_imports_no_exporter() -> None:
    """One that is imported later is replaced until `uninstrument()`."""
    code = """
        import sys

        from litespan import LiteLLMInstrumentor

        LiteLLMInstrumentor().instrument()
        assert not any(each.startswith("opentelemetry.exporter") for each in sys.modules)
        from opentelemetry.exporter.otlp.proto.http import trace_exporter
        print(type(trace_exporter.encode_spans).__name__)
        LiteLLMInstrumentor().uninstrument()
        print(type(trace_exporter.encode_spans).__name__)
    """
    printed = run(code).stdout.split()
    assert printed == ["FunctionWrapper", "function"]
