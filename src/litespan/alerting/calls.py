"""The calls that the rules keep: recent calls of each model, and running calls."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from litespan.alerting.alert import Finding, make_finding, model_of
from litespan.alerting.thresholds import Thresholds
from litespan.counters import count
from litespan.export import GenAISpan

MAX_CALLS: Final = 1000  # in one window
MAX_MODELS: Final = 200  # the least recently called model is evicted
MAX_RUNNING: Final = 10_000  # running calls, and as many hanging calls


@dataclass(slots=True)
class Window:
    """A sliding window of numbers, `seconds` long."""

    seconds: float
    _entries: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))

    def add(self, now: float, number: float = 0.0) -> None:
        """Add a number at time `now` (s)."""
        if self._entries and self._entries[-1][0] - now > self.seconds:
            self._entries.clear()  # the clock was set back: they would not leave the window
        self._entries.append((now, number))

    def numbers(self, now: float) -> list[float]:
        """The numbers of the last `seconds`."""
        while self._entries and self._entries[0][0] <= now - self.seconds:
            self._entries.popleft()
        return [number for _, number in self._entries]

    def count(self, now: float) -> int:
        """The count of the numbers of the last `seconds`."""
        return len(self.numbers(now))


@dataclass(slots=True)
class Recent:
    """The windows of one model."""

    calls: Window
    failures: Window
    outages: Window
    durations: Window  # s


class Models:
    """The windows of the most recently called models."""

    def __init__(self, t: Thresholds) -> None:
        self._t = t
        self._models: OrderedDict[tuple[str, str], Recent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._models)

    def of(self, provider: str, model: str) -> Recent:
        """The windows of one model."""
        recent = self._models.get((provider, model))
        if recent is None:
            short, long = self._t.window, self._t.slow_window
            recent = Recent(Window(short), Window(short), Window(short), Window(long))
            self._models[provider, model] = recent
            if len(self._models) > MAX_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end((provider, model))
        return recent


class Running:
    """Calls that have started and not ended. Not thread-safe: the engine holds a lock.

    Args:
        name: destination, for counters.
        t: after how many seconds a call hangs.
    """

    def __init__(self, name: str, t: Thresholds) -> None:
        self._name, self._t = name, t
        self._started: OrderedDict[UUID, tuple[float, GenAISpan]] = OrderedDict()
        self._hanging: OrderedDict[UUID, tuple[float, Finding]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._started or self._hanging)

    def start(self, span: GenAISpan, now: float) -> None:
        """Add a call that started at `now` (s since the epoch)."""
        self._started[span.key] = (now, span)
        if len(self._started) > MAX_RUNNING:
            self._started.popitem(last=False)
            count(f"alerts.{self._name}.not_watched")

    def end(self, key: UUID) -> None:
        """Remove a call that ended."""
        self._started.pop(key, None)
        self._hanging.pop(key, None)

    def overdue(self, now: float, *, again: bool) -> list[tuple[float, Finding]]:
        """Start time (s) and finding of each alert about hanging calls.

        Args:
            now: s since the epoch.
            again: include calls that were returned before. These findings have count 0: they
                only keep their alert from being resolved.
        """
        limit = self._t.hanging
        findings: dict[str, tuple[float, Finding]] = {}
        if again:
            for begun, finding in self._hanging.values():
                findings.setdefault(finding.key, (begun, replace(finding, count=0)))
        while limit is not None and self._started:
            key, (begun, span) = next(iter(self._started.items()))
            if now - begun < limit:
                break
            del self._started[key]
            summary = f"A call of {model_of(span)} has not ended after {limit:g} s"
            finding = make_finding(
                "hanging", span, "error", summary, self._t, value=now - begun, threshold=limit
            )
            self._hanging[key] = begun, finding
            if len(self._hanging) > MAX_RUNNING:
                self._hanging.popitem(last=False)
            oldest, earlier = findings.get(finding.key, (begun, replace(finding, count=0)))
            findings[finding.key] = oldest, replace(finding, count=earlier.count + 1)
        return list(findings.values())
