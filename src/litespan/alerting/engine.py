"""The engine behind one destination: takes calls, keeps state, sends what is to be told.

`put` and `started` run the rules on the exporter's thread and return; all else, shared state and
network included, is on a thread of the engine's own. Everything is bounded: findings of one key
are one entry, and beyond `MOST` keys they are counted only.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final
from uuid import UUID

from litespan.alerting import spend
from litespan.alerting.alert import Finding, Notice
from litespan.alerting.episodes import Flow, rested, seen
from litespan.alerting.intake import Intake
from litespan.alerting.outbox import Outbox, Send
from litespan.alerting.recent import Models
from litespan.alerting.rules import examine, model_of
from litespan.alerting.running import Running
from litespan.alerting.state import Record, State
from litespan.alerting.thresholds import Thresholds
from litespan.background import fork
from litespan.errors import suppress_errors
from litespan.export import GenAISpan

TURN: Final = 1.0  # s between two looks at what time has done
SHARED_TURN: Final = 5.0  # the same where others share the state, and a look is a query
THREAD: Final = "litespan-alerts"


class Engine:
    """Rules, state and flow of one destination.

    Args:
        name: a word for the destination, under which processes share its state.
        t: what is worth an alert.
        flow: how often the destination is told.
        state: where the alerts' state is.
        send: tells the destination in one message, also how many alerts there was no room for;
            on the engine's thread.
        most: notices in one message.
        only: rules that this destination hears of; empty: all.
        tells_end: does it hear when an alert is over?
        rate: messages a second.
        clock: s since the epoch.
    """

    def __init__(
        self,
        name: str,
        t: Thresholds,
        flow: Flow,
        state: State,
        send: Send,
        *,
        most: int = 8,
        only: frozenset[str] = frozenset(),
        tells_end: bool = True,
        rate: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.t, self.flow, self.state = name, t, flow, state
        self.only, self.tells_end = only, tells_end
        self.clock = clock
        self._new_outbox = partial(Outbox, name, send, most=most, digest=t.digest, rate=rate)
        self._turn = SHARED_TURN if state.shared else TURN
        self._renew()
        fork.register(self, after_in_child=Engine._renew)

    def _renew(self) -> None:
        """Also in a forked child: the thread, and what waits, are the parent's."""
        self._changed = threading.Condition()
        self._examining = threading.Lock()
        self._models = Models(self.t.window, self.t.slow_window)
        self._running = Running(self.name, self.t)
        self._intake = Intake()
        self._outbox = self._new_outbox()
        self._thread: threading.Thread | None = None
        self._turned = 0.0
        self._flushing = False
        self._closing = False
        self._busy = False

    # --- on the exporter's thread ----------------------------------------------------------

    def put(self, spans: Sequence[GenAISpan]) -> None:
        """Look at finished calls."""
        now = self.clock()
        findings: list[Finding] = []
        with self._examining:
            for span in spans:
                self._running.end(span.key)
                with suppress_errors(f"alerts.{self.name}.rules"):
                    recent = self._models.of(span.provider or "", model_of(span))
                    findings += examine(span, recent, now, self.t)
        with self._changed:
            for span in spans:
                if span.cost.total:
                    self._intake.spend(span, span.cost.total)
            for finding in findings:
                self._add(finding)
            self._go()

    def started(self, spans: Sequence[GenAISpan]) -> None:
        """Look after calls that have begun."""
        if self.t.hanging is None:
            return
        with self._examining:
            for span in spans:
                self._running.start(span, self.clock())
        with self._changed:
            self._go()

    def ended(self, keys: Sequence[UUID]) -> None:
        """Calls have ended that this destination is not shown."""
        with self._examining:
            for key in keys:
                self._running.end(key)

    def flush(self, timeout: float) -> bool:
        """Send what waits, digests too; whether all was sent."""
        deadline = time.monotonic() + timeout
        if self._thread is None or not self._thread.is_alive():  # the interpreter is ending
            while not self._idle() and time.monotonic() < deadline:
                if not self.turn(self.clock(), flush=True):
                    break
            return self._all_told()
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            while self._flushing and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._flushing and self._all_told()

    def _all_told(self) -> bool:
        missed, self._outbox.missed = self._outbox.missed, False
        return self._idle() and not missed

    def close(self, timeout: float) -> int:
        """Send what waits and let the thread end; how many notices were not sent."""
        self.flush(timeout)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            return len(self._outbox) + len(self._intake.findings)

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, after `close`."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _add(self, finding: Finding) -> None:
        if not self.only or finding.rule in self.only or finding.rule == "test":
            self._intake.add(finding)

    def _go(self) -> None:
        """Wake the thread, which has work now. The lock is held."""
        if self._thread is None and not self._closing:
            thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
            with suppress(RuntimeError):  # Python 3.12.0 and 3.12.1 start none at the end
                thread.start()
                self._thread = thread
        self._changed.notify_all()

    # --- on the engine's thread ------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                intake = self._intake
                if not (self._closing or self._flushing or intake.findings or intake.spent):
                    waiting = self._outbox or self._running  # for the clock
                    self._changed.wait(TURN if waiting else self._turn)
                if self._closing:
                    return
                flushing, self._busy = self._flushing, True
            sent = False
            with suppress_errors(f"alerts.{self.name}"):
                sent = self.turn(self.clock(), flush=flushing)
            with self._changed:
                self._busy = False
                if flushing and (not sent or self._idle()):
                    self._flushing = False
                self._changed.notify_all()

    def _look_due(self, now: float) -> bool:
        return now - self._turned >= self._turn or now < self._turned

    def _idle(self) -> bool:
        intake = self._intake
        return not (self._busy or self._outbox or intake.findings or intake.spent)

    def turn(self, now: float, *, flush: bool = False) -> bool:
        """Note what has come, look at what time has done, send what may go.

        Returns False if the destination did not take what was sent.
        """
        with self._changed:
            intake, self._intake = self._intake, Intake()
        for finding in self._spending(intake):
            if not self.only or finding.rule in self.only:
                intake.add(finding)
        for finding in intake.findings.values():
            self._note(finding, now)
        look = self._look_due(now)
        with self._examining:
            overdue = self._running.overdue(now, again=look)
        for begun, finding in overdue:
            if not self.only or finding.rule in self.only:
                self._note(finding, now, begun)
        if look:
            self._turned = now
            self._look(now)
        self._outbox.lose(intake.lost)
        return self._outbox.tell(now, flush=flush)

    def _spending(self, intake: Intake) -> list[Finding]:
        findings: list[Finding] = []
        for (kind, name, _), (usd, span) in intake.spent.items():
            step = partial(spend.add, day=spend.day_of(span), usd=usd)
            spent = self.state.change(f"{self.name}/spent/{kind}={name}", step)
            findings += spend.judge(kind, name, spent, span, self.t)
        return findings

    def _note(self, finding: Finding, now: float, since: float | None = None) -> None:
        if finding.rule == "test":
            self._outbox.put(finding.key, Notice(finding, "test", now, now, finding.count), now)
            return
        step = partial(seen, finding=finding, now=now, flow=self.flow, since=since)
        notice = self.state.change(f"{self.name}/alert/{finding.key}", step)
        if notice is not None:
            self._outbox.put(finding.key, notice, now)
        else:
            self._outbox.again(finding, now)

    def _look(self, now: float) -> None:
        prefix = f"{self.name}/"
        for key in self.state.due(prefix, now):
            if key.startswith(f"{prefix}spent/"):
                self.state.change(key, _forget)
                continue
            notice = self.state.change(key, partial(rested, now=now, flow=self.flow))
            if notice is not None and self.tells_end:
                self._outbox.put(notice.finding.key, notice, now)

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._outbox.not_before = self.clock() + seconds


def _forget(record: Record | None) -> tuple[None, None]:
    return None, None
