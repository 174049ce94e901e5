"""A place that spans are forwarded to: one exporter, and what came of its last export."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.export import registry
from litespan.export.http import HttpExporter
from litespan.export.policy import Tally

_FINAL: Final = frozenset({"rejected", "too_large", "error"})
"""Causes, beside HTTP statuses, that another try would only repeat."""


class NoDestination(Exception):
    """There is no such exporter, or it is not set up; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one export came to, as the sender has to know it."""

    refused: int = 0  # spans that the vendor will never take
    again: bool = False  # has the sender to send all of them once more?
    cause: str = ""  # of either: a status or a transport error


class Destination:
    """Exports to one vendor, one request of a sender at a time."""

    def __init__(self, name: str, exporter: SpanExporter) -> None:
        self.name = name
        self.exporter = exporter
        self._turn = threading.Lock()

    @classmethod
    def named(cls, name: str, timeout: float) -> "Destination":
        """The exporter that `OTEL_TRACES_EXPORTER` knows as `name`, set up by its variables.

        Raises NoDestination.

        Args:
            name: of an installed exporter.
            timeout: seconds that one export may take; the sender is waiting.
        """
        try:
            kind = registry.load(name)
        except registry.UnknownExporter as error:
            raise NoDestination(str(error)) from None
        limits = {"timeout": timeout, "patience": timeout / 2}
        exporter = kind(**limits) if issubclass(kind, HttpExporter) else kind()
        if problem := getattr(exporter, "problem", ""):
            raise NoDestination(problem)
        return cls(name, exporter)

    def send(self, spans: Sequence[ReadableSpan], patience: float) -> Outcome:
        """Export, after at most `patience` seconds of waiting for one's turn."""
        if not self._turn.acquire(timeout=patience):
            return Outcome(again=True, cause="busy")
        try:
            result = self.exporter.export(spans)
            if isinstance(self.exporter, HttpExporter) and self.exporter.last.dropped:
                return judge(self.exporter.last, self.exporter.limits.retry)
        finally:
            self._turn.release()
        failed = result is not SpanExportResult.SUCCESS
        return Outcome(again=failed, cause="failed" if failed else "")

    def close(self) -> None:
        """Send what the exporter still holds, and stop it."""
        self.exporter.force_flush(int(_FLUSH * 1000))
        self.exporter.shutdown()


_FLUSH: Final = 5.0  # seconds


def judge(tally: Tally, retry: frozenset[int]) -> Outcome:
    """Whether a repeat can help: yes after a lost connection or a 503, no after a 400."""
    final = {cause: lost for cause, lost in tally.dropped.items() if _is_final(cause, retry)}
    causes = [cause for cause in tally.dropped if cause not in final] or list(final)
    return Outcome(
        refused=sum(final.values()),
        again=len(final) < len(tally.dropped),
        cause=causes[0] if causes else "",
    )


def _is_final(cause: str, retry: frozenset[int]) -> bool:
    return cause in _FINAL or (cause.isdigit() and int(cause) not in retry)
