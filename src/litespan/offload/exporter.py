"""Replaces large content of spans with references before they are exported, and reads it back."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.export.encodable import copy_of
from litespan.offload.content_store import Store
from litespan.settings import Settings

CONTENT: Final = (
    *(s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS),
    *(s.TOOL_ARGUMENTS, s.TOOL_RESULT),
)


class Offloading(SpanExporter):
    """Wraps an exporter, which then receives references in place of large content."""

    def __init__(
        self, exporter: SpanExporter, store: str | Store | None = None, above: int | None = None
    ) -> None:
        """Wrap `exporter`.

        Args:
            exporter: receives the spans.
            store: fsspec URL or path; default LITESPAN_OFFLOAD.
            above: size in bytes above which content is written; default LITESPAN_OFFLOAD_ABOVE,
                else 8192.

        Raises:
            ImportError: fsspec or its driver for the store is missing.
            ValueError: no store is set, or fsspec does not know this kind of store.
        """
        settings = Settings.from_env()
        named = store or settings.offload
        if not named:
            raise ValueError("content offload has no store: pass its URL or set LITESPAN_OFFLOAD")
        self.exporter = exporter
        self.above = settings.offload_above if above is None else above
        self.store = Store(named) if isinstance(named, str) else named

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write large contents, then export the spans, even if writing failed."""
        return self.exporter.export(offloaded(spans, self.store, self.above))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self.exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut down the exporter."""
        self.exporter.shutdown()


def offloaded(spans: Sequence[ReadableSpan], store: Store, above: int) -> Sequence[ReadableSpan]:
    """The spans with references in place of content larger than `above` bytes.

    Content that could not be written stays. Never raises.
    """
    with suppress_errors("offload"):
        large = [dict(_contents(span, above)) for span in spans]
        stored = store.put_all(content for found in large for content in found.values())
        return [
            _with_references(span, found, store, stored)
            for span, found in zip(spans, large, strict=True)
        ]
    return spans


def _with_references(
    span: ReadableSpan, large: Mapping[str, bytes], store: Store, stored: set[str]
) -> ReadableSpan:
    found = {name: store.reference(content) for name, content in large.items()}
    written = {name: reference for name, reference in found.items() if reference.sha256 in stored}
    if not written:
        return span
    attributes: dict[str, Any] = dict(span.attributes or {})
    for name, reference in written.items():
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


class Unrestorable(Exception):
    """The content is missing from the store, or differs from what was written."""


def restored(attributes: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The attributes with offloaded content in place of its references.

    Args:
        attributes: of a span or a stored row, or `GenAISpan.facts`.
        options: for fsspec.

    Raises:
        Unrestorable: some content cannot be read, or its hash differs.
    """
    found = dict(attributes)
    for name in CONTENT:
        url = found.get(name + s.REFERENCE)
        if isinstance(url, str):
            digest = found.get(name + s.REFERENCE_SHA256)
            found[name] = read(url, digest if isinstance(digest, str) else None, **options)
            for suffix in (s.REFERENCE, s.REFERENCE_SHA256, s.REFERENCE_SIZE):
                found.pop(name + suffix, None)
    return found


def with_content(span: ReadableSpan, **options: Any) -> ReadableSpan:
    """The span with offloaded content in place of its references. Raises Unrestorable."""
    attributes = span.attributes or {}
    if not any(name + s.REFERENCE in attributes for name in CONTENT):
        return span
    return copy_of(span, restored(attributes, **options))


def read(url: str, sha256: str | None = None, **options: Any) -> str:
    """The content at `url`. Raises Unrestorable if it is missing or its hash differs."""
    try:
        import fsspec

        with fsspec.open(url, "rb", **options) as file:
            content: bytes = file.read()
    except ImportError as error:
        raise Unrestorable(f"{url} cannot be read: {error}") from error
    except Exception as error:  # each driver raises its own exceptions
        raise Unrestorable(f"{url} cannot be read: {type(error).__name__}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise Unrestorable(f"{url} is not the content that was written: its hash differs")
    return content.decode()
