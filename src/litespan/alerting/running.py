"""Calls that have started and not ended, and which of them hang."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final
from uuid import UUID

from litespan.alerting.alert import Finding
from litespan.alerting.rules import found, model_of
from litespan.alerting.thresholds import Thresholds
from litespan.counters import count
from litespan.export import GenAISpan

MOST: Final = 10_000  # calls that are watched, and as many that hang


class Running:
    """The live calls of one destination. Not safe for threads: the engine holds a lock.

    Args:
        name: a word for the destination.
        t: after how many seconds a call hangs, and what an alert says of it.
    """

    def __init__(self, name: str, t: Thresholds) -> None:
        self._name, self._t = name, t
        self._started: OrderedDict[UUID, tuple[float, GenAISpan]] = OrderedDict()
        self._hanging: OrderedDict[UUID, tuple[float, Finding]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._started or self._hanging)

    def start(self, span: GenAISpan, now: float) -> None:
        """A call has started."""
        self._started[span.key] = (now, span)
        if len(self._started) > MOST:
            self._started.popitem(last=False)
            count(f"alerts.{self._name}.not_watched")

    def end(self, key: UUID) -> None:
        """A call has ended."""
        self._started.pop(key, None)
        self._hanging.pop(key, None)

    def overdue(self, now: float, *, again: bool) -> list[tuple[float, Finding]]:
        """One finding for each kind of call that now hangs, and when the oldest of them began.

        With `again` also for calls that were reported before and still hang: these count 0, and
        keep their alert from being resolved.
        """
        limit = self._t.hanging
        found_now: dict[str, tuple[float, Finding]] = {}
        if again:
            for begun, finding in self._hanging.values():
                found_now.setdefault(finding.key, (begun, replace(finding, count=0)))
        while limit is not None and self._started:
            key, (begun, span) = next(iter(self._started.items()))
            if now - begun < limit:
                break
            del self._started[key]
            summary = f"A call of {model_of(span)} has not ended after {limit:g} s"
            finding = found(
                "hanging", span, "error", summary, self._t, value=now - begun, threshold=limit
            )
            self._hanging[key] = begun, finding
            if len(self._hanging) > MOST:
                self._hanging.popitem(last=False)
            oldest, before = found_now.get(finding.key, (begun, replace(finding, count=0)))
            found_now[finding.key] = oldest, replace(finding, count=before.count + 1)
        return list(found_now.values())
