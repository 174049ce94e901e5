"""The engine of one destination: applies the rules, updates the alerts' state, sends notices.

`put` and `started` apply the rules on the exporter's thread and return. A thread of the engine
reads and writes the shared state and sends. All queues are bounded; what does not fit is counted.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Final
from uuid import UUID

from litespan.alerting.alert import Finding, Notice
from litespan.alerting.calls import Models, Running
from litespan.alerting.episodes import expire, observe
from litespan.alerting.kept import KeptNotices
from litespan.alerting.queues import MAX_PENDING, Intake, Outbox, Send
from litespan.alerting.rules import TEST_MODEL, examine_all
from litespan.alerting.spend import Sums
from litespan.alerting.state import State
from litespan.alerting.thresholds import Thresholds
from litespan.background import fork
from litespan.background.pool import Pool
from litespan.errors import suppress_errors
from litespan.export import GenAISpan

INTERVAL: Final = 1.0  # s between two checks for due records
SHARED_INTERVAL: Final = 5.0  # the same for a shared state, where each check is a query
THREAD: Final = "litespan-alerts"


class Engine:
    """Rules, state and queues of one destination.

    Args:
        name: the destination; processes share state under it.
        t: thresholds and times.
        state: where the alerts' state is.
        send: sends one message; called on the engine's thread.
        limit: notices in one message.
        rules: rules that the destination receives; empty means all.
        sends_resolved: whether the destination receives resolved alerts.
        rate: messages a second.
        clock: returns s since the epoch.
    """

    def __init__(
        self,
        name: str,
        t: Thresholds,
        state: State,
        send: Send,
        *,
        limit: int = 8,
        rules: frozenset[str] = frozenset(),
        sends_resolved: bool = True,
        rate: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.t, self.state = name, t, state
        self.rules, self.sends_resolved = rules, sends_resolved
        self.clock = clock
        self.kept: KeptNotices | None = None
        self._new_outbox = partial(Outbox, name, send, limit=limit, digest=t.digest, rate=rate)
        self._sums = Sums(name, t, state)
        self._alerts = f"{name}/alert/"  # prefix of their keys in the state
        self._interval = SHARED_INTERVAL if state.shared else INTERVAL
        self._reset()
        fork.register(self, after_in_child=Engine._reset)

    def _reset(self) -> None:
        """Start empty. Also in a forked child: the thread and the queues are the parent's."""
        self._pool = Pool(THREAD)
        self._changed = self._pool.changed
        self._examining = threading.Lock()
        self._models = Models(self.t)
        self._running = Running(self.name, self.t)
        self._intake = Intake()
        self._outbox = self._new_outbox()
        self._outbox.keeps = self.kept is not None
        self._puts = self._taken = 0  # calls of `put`, and of those that are processed
        self._written = True  # whether all notices are on disk
        self._checked = 0.0  # when due records were last checked, s since the epoch
        self._closing = False

    # --- on the exporter's thread ----------------------------------------------------------

    def keep_in(self, kept: KeptNotices) -> None:
        """Keep notices on disk until they are sent, and send those of processes that have ended."""
        with self._changed:
            self.kept = kept
            self._outbox.keeps = True
            self._wake()

    def put(self, spans: Sequence[GenAISpan]) -> int:
        """Examine finished calls. Returns the number for `wait`."""
        now = self.clock()
        self.ended([span.key for span in spans])
        with self._examining:
            spooled = self.kept is not None
            findings = list(examine_all(spans, self._models, now, self.t, spooled=spooled))
        with self._changed:
            self._puts += 1
            for span in spans:
                if span.request.model != TEST_MODEL:
                    with suppress_errors("alerts.spending"):
                        self._intake.unsaved.add(span, now, figures=self.t.daily is not None)
            for finding in filter(self._wants, findings):
                self._intake.add(finding)
            self._wake()
            return self._puts

    def wait(self, number: int, until: float) -> bool:
        """Wait until a `put` is processed. Returns whether its notices are on disk by `until`."""
        return self._pool.wait_for(lambda: self._taken >= number, until) and self._written

    def started(self, spans: Sequence[GenAISpan]) -> None:
        """Watch calls that have started."""
        if self.t.hanging is None:
            return
        with self._examining:
            for span in spans:
                self._running.start(span, self.clock())
        with self._changed:
            self._wake()

    def ended(self, keys: Sequence[UUID]) -> None:
        """Stop watching calls that have ended."""
        with self._examining:
            for key in keys:
                self._running.end(key)

    def flush(self, timeout: float) -> bool:
        """Send what waits, digests included. Returns whether everything was sent in `timeout` s."""
        ended: list[bool] = []

        def send_all() -> None:
            sent, more = False, True
            try:
                while more:
                    sent = self.run_once(self.clock(), flush=True)
                    more = sent and self._waits() and not self._closing
            finally:
                ended.append(sent)

        if not self._closing:
            self._pool.submit(send_all)
            self._pool.wait_for(lambda: ended, time.monotonic() + timeout)
        with self._changed:
            failed, self._outbox.failed = self._outbox.failed, False
            return (self._closing or ended == [True]) and not self._waits() and not failed

    def close(self, timeout: float) -> int:
        """Flush for `timeout` s and end the thread. Returns the number of unsent alerts."""
        self.flush(timeout)
        with self._changed:
            self._closing = True
            return len(self._outbox) + len(self._intake.findings)

    def join(self, timeout: float) -> None:
        """Wait up to `timeout` s for the thread to end, after `close`."""
        self._pool.close(time.monotonic() + timeout)

    def _wants(self, finding: Finding) -> bool:
        return not self.rules or finding.rule in self.rules or finding.rule == "test"

    def _waits(self) -> bool:
        return bool(self._outbox or self._intake)

    def _wake(self) -> None:
        """Process what waits, on the engine's thread."""
        self._pool.submit(self._turn)

    # --- on the engine's thread ------------------------------------------------------------

    def _turn(self) -> None:
        with suppress_errors(f"alerts.{self.name}"):
            self.run_once(self.clock())
        with self._changed:
            if not self._closing:
                wait = INTERVAL if self._outbox or self._running else self._interval
                self._pool.submit(self._turn, 0.0 if self._intake else time.monotonic() + wait)

    def run_once(self, now: float, *, flush: bool = False) -> bool:
        """Process the intake, check what is due at `now` (s since the epoch), send one message.

        Returns False if the destination did not accept the message.
        """
        with self._changed:
            intake, self._intake = self._intake, Intake()
            puts = self._puts
        for finding in chain(intake.findings.values(), self._sums.add(intake.unsaved, now)):
            self._process(finding, now)
        check = now - self._checked >= self._interval or now < self._checked
        with self._examining:
            overdue = self._running.overdue(now, again=check)
        for begun, finding in overdue:
            self._process(finding, now, begun)
        if check:
            self._checked = now
            self._check_due(now)
        self._outbox.lose(intake.lost)
        written = True
        if self.kept is not None:
            for notice in self.kept.left(MAX_PENDING - len(self._outbox)):
                self._outbox.restore(notice, now)
            written = self.kept.write(self._outbox.waiting)
        with self._changed:
            self._taken, self._written = puts, written
            self._changed.notify_all()
        sent = self._outbox.send(now, flush=flush)
        if self.kept is not None:
            self.kept.write(self._outbox.waiting)
            if not sent and not self._outbox.stopped:
                self.kept.failed()
        return sent

    def _process(self, finding: Finding, now: float, begun: float | None = None) -> None:
        if finding.rule == "test":
            self._outbox.put(Notice(finding, "test", now, now, finding.count), now)
            return
        if not self._wants(finding):
            return
        since = begun if finding.late is None else finding.late
        step = partial(observe, finding=finding, now=now, t=self.t, since=since)
        notice = self.state.change(self._alerts + finding.key, step)
        if notice is not None:
            last = notice.last if finding.late is None else finding.late
            self._outbox.put(replace(notice, last=last), now)
        else:
            self._outbox.update(finding, now)

    def _check_due(self, now: float) -> None:
        for key in self.state.due(f"{self.name}/", now):
            if self._sums.owns(key):
                for finding in self._sums.due(key, now):
                    self._process(finding, now)
                continue
            if self._outbox.awaits_digest(key.removeprefix(self._alerts)):
                continue
            notice = self.state.change(key, partial(expire, now=now, t=self.t))
            if notice is not None and self.sends_resolved:
                self._outbox.put(notice, now)

    def hold(self, seconds: float) -> None:
        """Send nothing for `seconds`."""
        self._outbox.hold(seconds, self.clock())
