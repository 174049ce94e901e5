"""`litespan.start`: a provider, exporters and the instrumentation in one call."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from litespan.callbacks.flush import flush
from litespan.detect import detect
from litespan.errors import log_once, suppress_errors
from litespan.export import provider
from litespan.instrumentation.signals import Live, Signals
from litespan.instrumentor import LiteLLMInstrumentor
from litespan.routing.destinations import BadRoute, create_exporter, created_by_sdk
from litespan.spool import batches
from litespan.variables import names_service

STORE: Final = "sqlite"
LIVE: Final = "live"
_FLUSH: Final = 5.0  # s
_lock: Final = Lock()


class Exports(SpanProcessor):
    """Sends every span to the exporters of `start`, in the SDK's batches.

    A span processor cannot be removed from its provider, so there is one whose exporters change.
    """

    def __init__(self) -> None:
        self.batches: Mapping[str | int, SpanProcessor] = {}

    def add(self, key: str | int, exporter: SpanExporter, spool: str | None = None) -> None:
        """Add an exporter."""
        self.batches = {**self.batches, key: batches(exporter, spool)}

    def remove(self, key: str | int) -> None:
        """Remove an exporter and shut it down."""
        batch = self.batches[key]
        self.batches = {other: kept for other, kept in self.batches.items() if other != key}
        with suppress_errors("shutting down an exporter"):
            batch.shutdown()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span for each exporter."""
        for batch in self.batches.values():
            batch.on_end(span)

    def shutdown(self) -> None:
        """Export pending spans, and shut down the exporters."""
        for key in list(self.batches):
            self.remove(key)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export pending spans."""
        done = [each.force_flush(timeout_millis) is not False for each in self.batches.values()]
        return all(done)


_exports: Final[dict[int, tuple[Any, Exports]]] = {}  # by id of the provider, which is kept alive


class _Content:
    """The content mode: of the last `start(content=…)` that runs, else of the settings."""

    def __init__(self) -> None:
        self._signals: Signals | None = None
        self._mode = ""  # of the settings
        self._modes: dict[Started, str] = {}

    def add(self, started: "Started", *, content: bool) -> None:
        signals = Live.signals
        if signals is None:
            return
        if signals is not self._signals:
            self._signals, self._mode, self._modes = signals, signals.settings.content, {}
        self._modes[started] = "SPAN_ONLY" if content else "NO_CONTENT"
        self._apply()

    def remove(self, started: "Started") -> None:
        if self._modes.pop(started, None) is not None:
            self._apply()

    def _apply(self) -> None:
        if self._signals is not None:
            mode = next(reversed(self._modes.values()), self._mode)
            self._signals.settings = replace(self._signals.settings, content=mode)


_content: Final = _Content()


class Started:
    """What one `litespan.start` has set up; `stop()` and the end of a `with` block undo it.

    Attributes:
        provider: the tracer provider that is used, for spans of your own.
    """

    def __init__(self, current: Any, added: Iterable[str | int], *, instrumented: bool) -> None:
        self.provider: Any = current
        self._added = list(added)
        self._instrumented = instrumented

    def flush(self, timeout: float = _FLUSH) -> bool:
        """Deliver everything that was recorded so far: see `litespan.flush`."""
        return flush(timeout)

    def stop(self) -> None:
        """Deliver what is recorded, and remove what this `start` has added. Safe to call twice.

        The tracer provider stays: OpenTelemetry's global provider cannot be removed.
        """
        with _lock, suppress_errors("stopping"):
            added, self._added = self._added, []
            if added or self._instrumented:
                flush(_FLUSH)
            _content.remove(self)
            for key in added:
                _exports[id(self.provider)][1].remove(key)
            if self._instrumented:
                self._instrumented = False
                LiteLLMInstrumentor().uninstrument()

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    *exporters: str | SpanExporter, content: bool | None = None, spool: str | None = None
) -> Started:
    """Record LiteLLM calls from now on: one call for scripts, notebooks, servers and tests.

    It uses the global tracer provider, or sets one up, and instruments LiteLLM. Calling it again
    adds the exporters that are not there yet. An exporter that cannot be used is reported in one
    line, and the others work.

    Args:
        exporters: names, as in `OTEL_TRACES_EXPORTER`, or `SpanExporter`s. Without any: those
            whose variables are set, the SQLite store, and in notebooks a line for each call.
        content: whether to record messages, until `stop()`; None: as the environment says, by
            default not.
        spool: the folder of the spool for these exporters; None: `LITESPAN_SPOOL`.

    Returns:
        A handle with `stop()` and `flush()`, which is also a context manager.
    """
    with _lock:
        instrumentor = LiteLLMInstrumentor()
        before = instrumentor.is_instrumented_by_opentelemetry
        given = Live.signals.providers[0] if Live.signals is not None else None
        current: Any = given or _provider()
        added = _add(current, exporters or _default(), spool)
        if not before:
            instrumentor.instrument()
        started = Started(current, added, instrumented=not before)
        if content is not None:
            _content.add(started, content=content)
        return started


def _provider() -> Any:
    if provider.missing():
        trace.set_tracer_provider(TracerProvider(resource=Resource.create(_service())))
    return trace.get_tracer_provider()


def _service() -> dict[str, str]:
    """The name of the service, unless the environment names it."""
    if names_service(os.environ):
        return {}
    if in_notebook():
        return {"service.name": "notebook"}
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec is not None else Path(sys.argv[0]).stem
    return {"service.name": name} if name and name != "-c" else {}


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    return "ipykernel" in sys.modules


def _default() -> list[str | SpanExporter]:
    names, lines = detect(os.environ)
    for line in lines:
        log_once(f"start:{line}", "%s", line)
    return [*names, STORE, *([LIVE] if in_notebook() else [])]


def _checked(exporter: SpanExporter) -> SpanExporter:
    """Return an exporter that the application has passed. Raises BadRoute if it is none."""
    if isinstance(exporter, type) or not hasattr(exporter, "export"):
        given: Any = exporter
        found = given.__name__ if isinstance(given, type) else f"a {type(given).__name__}"
        raise BadRoute(f"{found} is not an exporter: pass a name or a SpanExporter")
    return exporter


def _add(
    current: Any, exporters: Iterable[str | SpanExporter], spool: str | None
) -> list[str | int]:
    """Add the exporters that the provider does not have yet. Returns their keys."""
    if not hasattr(current, "add_span_processor"):
        log_once(
            "start:provider",
            "litespan.start: the tracer provider %s is not OpenTelemetry's SDK, so it cannot have "
            "exporters: call litespan.start() before anything else sets a provider",
            type(current).__name__,
        )
        return []
    if id(current) not in _exports:
        _exports[id(current)] = (current, Exports())
        current.add_span_processor(_exports[id(current)][1])
    processor = _exports[id(current)][1]
    added: list[str | int] = []
    for entry in exporters:
        key = entry if isinstance(entry, str) else id(entry)
        if key in processor.batches or (isinstance(entry, str) and created_by_sdk(entry)):
            continue
        try:
            exporter = create_exporter(entry) if isinstance(entry, str) else _checked(entry)
        except BadRoute as error:
            log_once(f"start:{key}", "litespan.start: %s", error)
            continue
        processor.add(key, exporter, spool)
        added.append(key)
    return added
