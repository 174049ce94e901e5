"""`StoreExporter`: rows in a database or file, as a `SpanExporter`.

A store is one small class that opens, writes and closes (`_writer.Store`) and one subclass
of this that says where it is. Retries, the buffer for bad times, forks and the end of the
process are the same for all.
"""

import atexit
import json
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.background import fork
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export.exporter_metrics import ExporterMetrics
from litespan.export.policy import Tally
from litespan.stores.buffer import Limits, Row
from litespan.stores.columns import Kind, clean, rows
from litespan.stores.writer import Away, Refused, Store, Writer


def clean_text(text: str) -> str:
    """`text` as any store takes it: no NUL, no half of a surrogate pair."""
    return text if text.isascii() and "\0" not in text else clean(text)


def clean_json(text: str) -> str:
    """JSON text as any store takes it: the same holds for the strings inside."""
    text = clean_text(text)
    if "\\u0000" not in text:
        return text
    return json.dumps(clean(json.loads(text)), ensure_ascii=False, separators=(",", ":"))


_FORK_WAIT: Final = 3.0  # s for a write to end before a fork

CLEAN: Final[dict[Kind, Callable[[Any], Any]]] = {
    "text": clean_text,
    "list": lambda texts: [clean_text(text) for text in texts],
    "json": clean_json,
}
"""What is done to the values of a kind before a store sees them."""


