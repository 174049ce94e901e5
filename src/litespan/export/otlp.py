"""`OtlpExporter`: the base class for services that accept OTLP.

Each service receives its own copy of the span with the attributes that it reads. The span itself,
which other processors share, is not changed.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export.batching import SHORTEST_CUT, Batch, Item, cut, cuts, pack, shrink
from litespan.export.client import Answer, Secret
from litespan.export.encodable import copy_of, encodable, encodable_attributes
from litespan.export.http import HttpExporter
from litespan.export.policy import Refusal
from litespan.genai.keys import key_of_context
from litespan.genai.span import GenAISpan
from litespan.genai.values import parse
from litespan.objects import json_bytes
from litespan.otlp import encoding

CONTENT_TYPE: Final = "application/x-protobuf"
_UNENCODABLE: Final = (ValueError, TypeError)  # raised by protobuf for values that do not fit
_TIME_LIMIT: Final = 2**64  # ns since the epoch; the range of OTLP


class OtlpExporter(HttpExporter):
    """Base class of OTLP vendors. Subclasses implement `attributes`, a pure function."""

    replaced: ClassVar[frozenset[str]] = frozenset()
    """Attributes to leave out of the copy, because added attributes replace them."""

    content = True
    """Whether to send events with content."""
    resource = Resource({})
    """Attributes to add to the span's resource; they take precedence."""
    _merged: tuple[Resource, Resource] | None = None  # the last resource, and with ours

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """Attributes to add to the copy of a GenAI span; None removes an attribute."""
        raise NotImplementedError

    def connect(
        self, url: str, headers: Mapping[str, str | Secret], socket: str | None = None
    ) -> None:
        """Turn the exporter on. `url` is the full URL for traces."""
        super().connect(url, {"Content-Type": CONTENT_TYPE, **headers}, socket)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """An enriched copy of each GenAI span."""
        mapping = f"export.{self.name}.mapping"
        for span in spans:
            with suppress_errors(mapping):
                view = GenAISpan.read(span)
                if view is not None and self.takes(span):
                    yield Item(view.key_text, self.copy(span, view))

    def takes(self, span: ReadableSpan) -> bool:
        """Whether the span has valid ids and times. Counts invalid spans."""
        if is_valid(span):
            return True
        count(f"export.{self.name}.dropped")
        count(f"export.{self.name}.dropped.invalid")
        log_once(
            f"export.{self.name}.dropped.invalid",
            "%s: 1 span(s) dropped: invalid: no ids, or times out of range (logged once)",
            self.name,
        )
        return False

    def copy(self, span: ReadableSpan, view: GenAISpan, **fields: Any) -> ReadableSpan:
        """The copy of the span for this service, with other `fields` of `copy_of`."""
        if view.error is not None and span.status.status_code is StatusCode.UNSET:
            fields.setdefault("status", Status(StatusCode.ERROR, view.error.message))
        copied = {**self.kept(view), **self.attributes(view)}
        resource = self.add_to(span.resource)
        return copy_of(span, copied, resource=resource, content=self.content, **fields)

    def add_to(self, resource: Resource) -> Resource:
        """`resource` with the attributes of the exporter's own."""
        if not self.resource.attributes:
            return resource
        last = self._merged
        if last is None or last[0] is not resource:
            last = self._merged = (resource, resource.merge(self.resource))
        return last[1]

    def kept(self, view: GenAISpan) -> dict[str, Any]:
        """The span's own attributes, without those that are replaced."""
        return {k: v for k, v in view.attributes.items() if k not in self.replaced}

    def encode(self, items: Sequence[Item]) -> bytes:
        """An ExportTraceServiceRequest in protobuf."""
        return encoding.encode([item.data for item in items])

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Put items into batches within the limits, without spans that cannot be encoded."""
        same, limits = tuple(items), self.limits
        try:
            return list(pack(same, self.encode, limits.max_items, limits.max_bytes))
        except _UNENCODABLE:
            valid = filter(None, map(self._encodable, same))
            return list(pack(valid, self.encode, limits.max_items, limits.max_bytes))

    def _encodable(self, item: Item) -> Item | None:
        """`item`, cleaned if necessary; None if it cannot be encoded."""
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
        """Truncate the largest attributes of `item`, inside their JSON if they are JSON."""
        attributes = dict(item.data.attributes)
        names = [k for k, v in attributes.items() if isinstance(v, str) and len(v) > SHORTEST_CUT]
        if not names:
            return None
        sizes = [len(attributes[name].encode("utf-8", "replace")) for name in names]
        for index, less in cuts(sizes, excess):
            attributes[names[index]] = _shorter(attributes[names[index]], less)
        return replace(item, data=copy_of(item.data, attributes))

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Partial success of an OTLP answer, which does not name the spans."""
        try:
            partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
        except DecodeError:  # some services answer with JSON or nothing
            return
        if partial.rejected_spans > 0:
            yield Refusal(partial.error_message, count=partial.rejected_spans)


def _shorter(text: str, excess: int) -> str:
    tree = parse(text) if text[:1] in "[{" else None
    size = len(text.encode("utf-8", "replace")) - excess
    if isinstance(tree, list | dict) and (shrunk := shrink(tree, max(size, 2))) is not None:
        return json_bytes(shrunk).decode()
    return cut(text, excess)


def clean(span: ReadableSpan) -> ReadableSpan:
    """A copy of `span` without lone surrogates, including in its status and resource.

    They are rare there, so this is only called if encoding fails.
    """
    status, description = span.status, span.status.description
    return copy_of(
        span,
        span.attributes or {},
        status=Status(status.status_code, encodable(description)) if description else status,
        resource=Resource(encodable_attributes(span.resource.attributes)),
    )


def item_of(span: ReadableSpan) -> Item:
    """An item for any span with valid ids."""
    return Item(key_of_context(span.get_span_context()), span)


def is_valid(span: ReadableSpan) -> bool:
    """Whether ids and times are valid. One invalid span can fail a whole batch."""
    context = span.get_span_context()
    times = (span.start_time or 0, span.end_time or 0)
    return (
        context is not None and context.is_valid and all(0 <= time < _TIME_LIMIT for time in times)
    )
