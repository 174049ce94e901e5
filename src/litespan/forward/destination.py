"""A destination of forwarded spans: one exporter, and the outcome of its exports."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.export import registry
from litespan.export.http import HttpExporter
from litespan.export.policy import Tally, is_permanent, retried

_FLUSH_MS: Final = 5_000


class NoDestination(Exception):
    """The exporter does not exist or is not configured; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one export, for the response to the sender."""

    refused: int = 0  # spans that the vendor rejected for good
    again: bool = False  # whether the sender has to send all spans again
    cause: str = ""  # HTTP status or transport error


class Destination:
    """Exports to one vendor, one request at a time."""

    def __init__(self, name: str, exporter: SpanExporter) -> None:
        self.name = name
        self.exporter = exporter
        self._lock = threading.Lock()

    @classmethod
    def named(cls, name: str, timeout: float) -> "Destination":
        """Create the exporter `name` of `OTEL_TRACES_EXPORTER`, configured by its variables.

        Args:
            name: name of an installed exporter.
            timeout: s for one export, while the sender waits for the response.

        Raises:
            NoDestination: the exporter does not exist or is not configured.
        """
        try:
            exporter_class = registry.load(name)
        except registry.UnknownExporter as error:
            raise NoDestination(str(error)) from None
        limits = {"timeout": timeout, "patience": timeout / 2}
        exporter = (
            exporter_class(**limits)
            if issubclass(exporter_class, HttpExporter)
            else exporter_class()
        )
        if problem := getattr(exporter, "problem", ""):
            raise NoDestination(problem)
        return cls(name, exporter)

    def send(self, spans: Sequence[ReadableSpan], patience: float) -> Outcome:
        """Export spans. Waits up to `patience` s for the export of another request to end."""
        if not self._lock.acquire(timeout=patience):
            return Outcome(again=True, cause="busy")
        try:
            result = self.exporter.export(spans)
            if result is SpanExportResult.SUCCESS:
                return Outcome()
            tally = getattr(self.exporter, "last", None)
            if isinstance(tally, Tally) and tally.dropped:
                return judge(tally, retried(self.exporter))
            return Outcome(again=True, cause="failed")
        finally:
            self._lock.release()

    def close(self) -> None:
        """Flush and shut down the exporter."""
        self.exporter.force_flush(_FLUSH_MS)
        self.exporter.shutdown()


def judge(tally: Tally, retry: frozenset[int]) -> Outcome:
    """The outcome of an export: a lost connection or a 503 is worth a retry, a 400 is not."""
    permanent = {cause: lost for cause, lost in tally.dropped.items() if is_permanent(cause, retry)}
    causes = [cause for cause in tally.dropped if cause not in permanent] or list(permanent)
    return Outcome(
        refused=sum(permanent.values()),
        again=len(permanent) < len(tally.dropped),
        cause=causes[0] if causes else "",
    )
