"""Spans with references in place of large content, and an exporter that sends such."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.export.otlp import copy_of
from litespan.offload.content_store import Store
from litespan.settings import Settings

CONTENT: Final = (s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS)


class Offloading(SpanExporter):
    """An exporter whose spans leave with references in place of large content."""

    def __init__(
        self,
        exporter: SpanExporter,
        store: str | Store | None = None,
        above: int | None = None,
    ) -> None:
        """Wrap `exporter`.

        Args:
            exporter: gets the spans.
            store: fsspec URL or path, else LITESPAN_OFFLOAD.
            above: bytes, else LITESPAN_OFFLOAD_ABOVE, else 8192.

        Raises:
            ImportError: fsspec, or its driver of the store, is missing.
            ValueError: no store is named, or there is none of its kind.
        """
        settings = Settings.from_env()
        named = store or settings.offload
        if not named:
            raise ValueError("content offload has no store: pass its URL or set LITESPAN_OFFLOAD")
        self.exporter = exporter
        self.above = settings.offload_above if above is None else above
        self.store = Store(named) if isinstance(named, str) else named

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the large contents, then export the spans, whatever became of the writing."""
        return self.exporter.export(offloaded(spans, self.store, self.above))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self.exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Stop the exporter."""
        self.exporter.shutdown()


def offloaded(spans: Sequence[ReadableSpan], store: Store, above: int) -> Sequence[ReadableSpan]:
    """The spans, with references in place of the contents that the store has taken.

    What is `above` so many bytes is written. If all fails, these are the spans as they were.
    """
    with suppress_errors("offload"):
        large = [dict(_contents(span, above)) for span in spans]
        done = store.put_all(content for found in large for content in found.values())
        return [
            _with_references(span, found, store, done)
            for span, found in zip(spans, large, strict=True)
        ]
    return spans


def _with_references(
    span: ReadableSpan, large: Mapping[str, bytes], store: Store, done: set[str]
) -> ReadableSpan:
    found = {name: store.reference(content) for name, content in large.items()}
    taken = {name: reference for name, reference in found.items() if reference.sha256 in done}
    if not taken:
        return span
    attributes: dict[str, Any] = dict(span.attributes or {})
    for name, reference in taken.items():
        del attributes[name]
        attributes |= reference.attributes(name)
    return copy_of(span, attributes)


def _contents(span: ReadableSpan, above: int) -> Iterable[tuple[str, bytes]]:
    attributes = span.attributes or {}
    for name in CONTENT:
        value = attributes.get(name)
        if isinstance(value, str) and len(value) * 4 > above:
            content = value.encode("utf-8", "replace")
            if len(content) > above:
                yield name, content
