"""What waits to be told to a destination, bounded; and how often it is told."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from litespan.alerting.alert import URGENT, Finding, Notice
from litespan.alerting.intake import MOST
from litespan.counters import count
from litespan.errors import suppress_errors

Fate = Literal["sent", "later", "refused", "stopped"]
Send = Callable[[Sequence[Notice], int], Fate]
_BURST: Final = 3.0


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` messages a second, `_BURST` of them at once."""

    rate: float
    tokens: float = _BURST
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a message may go."""
        self.tokens = min(_BURST, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        return max(0.0, (1.0 - self.tokens) / self.rate)

    def take(self) -> None:
        """A message goes."""
        self.tokens -= 1.0


class Outbox:
    """Notices on their way to one destination.

    `now` is in s since the epoch. Not safe for threads: the engine uses it on one at a time.

    Args:
        name: a word for the destination.
        send: tells the destination in one message, also how many alerts there was no room for.
        most: notices in one message.
        digest: s that what is not urgent waits for more of its kind.
        rate: messages a second.
    """

    def __init__(self, name: str, send: Send, *, most: int, digest: float, rate: float) -> None:
        self.name = name
        self._send, self._most, self._digest = send, most, digest
        self._waiting: OrderedDict[str, tuple[float, Notice]] = OrderedDict()  # since when
        self._bucket = Bucket(rate)
        self._lost = 0  # alerts that there was no room for since the last message
        self.not_before = 0.0  # s since the epoch: until then the destination wants nothing
        self.stopped = False  # for good: the destination does not exist, or refuses us
        self.missed = False  # was anything not taken since this was last reset?

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: str, notice: Notice, now: float) -> None:
        """One more, in the place of one of the same key that waits."""
        before = self._waiting.get(key)
        if before is not None and notice.over and before[1].turn == "firing":
            del self._waiting[key]  # it came and went while the destination was away
            count(f"alerts.{self.name}.suppressed", notice.count)
            return
        if before is None and len(self._waiting) >= MOST:
            self.lose(1)
            return
        self._waiting[key] = (before[0] if before else now, notice)

    def again(self, finding: Finding, now: float) -> None:
        """An alert that was told, or waits, was found again: what waits is brought up to date."""
        if finding.count:  # 0: what was found before goes on
            count(f"alerts.{self.name}.suppressed", finding.count)
        if (waiting := self._waiting.get(finding.key)) is not None:
            since, told = waiting
            newer = replace(told, count=told.count + finding.count, last=now)
            self._waiting[finding.key] = (since, newer)

    def lose(self, alerts: int) -> None:
        """There was no room for so many."""
        if alerts:
            self._lost += alerts
            count(f"alerts.{self.name}.lost", alerts)

    def tell(self, now: float, *, flush: bool) -> bool:
        """Send a message if it is time for anything that waits: then the rest goes along.

        Returns False if the destination did not take it.
        """
        if self.stopped:
            self._waiting.clear()
        if not self._waiting:
            return True
        waiting = sorted(self._waiting.items(), key=lambda item: not _urgent(item[1][1]))
        oldest = min(since for since, _ in self._waiting.values())
        due = _urgent(waiting[0][1][1]) or now - oldest >= self._digest
        if not flush and (not due or now < self.not_before or self._bucket.wait(now) > 0):
            return True
        self._bucket.take()
        told = waiting[: self._most]
        fate: Fate = "refused"  # what can not be told must not hold up the rest
        with suppress_errors(f"alerts.{self.name}.message"):
            fate = self._send([notice for _, (_, notice) in told], self._lost)
        self.missed = self.missed or fate != "sent"
        if fate == "later":
            return False
        self._lost = 0
        self.stopped = self.stopped or fate == "stopped"
        for key, _ in told:
            del self._waiting[key]
        count(f"alerts.{self.name}.{'told' if fate == 'sent' else 'refused'}", len(told))
        return fate == "sent"


def _urgent(notice: Notice) -> bool:
    return notice.finding.severity in URGENT or notice.turn == "test"
