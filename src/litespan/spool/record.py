"""A finished span as the bytes of one record, and back. Pure."""

from dataclasses import dataclass
from zlib import crc32

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from litespan.export.decode import PROTOBUF, Undecodable, read_request, to_spans
from litespan.export.otlp import clean, item_of
from litespan.genai.copying import stripped
from litespan.genai.span import GenAISpan


@dataclass(frozen=True, slots=True)
class Record:
    """One span that waits for one exporter."""

    exporter: str
    key: str  # `GenAISpan.key`, the same in every process
    data: bytes  # an ExportTraceServiceRequest


def encode(span: ReadableSpan) -> tuple[str, bytes]:
    """The span's key and its bytes. Raises ValueError or TypeError if it cannot be encoded."""
    try:
        data: bytes = encode_spans([span]).SerializeToString()
    except (ValueError, TypeError):  # a lone surrogate or an integer beyond 64 bits
        data = encode_spans([clean(span)]).SerializeToString()
    return item_of(span).key, data


def decode(data: bytes, checksum: int) -> ReadableSpan | None:
    """The span; None if the bytes are damaged."""
    if crc32(data) != checksum:
        return None
    try:
        (span,) = to_spans(read_request(data, PROTOBUF))
    except (Undecodable, ValueError):
        return None
    return span


def without_content(data: bytes, checksum: int) -> bytes:
    """The bytes of the same span without content; empty if they cannot be read."""
    span = decode(data, checksum)
    read = GenAISpan.read(span) if span is not None else None
    if span is None or read is None:
        return b""
    return encode(stripped(span, read))[1]
