"""Large content goes to a file system or an object store; the span keeps a reference.

    exporter = Offloading(OTLPSpanExporter(), "s3://traces/content")

Prompts are most of a span's bytes. What is above a size is written, on the exporter's own
thread, to `<store>/<first two digits>/<sha256>.json`, and the attribute becomes its URL, hash
and size; `restored` puts it back. The same text is one file however often it is sent, so a
repeat is harmless. A store that fails or hangs costs an export at most `timeout` seconds, then
nothing for a while: the spans leave with their content in them, as if there were no store.
Any store that fsspec knows will do: https://filesystem-spec.readthedocs.io
"""

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan import semconv as s
from litespan.counters import count
from litespan.export.otlp import copy_of
from litespan.quiet import log_once, quiet

STORE: Final = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"
"""Variable: where to write, an fsspec URL (`file:///…`, `s3://…`, `gs://…`, `abfs://…`)."""
ABOVE: Final = "LITESPAN_OFFLOAD_ABOVE"
"""Variable: content of more bytes than this is written (default 8192)."""

CONTENT: Final = (s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS)
_WORKERS: Final = 8
_REMEMBERED: Final = 4096  # contents that are known to be in the store
_PAUSE: Final = 30.0  # s without a store after it failed


class Unrestorable(Exception):
    """The content is not in the store, or not what was put there; the text says which."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a content is."""

    url: str
    sha256: str  # hex
    size: int  # bytes

    def attributes(self, name: str) -> dict[str, str | int]:
        """What stands on the span in place of the attribute `name`."""
        return {
            name + s.REFERENCE: self.url,
            name + s.REFERENCE_SHA256: self.sha256,
            name + s.REFERENCE_SIZE: self.size,
        }


class Store:
    """Writes contents under a URL. Never raises, never waits beyond its time."""

    def __init__(self, url: str, timeout: float = 5.0, **options: Any) -> None:
        """Nothing is opened yet.

        Args:
            url: fsspec URL of a folder or prefix.
            timeout: seconds that one `put_all` may take.
            options: for fsspec, such as `key` and `secret` of an object store.

        Raises:
            ImportError: fsspec is missing; the text says what to install.
        """
        try:
            import fsspec  # noqa: F401
        except ImportError as error:
            raise ImportError("content offload needs fsspec: pip install litespan[offload]") from (
                error
            )
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.options = options
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._hung = 0  # threads of earlier calls that the store has not let go

    def reference(self, content: bytes) -> Reference:
        """Where this content is, or would be. Pure."""
        digest = hashlib.sha256(content).hexdigest()
        return Reference(f"{self.url}/{digest[:2]}/{digest}.json", digest, len(content))

    def put_all(self, contents: Iterable[bytes]) -> set[str]:
        """Write them; the hashes of those that are in the store when the time is up."""
        wanted = {self.reference(content).sha256: content for content in contents}
        with self._lock:
            missing = [digest for digest in wanted if digest not in self._known]
        if not missing:
            return set(wanted)
        if time.monotonic() < self._not_before or self._hung >= _WORKERS:
            count("offload.skipped", len(missing))
            return set(wanted) - set(missing)
        until = time.monotonic() + self.timeout
        threads = [
            threading.Thread(target=self._work, args=(missing, wanted), daemon=True)
            for _ in range(min(_WORKERS, len(missing)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.0))
        with self._lock:
            done = {digest for digest in wanted if digest in self._known}
        if len(done) < len(wanted):
            self._not_before = time.monotonic() + _PAUSE
            count("offload.failed", len(wanted) - len(done))
            log_once(
                "offload.failed",
                "offload: the store did not take %d content(s) in %g s: they stay on their spans, "
                "and the store is left alone for %g s (logged once)",
                len(wanted) - len(done),
                self.timeout,
                _PAUSE,
            )
        return done

    def _work(self, missing: list[str], wanted: Mapping[str, bytes]) -> None:
        """Take one content after another; several threads share the list."""
        with self._lock:
            self._hung += 1
        with suppress_instrumentation(), quiet("offload"):
            while True:
                with self._lock:
                    if not missing:
                        break
                    digest = missing.pop()
                self._put(wanted[digest])
                with self._lock:
                    self._known[digest] = None
                    if len(self._known) > _REMEMBERED:
                        self._known.popitem(last=False)
                count("offload.written")
        with self._lock:
            self._hung -= 1

    def _put(self, content: bytes) -> None:
        import fsspec

        reference = self.reference(content)
        files, path = fsspec.core.url_to_fs(reference.url, **self.options)
        if files.exists(path):
            return
        files.makedirs(files._parent(path), exist_ok=True)  # noqa: SLF001 - fsspec's own idiom
        # Whole or not at all: object stores write so, and a file is renamed into place.
        with files.transaction, files.open(path, "wb") as file:
            file.write(content)


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
            store: fsspec URL, else OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH.
            above: bytes, else LITESPAN_OFFLOAD_ABOVE, else 8192.

        Raises:
            ImportError: fsspec is missing.
            ValueError: no store is named, or the size is no number; the text says so.
        """
        self.exporter = exporter
        named = store or os.environ.get(STORE, "").strip()
        if not named:
            raise ValueError(f"content offload has no store: pass its URL or set {STORE}")
        size = os.environ.get(ABOVE, "").strip() or "8192"
        if not size.isdecimal():
            raise ValueError(f"{ABOVE} is {size!r}, not a number of bytes")
        self.above = int(size) if above is None else above
        self.store = Store(named) if isinstance(named, str) else named

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the large contents, then export the spans, whatever became of the writing."""
        with quiet("offload"):
            spans = offloaded(spans, self.store, self.above)
        return self.exporter.export(spans)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self.exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Stop the exporter."""
        self.exporter.shutdown()


def offloaded(spans: Sequence[ReadableSpan], store: Store, above: int) -> list[ReadableSpan]:
    """The spans, with references in place of the contents that the store has taken."""
    large = [dict(_contents(span, above)) for span in spans]
    done = store.put_all(content for found in large for content in found.values())
    return [
        _with_references(span, found, store, done) for span, found in zip(spans, large, strict=True)
    ]


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


def restored(attributes: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The attributes with every offloaded content in its place again.

    Args:
        attributes: of a span, or `GenAISpan.facts`, or a stored row's.
        options: for fsspec.

    Raises:
        Unrestorable: a content cannot be read, or its hash is another.
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


def read(url: str, sha256: str | None = None, **options: Any) -> str:
    """The content at `url`. Raises Unrestorable if it is not there or has another hash."""
    import fsspec

    try:
        with fsspec.open(url, "rb", **options) as file:
            content: bytes = file.read()
    except Exception as error:  # each kind of store raises its own
        raise Unrestorable(f"{url} cannot be read: {type(error).__name__}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise Unrestorable(f"{url} is not the content that was written: its hash is another")
    return content.decode()