class StoreExporter(SpanExporter, ABC):
    """Base of the stores. Subclasses set the class attributes and write `connect`."""

    name: ClassVar[str]
    """As in `OTEL_TRACES_EXPORTER`."""
    limits: ClassVar[Limits] = Limits()
    needs: ClassVar[tuple[str, ...]] = ()
    """Modules that are imported before `connect`, of the extra with the store's name."""
    fork_safe: ClassVar[bool] = True
    """Can the store be open while the process forks, if the child does not use it?

    If not, it is not left open at the end of the process either, whoever forgets `shutdown`.
    """

    def __init__(self, *, content: bool = True, **limits: Any) -> None:
        """Off until `turn_on` is called.

        Args:
            content: whether captured messages are stored at all.
            limits: fields of `Limits`, to override the store's.
        """
        self.content = content
        self.bounds = replace(self.limits, **limits) if limits else self.limits
        self.problem = ""  # why the exporter is off, or its store away
        self.place = ""  # where it writes to, without secrets
        self._writer: Writer | None = None
        self._metrics: ExporterMetrics | None = None
        self._of_parents: list[Writer] = []  # their connections are not ours to close
        self._paused: Writer | None = None  # around a fork

    # --- configuration -------------------------------------------------------------------

    @abstractmethod
    def connect(self) -> Store:
        """Open the store: on a thread of the writer's, at the first row and after a failure.

        Raises:
            Away: it cannot be opened now; the message says why and what to do.
        """

    def setting(self, argument: str | None, *variables: str, default: str = "") -> str:
        """The argument, else the first of the environment variables that is set."""
        values = (argument, *(os.environ.get(name) for name in variables), default)
        return next((value.strip() for value in values if value and value.strip()), "")

    def off(self, problem: str, mend: str) -> None:
        """Stay off: nothing is stored, and one line says why and what to do."""
        self.problem = f"{problem}: {self.name} export is off; {mend}"
        log_once(f"off.{self.name}.{problem}", "%s", self.problem)

    def turn_on(self, place: str) -> None:
        """Accept spans. Nothing is opened before the first one.

        Args:
            place: where the rows go, for people to read: no secrets.
        """
        packages = [module.partition(".")[0] for module in self.needs]
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            self.off(f"{missing[0]} is not installed", f"pip install 'litespan[{self.name}]'")
            return
        self.place = place
        self._writer = Writer(self._connect, self.bounds, self)
        _look_after(self)

    # --- SpanExporter --------------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one row a call. Never raises.

        FAILURE says that rows are not in the store yet: they are kept, within limits, and
        written when the store is back.
        """
        if self._writer is None:
            return SpanExportResult.FAILURE
        with suppress_errors(f"export.{self.name}"):
            made = self._rows(spans)
            if not made:
                return SpanExportResult.SUCCESS
            begun = time.perf_counter()
            metrics = self._metrics_of()
            metrics.begin(len(made))
            ticket = self._writer.put(made)
            done = self._writer.wait(ticket)
            tally = Tally(sent=len(made) - ticket.open - ticket.lost)
            if missed := ticket.open + ticket.lost:
                tally.dropped["refused" if ticket.lost else "kept"] = missed
            metrics.end(len(made), tally, time.perf_counter() - begun)
            return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE
        return SpanExportResult.FAILURE

    def export_started(self, spans: Sequence[ReadableSpan]) -> None:
        """Put calls on record that have not ended, without waiting. Never raises.

        The finished span's row replaces the started one's.
        """
        if self._writer is not None:
            with suppress_errors(f"export.{self.name}"):
                self._writer.offer(self._rows(spans))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what is waiting; False if not all of it could be written in time."""
        return self._writer is None or self._writer.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write what is waiting, within a few seconds, and close the store."""
        if self._writer is not None:
            with suppress_errors(f"export.{self.name}.shutdown"):
                self._writer.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place or 'off'}>"

    def _rows(self, spans: Sequence[ReadableSpan]) -> list[Row]:
        return rows(spans, CLEAN, content=self.content)

    def _connect(self) -> Store:
        with fork.import_lock:
            for module in self.needs:
                import_module(module)
        return self.connect()

    def _metrics_of(self) -> ExporterMetrics:
        if self._metrics is None:
            self._metrics = ExporterMetrics(type(self), self.place)
        return self._metrics

    def _before_fork(self) -> None:
        """Close what a fork would break."""
        writer = self._writer
        if not self.fork_safe and writer is not None and writer.pause(_FORK_WAIT):
            self._paused = writer

    def _before_exit(self) -> None:
        """Close what would break in an interpreter that ends; what still comes opens it again."""
        writer = self._writer
        if writer is not None and writer.pause(_FORK_WAIT):
            writer.resume()

    def _after_in_parent(self) -> None:
        writer, self._paused = self._paused, None
        if writer is not None:
            writer.resume()

    def _after_in_child(self) -> None:
        """A connection of its own; what the parent has not written is the parent's."""
        if self._writer is None:
            return
        self._of_parents.append(self._writer)
        if self.fork_safe or self._paused is not None:
            self._writer = Writer(self._connect, self.bounds, self)
        else:
            self._writer = None
            self.off("the process forked during a write", "start it anew")
        self._paused = None

    # --- what the writer tells -----------------------------------------------------------

    def written(self, rows: int) -> None:
        """Count rows that are in the store."""
        self.problem = ""
        count(f"export.{self.name}.sent", rows)

    def retrying(self, away: Away, rows: int) -> None:
        """Count a failed write, and say once per cause what is wrong."""
        self.problem = str(away)
        count(f"export.{self.name}.retried")
        log_once(
            f"export.{self.name}.{away.cause}",
            "%s: %s; %d row(s) are kept and tried again (logged once)",
            self.name,
            away,
            rows,
        )

    def dropped(self, cause: str, rows: int) -> None:
        """Count rows that are given up, and say once per cause."""
        if not rows:
            return
        count(f"export.{self.name}.dropped", rows)
        count(f"export.{self.name}.dropped.{cause.replace(' ', '_')}", rows)
        why = {
            "buffer full": "the store was away for too long",
            "shutdown": "the process ended before they were written",
            "refused": "the store does not take them, see above",
        }
        log_once(
            f"export.{self.name}.dropped.{cause}",
            "%s: %d row(s) dropped: %s (logged once)",
            self.name,
            rows,
            why[cause],
        )

    def refused(self, error: Exception) -> None:
        """Log, once per kind of error, why a row was not taken.

        Texts of libraries can quote the row, and so what users and models said.
        """
        why = str(error) if isinstance(error, Refused) else type(error).__name__
        log_once(
            f"export.{self.name}.{why}", "%s: a row is refused: %s (logged once)", self.name, why
        )


def _look_after(exporter: StoreExporter) -> None:
    """Be told of forks and of the end, for as long as the exporter lives."""
    if not exporter.fork_safe:
        here = weakref.ref(exporter)

        def before_exit() -> None:
            if (alive := here()) is not None:
                alive._before_exit()  # noqa: SLF001 - this module's own

        atexit.register(before_exit)
    fork.register(
        exporter,
        before=StoreExporter._before_fork,  # noqa: SLF001 - this module's own
        after_in_parent=StoreExporter._after_in_parent,  # noqa: SLF001
        after_in_child=StoreExporter._after_in_child,  # noqa: SLF001
    )
