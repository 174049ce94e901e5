"""`OtlpExporter`: a service that takes OTLP, told what it would otherwise not understand.

Every destination gets its own copy of the span, with the attributes that this service
reads added; the span itself, which other processors share, is never touched. The copies
travel by the same delivery as everything else (`litespan.export.sender`).
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status, format_span_id, format_trace_id

from litespan import semconv as s
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export.batching import (
    SHORTEST_CUT,
    Batch,
    Item,
    cut,
    cuts,
    pack,
    shrink,
)
from litespan.export.client import Answer, Secret
from litespan.export.http import HttpExporter
from litespan.export.policy import Refusal
from litespan.genai.json_text import dumps, to_text
from litespan.genai.span import GenAISpan, key_of
from litespan.genai.values import parse, plain, whole

CONTENT_TYPE: Final = "application/x-protobuf"
_UNENCODABLE: Final = (ValueError, TypeError)  # what protobuf says to values it has no room for
_DURATION: Final = 2**64  # ns since the epoch that OTLP can hold


class OtlpExporter(HttpExporter):
    """Base of the presets. Subclasses write `attributes`, a pure function of the view."""

    replaced: ClassVar[frozenset[str]] = frozenset()
    """Attributes that are left out of the copy, because added ones say the same."""

    content = True
    """Do events that hold content travel, too?"""

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """What is added to the copy of a GenAI span; None as value removes an attribute."""
        raise NotImplementedError

    def connect(
        self, url: str, headers: Mapping[str, str | Secret], socket: str | None = None
    ) -> None:
        """Turn the exporter on; `url` is the full URL for traces."""
        super().connect(url, {"Content-Type": CONTENT_TYPE, **headers}, socket)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """The GenAI spans, each as an enriched copy."""
        for span in spans:
            with suppress_errors(f"export.{self.name}.mapping"):
                view = GenAISpan.read(span)
                if view is not None and self.takes(span):
                    yield Item(str(view.key), self.copy(span, view))

    def takes(self, span: ReadableSpan) -> bool:
        """Has the span ids and times that a service takes? One that has not is counted."""
        if is_valid(span):
            return True
        count(f"export.{self.name}.dropped")
        count(f"export.{self.name}.dropped.invalid")
        log_once(
            f"export.{self.name}.dropped.invalid",
            "%s: 1 span(s) dropped: invalid: no ids, or times that OTLP cannot hold (logged once)",
            self.name,
        )
        return False

    def copy(self, span: ReadableSpan, view: GenAISpan) -> ReadableSpan:
        """The span that this destination gets."""
        copied = {**self.kept(view), **self.attributes(view)}
        return copy_of(span, copied, content=self.content)

    def kept(self, view: GenAISpan) -> dict[str, Any]:
        """The span's own attributes, without those that are replaced."""
        return {k: v for k, v in view.attributes.items() if k not in self.replaced}

    def encode(self, items: Sequence[Item]) -> bytes:
        """An ExportTraceServiceRequest in protobuf."""
        body: bytes = encode_spans([item.data for item in items]).SerializeToString()
        return body

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Requests within the vendor's limits. A span that cannot be encoded costs itself only."""
        same, limits = tuple(items), self.limits
        try:
            return list(pack(same, self.encode, limits.max_items, limits.max_bytes))
        except _UNENCODABLE:
            good = filter(None, map(self._mended, same))
            return list(pack(good, self.encode, limits.max_items, limits.max_bytes))

    def _mended(self, item: Item) -> Item | None:
        """`item` if it can be encoded, cleaned of what cannot be if need be, else None."""
        try:
            self.encode((item,))
        except _UNENCODABLE:
            cleaned = replace(item, data=clean(item.data))
            with suppress_errors(f"export.{self.name}.encoding"):
                self.encode((cleaned,))
                return cleaned
            return None
        return item

    def shrink(self, item: Item, excess: int) -> Item | None:
        """`item` with its largest attributes cut, inside their JSON if they are JSON."""
        attributes = dict(item.data.attributes)
        names = [k for k, v in attributes.items() if isinstance(v, str) and len(v) > SHORTEST_CUT]
        if not names:
            return None
        sizes = [len(attributes[name].encode("utf-8", "replace")) for name in names]
        for index, less in cuts(sizes, excess):
            attributes[names[index]] = _shorter(attributes[names[index]], less)
        return replace(item, data=copy_of(item.data, attributes))

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """The partial success of an OTLP answer; it does not say which spans."""
        try:
            partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
        except DecodeError:  # JSON or nothing: some services answer what they like
            return
        if partial.rejected_spans > 0:
            yield Refusal(partial.error_message, count=partial.rejected_spans)


def _shorter(text: str, excess: int) -> str:
    tree = parse(text) if text[:1] in "[{" else None
    size = len(text.encode("utf-8", "replace")) - excess
    if isinstance(tree, list | dict) and (shrunk := shrink(tree, max(size, 2))) is not None:
        return dumps(shrunk).decode()
    return cut(text, excess)


def copy_of(
    span: ReadableSpan,
    attributes: Mapping[str, Any],
    *,
    name: str | None = None,
    status: Status | None = None,
    resource: Resource | None = None,
    content: bool = True,
) -> ReadableSpan:
    """A finished copy of `span` with other attributes, and other parts where given."""
    return ReadableSpan(
        name=_plain(span.name if name is None else name),
        context=span.context,
        parent=span.parent,
        resource=span.resource if resource is None else resource,
        attributes=_cleaned(attributes),
        events=_events(span, content=content),
        links=span.links,
        kind=span.kind,
        status=span.status if status is None else status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def clean(span: ReadableSpan) -> ReadableSpan:
    """A copy of `span` without half characters in its status and resource, too.

    They are rare there, and looking for them in every span would cost every span.
    """
    status, told = span.status, span.status.description
    return copy_of(
        span,
        span.attributes or {},
        status=Status(status.status_code, _plain(told)) if told else status,
        resource=Resource(_cleaned(span.resource.attributes)),
    )


def _events(span: ReadableSpan, *, content: bool) -> Sequence[Event]:
    """The events; free text, which those of stages have none of, without half characters."""
    events = span.events
    if all(event.name.startswith(s.STAGE_PREFIX) for event in events):
        return events
    if not content:
        kept = (s.STAGE_PREFIX, s.EVENT_EXCEPTION)
        events = [event for event in events if event.name.startswith(kept)]
    return [
        Event(_plain(event.name), _cleaned(event.attributes), event.timestamp) for event in events
    ]


def _cleaned(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {_plain(k): _plain(v) for k, v in (attributes or {}).items() if v is not None}


def item_of(span: ReadableSpan) -> Item:
    """An item that is not a GenAI span; its ids must be valid."""
    context = span.get_span_context()
    trace_id, span_id = (context.trace_id, context.span_id) if context else (0, 0)
    return Item(str(key_of(format_trace_id(trace_id), format_span_id(span_id))), span)


def is_valid(span: ReadableSpan) -> bool:
    """Are ids and times such that a service takes them? One that is not can cost a batch."""
    context = span.get_span_context()
    times = (span.start_time or 0, span.end_time or 0)
    return context is not None and context.is_valid and all(0 <= time < _DURATION for time in times)


def _plain(value: Any) -> Any:
    """`value` without what OTLP's protobuf refuses: half characters, giant integers."""
    if type(value) is str:
        return value if value.isascii() or _is_whole(value) else _whole(value)
    if type(value) is int:
        return whole(value)
    if type(value) is float or type(value) is bool:
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        # Not every service reads maps, and no SDK before 1.40 sends them.
        return _plain(to_text(plain(value)))
    return value


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
