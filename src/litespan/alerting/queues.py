"""The two bounded queues of an engine: findings to process, and notices to send."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from litespan.alerting.alert import URGENT, Finding, Notice
from litespan.alerting.spend import Unsaved
from litespan.counters import count
from litespan.errors import suppress_errors

SendResult = Literal["sent", "later", "refused", "stopped"]
Send = Callable[[Sequence[Notice], int], SendResult]
"""Sends notices, and the number of alerts that were lost, as one message."""
MAX_PENDING: Final = 1000  # alerts in a queue


@dataclass(slots=True)
class Intake:
    """Findings and spending that the engine's thread has not processed yet."""

    findings: dict[str, Finding] = field(default_factory=dict)
    unsaved: Unsaved = field(default_factory=Unsaved)
    lost: int = 0  # findings that did not fit

    def __bool__(self) -> bool:
        return bool(self.findings or self.unsaved.payers or self.unsaved.days)

    def add(self, finding: Finding) -> None:
        """Add a finding; findings of the same key become one."""
        waiting = self.findings.get(finding.key)
        if waiting is not None:
            finding = replace(finding, count=waiting.count + finding.count)
        elif len(self.findings) >= MAX_PENDING:
            self.lost += finding.count
            return
        self.findings[finding.key] = finding


class Outbox:
    """Notices that wait to be sent. Not thread-safe. `now` is in s since the epoch.

    Args:
        name: destination, for counters.
        send: sends one message.
        limit: notices in one message.
        digest: s that non-urgent notices wait, to be sent together.
        rate: messages a second.
    """

    def __init__(self, name: str, send: Send, *, limit: int, digest: float, rate: float) -> None:
        self.name = name
        self._send, self._limit, self._digest = send, limit, digest
        self._waiting: dict[str, tuple[float, Notice]] = {}  # alert's key → since, notice
        self._pause = 1.0 / rate  # s between two messages
        self._sent_at = 0.0  # s since the epoch, also of a message that was not accepted
        self._lost = 0  # alerts that did not fit, since the last message
        self._held_at = self._hold = 0.0  # s since the epoch; s from then on without sending
        self._away = False  # whether the destination did not accept the last message
        self.stopped = False  # for good: the destination does not exist, or refuses us
        self.failed = False  # whether a message failed since this was last reset
        self.keeps = False  # whether alerts that end before they are sent are sent all the same

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, notice: Notice, now: float) -> None:
        """Add a notice; it replaces one of the same alert."""
        key = notice.finding.key
        waiting = self._waiting.get(key)
        if waiting is not None and notice.over and waiting[1].turn == "firing":
            if self.keeps:
                return
            del self._waiting[key]  # resolved before the destination was notified
            count(f"alerts.{self.name}.suppressed", notice.count)
            return
        if waiting is None and len(self._waiting) >= MAX_PENDING:
            self.lose(1)
            return
        self._waiting[key] = (waiting[0] if waiting else now, notice)

    def hold(self, seconds: float, now: float) -> None:
        """Send nothing for `seconds`."""
        self._held_at, self._hold = now, seconds

    @property
    def waiting(self) -> dict[str, Notice]:
        """What waits, by the alert's key."""
        return {key: notice for key, (_, notice) in self._waiting.items()}

    def awaits_digest(self, key: str) -> bool:
        """Whether an alert waits for nothing but the digest, so that it is resolved later."""
        if self._away or key not in self._waiting:
            return False
        _, notice = self._waiting[key]
        return notice.turn == "firing" and not _urgent(notice)

    def restore(self, notice: Notice, now: float) -> None:
        """Add a notice of a process that has ended to what waits."""
        if (other := self.waiting.get(notice.finding.key)) is not None:
            notice = replace(
                other,
                since=min(other.since, notice.since),
                last=max(other.last, notice.last),
                count=max(other.count, notice.count)
                if other.id == notice.id  # two versions of one notice
                else other.count + notice.count,
            )
        self.put(notice, now)

    def update(self, finding: Finding, now: float) -> None:
        """Count a finding that needs no notice of its own, and add it to a waiting one."""
        if finding.count:  # 0: a hanging call that was counted before
            count(f"alerts.{self.name}.suppressed", finding.count)
        if (waiting := self._waiting.get(finding.key)) is not None:
            since, notice = waiting
            newer = replace(notice, count=notice.count + finding.count, last=now)
            self._waiting[finding.key] = (since, newer)

    def lose(self, alerts: int) -> None:
        """Count alerts that did not fit."""
        if alerts:
            self._lost += alerts
            count(f"alerts.{self.name}.lost", alerts)

    def send(self, now: float, *, flush: bool) -> bool:
        """Send one message if a notice is due; others then go with it.

        Returns False if the destination did not accept the message.
        """
        if self.stopped and not self.keeps:
            self._waiting.clear()
        if not self._waiting:
            return True
        if self.stopped:  # the next process sends them
            return False
        waiting = sorted(self._waiting.items(), key=lambda item: not _urgent(item[1][1]))
        oldest = min(since for since, _ in self._waiting.values())
        # The clock may have been set back: then nothing waits until it catches up.
        due = _urgent(waiting[0][1][1]) or not 0.0 <= now - oldest < self._digest
        held = 0.0 <= now - self._held_at < self._hold
        paused = held or 0.0 <= now - self._sent_at < self._pause
        if not flush and (paused or not due):
            return True
        self._sent_at = now
        batch = waiting[: self._limit]
        result: SendResult = "refused"  # a message that cannot be built must not block the rest
        with suppress_errors(f"alerts.{self.name}.message"):
            result = self._send([notice for _, (_, notice) in batch], self._lost)
        self.failed = self.failed or result != "sent"
        self._away, self.stopped = result == "later", result == "stopped"
        if self._away or (self.stopped and self.keeps):
            return False
        self._lost = 0
        for key, _ in batch:
            del self._waiting[key]
        count(f"alerts.{self.name}.{'sent' if result == 'sent' else 'refused'}", len(batch))
        return result == "sent"


def _urgent(notice: Notice) -> bool:
    return notice.finding.severity in URGENT or notice.turn == "test"
