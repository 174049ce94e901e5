"""`StoreExporter`: the base class of exporters that write rows to a database or file.

A store is one small class that writes and closes (`store.Store`) and one subclass of
`StoreExporter` that opens it. Retries, buffering, forks and shutdown are the same for all.
"""

import atexit
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.background import fork
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export.exporter_metrics import ExporterMetrics
from litespan.export.policy import Tally, overridden
from litespan.stores.buffer import Limits, Row
from litespan.stores.rows import rows
from litespan.stores.store import Away, Refused, Store
from litespan.stores.writer import Writer

_FORK_WAIT: Final = 3.0  # s to wait for a write before a fork


class StoreExporter(SpanExporter, ABC):
    """Base class of stores. Subclasses set the class attributes and implement `connect`."""

    name: ClassVar[str]
    """The name in `OTEL_TRACES_EXPORTER`."""
    limits: ClassVar[Limits] = Limits()
    needs: ClassVar[tuple[str, ...]] = ()
    """Modules to import before `connect`, from the extra with the store's name."""
    fork_safe: ClassVar[bool] = True
    """Whether the store may stay open during a fork if the child does not use it.

    If not, it is also closed at exit, even without `shutdown`.
    """

    def __init__(self, *, content: bool = True, **limits: Any) -> None:
        """Create an exporter that is off until `turn_on` is called.

        Args:
            content: whether to store captured content.
            limits: fields of `Limits` that override the store's.
        """
        self.content = content
        self.bounds = overridden(self.limits, limits, type(self)) if limits else self.limits
        self.problem = ""  # why the exporter is off or its store unavailable
        self.place = ""  # where it writes, without credentials
        self.last = Tally()  # result of the last export
        self._writer: Writer | None = None
        # Kept after a fork, because only the parent may close their connections.
        self._of_parents: list[Writer] = []
        self._paused: Writer | None = None  # around a fork

    # --- configuration -------------------------------------------------------------------

    @abstractmethod
    def connect(self) -> Store:
        """Open the store, on the writer's thread, for the first row and after a failure.

        Raises:
            Away: the store is unavailable; the message says why and how to fix it.
        """

    def setting(self, argument: str | None, *variables: str, default: str = "") -> str:
        """The argument, else the first of the environment variables that is set."""
        values = (argument, *(os.environ.get(name) for name in variables), default)
        return next((value.strip() for value in values if value and value.strip()), "")

    def file(self, path: str | os.PathLike[str] | None, variable: str, default: str) -> Path:
        """The absolute path: the argument, else the environment variable, else `default`."""
        given = None if path is None else os.fspath(path)
        return Path(self.setting(given, variable, default=default)).expanduser().absolute()

    def disable(self, problem: str, fix: str) -> None:
        """Stay off: store nothing, and log what is wrong and how to fix it."""
        self.problem = f"{problem}: {self.name} export is off; {fix}"
        log_once(f"off.{self.name}.{problem}", "%s", self.problem)

    def turn_on(self, place: str) -> None:
        """Turn the exporter on. The first span opens the store.

        Args:
            place: where rows are written, for logs, without credentials.
        """
        packages = (module.partition(".")[0] for module in self.needs)
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            self.disable(f"{missing[0]} is not installed", f"pip install 'litespan[{self.name}]'")
            return
        self.place = place
        self._metrics = ExporterMetrics(type(self), place)
        self._writer = Writer(self._connect, self.bounds, self)
        fork.register(
            self,
            before=StoreExporter._before_fork,
            after_in_parent=StoreExporter._after_in_parent,
            after_in_child=StoreExporter._after_in_child,
        )
        if not self.fork_safe:
            atexit.register(_call, weakref.WeakMethod(self._before_exit))

    # --- SpanExporter --------------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one row for each call. Never raises.

        FAILURE means that rows are not in the store yet. They are kept within limits and written
        when the store is available again.
        """
        self.last = Tally()
        if self._writer is None:
            return SpanExportResult.FAILURE
        with suppress_errors(f"export.{self.name}"):
            made = self._rows(spans)
            if not made:
                return SpanExportResult.SUCCESS
            started = time.perf_counter()
            self._metrics.begin(len(made))
            ticket = self._writer.put(made)
            done = self._writer.wait(ticket)
            unwritten = Counter() if done else ticket.lost + Counter(kept=ticket.pending)
            self.last = Tally(sent=len(made) - unwritten.total(), dropped=unwritten)
            self._metrics.end(len(made), self.last, time.perf_counter() - started)
            return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE
        return SpanExportResult.FAILURE

    def export_started(self, spans: Sequence[ReadableSpan]) -> None:
        """Write rows of started calls without waiting. Never raises.

        The row of the finished span replaces them.
        """
        if self._writer is not None:
            with suppress_errors(f"export.{self.name}"):
                self._writer.offer(self._rows(spans))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write waiting rows; False if not all are written in time."""
        return self._writer is None or self._writer.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write waiting rows within a few seconds, and close the store."""
        if self._writer is not None:
            with suppress_errors(f"export.{self.name}.shutdown"):
                self._writer.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place or 'off'}>"

    def _rows(self, spans: Sequence[ReadableSpan]) -> list[Row]:
        return rows(spans, content=self.content)

    def _connect(self) -> Store:
        with fork.import_lock:
            for module in self.needs:
                import_module(module)
        return self.connect()

    def _before_fork(self) -> None:
        """Close a store that must not be open during a fork."""
        writer = self._writer
        if not self.fork_safe and writer is not None and writer.pause(_FORK_WAIT):
            self._paused = writer

    def _before_exit(self) -> None:
        """Close a store that must not be open at exit. Later rows open it again."""
        self._before_fork()
        self._after_in_parent()

    def _after_in_parent(self) -> None:
        writer, self._paused = self._paused, None
        if writer is not None:
            writer.resume()

    def _after_in_child(self) -> None:
        """Use a new writer; unwritten rows belong to the parent."""
        if self._writer is None:
            return
        self._of_parents.append(self._writer)
        if self.fork_safe or self._paused is not None:
            self._writer = Writer(self._connect, self.bounds, self)
        else:
            self._writer = None
            self.disable("the process forked during a write", "restart it")
        self._paused = None

    # --- calls from the writer ----------------------------------------------------------

    def written(self, rows: int) -> None:
        """Count written rows."""
        self.problem = ""
        count(f"export.{self.name}.sent", rows)

    def retrying(self, away: Away, rows: int) -> None:
        """Count a failed write, and log once for each cause."""
        self.problem = str(away)
        count(f"export.{self.name}.retried")
        log_once(
            f"export.{self.name}.{away.cause}",
            "%s: %s; %d row(s) are kept and retried (logged once)",
            self.name,
            away,
            rows,
        )

    def dropped(self, cause: str, rows: int) -> None:
        """Count dropped rows, and log once for each cause."""
        if not rows:
            return
        count(f"export.{self.name}.dropped", rows)
        count(f"export.{self.name}.dropped.{cause}", rows)
        why = {
            "buffer_full": "the store was unavailable for too long",
            "shutdown": "the process ended before they were written: "
            + (self.problem or "the store was too slow; call force_flush() earlier"),
            "refused": "the store rejected them, see above",
        }
        log_once(
            f"export.{self.name}.dropped.{cause}",
            "%s: %d row(s) dropped: %s (logged once)",
            self.name,
            rows,
            why[cause],
        )

    def refused(self, error: BaseException) -> None:
        """Log once for each kind of error why a row was rejected.

        Messages of libraries are not logged, because they can contain content.
        """
        why = str(error) if isinstance(error, Refused) else type(error).__name__
        log_once(
            f"export.{self.name}.{why}", "%s: a row was rejected: %s (logged once)", self.name, why
        )


def _call(method: "weakref.WeakMethod[Callable[[], None]]") -> None:
    if (alive := method()) is not None:
        alive()
