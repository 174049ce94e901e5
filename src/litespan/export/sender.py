"""One way of bringing items to a vendor: retries, deadlines, partial success, shutdown.

The requests run on short-lived daemon threads of our own. The thread that asked for them
only waits, so neither its deadline nor `close()` ever hangs on a socket.
"""

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from random import uniform
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan.background import fork
from litespan.errors import suppress_errors
from litespan.export.batching import Batch, Item, halves
from litespan.export.client import FORBIDDEN_HOST, THREAD, TIMEOUT, Answer, Client
from litespan.export.policy import Policy, Refusal, Tally

_LOOK: Final = 0.2  # s between two looks at whether the process is ending


@dataclass(slots=True)
class Outlet:
    """What of a delivery differs from vendor to vendor, beside the policy."""

    pack: Callable[[Iterable[Item]], Iterable[Batch]]
    """Items → batches within the limits."""
    shrink: Callable[[Item, int], Item | None]
    """The item with that many bytes less of content, or None if it has not got them."""
    refusals: Callable[[Answer, Sequence[Item]], Iterable[Refusal]]
    """What a 2xx answer refuses all the same."""
    heard: Callable[[Answer], None] = lambda _: None
    """Told of every answer, before its items have their fate."""
    forbidden: Callable[[Batch], str] = lambda _: ""
    """Why a batch must not be sent now nor later, in one word; nothing if it may."""


class Sender:
    """Brings items over a wire until each is accepted, refused or out of time."""

    def __init__(self, wire: Client, policy: Policy, outlet: Outlet) -> None:
        self.wire = wire
        self.policy = policy
        self.outlet = outlet
        self.closed = threading.Event()
        self._renew()
        fork.register(self, after_in_child=Sender._renew)
        self.hung = False  # did the last export end without a single answer?
        self.not_before = 0.0  # monotonic s: the vendor's Retry-After, for all its requests

    def _renew(self) -> None:
        """Also in a forked child: the parent's threads are not in it."""
        self._lock = threading.Lock()
        self._at_work = 0

    def send(self, items: Iterable[Item]) -> Tally:
        """Send all items; returns when each has its fate, or the time is up."""
        run = _Run(self, items)
        run.finish()
        return run.tally

    def close(self) -> None:
        """End what is under way: what is not accepted yet counts as dropped."""
        self.closed.set()
        self.at_work(0)

    def at_work(self, more: int) -> None:
        """So many threads more, or fewer, are sending; the last one closes the connections."""
        with self._lock:
            self._at_work += more
            if self.closed.is_set() and self._at_work == 0:
                self.wire.close()


class _Run:
    """One export: a heap of batches by due time, worked off by a few threads."""

    def __init__(self, delivery: Sender, items: Iterable[Item]) -> None:
        self.delivery = delivery
        self.policy = delivery.policy
        self.tally = Tally()
        self.change = threading.Condition()
        self.waiting: list[tuple[float, int, int, Batch]] = []  # due, order, tries so far
        self.order = count()
        self.open = 0  # items without a fate
        self.over = ""  # why the run was given up, if it was
        self.last = ""  # cause of the last retry
        self.begun = self.accepted = time.monotonic()
        self.ending: float | None = None  # since when the process is known to be ending
        for batch in delivery.outlet.pack(items):
            self.open += len(batch.items)
            self._add(batch)

    def finish(self) -> None:
        """Work until no item is open, or there is a reason to stop."""
        self.delivery.wire.client()  # before the threads, so that they share one
        workers = min(self.policy.concurrency, len(self.waiting))
        if workers and not self._start(workers):  # nobody can look at the clock meanwhile
            self.delivery.wire.hurry(self.policy.exit_patience)
            self._work()
        with self.change:
            while self.open and not self.over:
                self.change.wait(_LOOK)
                self._look()
            if self.open:
                cause = self.last if self.over == TIMEOUT and self.last else self.over
                self.tally.dropped[cause] += self.open
            self.change.notify_all()
        self.delivery.hung = bool(self.over) and not self.tally.answered
        if self.ending is not None and self.over:  # one such wait per exit is enough
            self.delivery.close()

    def _start(self, workers: int) -> int:
        started = 0
        try:
            while started < workers:
                threading.Thread(target=self._work, name=THREAD, daemon=True).start()
                started += 1
        except RuntimeError:  # Python 3.12.0 and 3.12.1 start none once the process is ending
            pass
        return started

    def _look(self) -> None:
        if self.open and not self.over:
            self.over = self._why_stop()

    def _why_stop(self) -> str:
        now = time.monotonic()
        if self.delivery.closed.is_set():
            return "shutdown"
        if now - self.begun > self.policy.timeout:
            return TIMEOUT
        if self.ending is None and not threading.main_thread().is_alive():
            self.ending = now
        if self.ending is not None:
            waited, patience = now - max(self.accepted, self.ending), self.policy.exit_patience
        else:
            waited = now - max(self.accepted, self.delivery.not_before)
            patience = self.policy.patience
        if self.delivery.hung:
            patience = min(patience, self.policy.hung_patience)
        return TIMEOUT if waited > patience else ""

    # --- on the threads that send --------------------------------------------------

    def _work(self) -> None:
        self.delivery.at_work(1)
        with suppress_instrumentation():
            while (taken := self._next()) is not None:
                batch, tries = taken
                with suppress_errors("export"):
                    self._try(batch, tries)
                    continue
                self._drop(len(batch.items), "error")
        self.delivery.at_work(-1)

    def _next(self) -> tuple[Batch, int] | None:
        with self.change:
            while self.open and not self.over:
                now = time.monotonic()
                due = max(self.waiting[0][0], self.delivery.not_before) if self.waiting else None
                if due is not None and due <= now:
                    _, _, tries, batch = heapq.heappop(self.waiting)
                    return batch, tries + 1
                self.change.wait(_LOOK if due is None else min(due - now, _LOOK))
                self._look()
            return None

    def _try(self, batch: Batch, tries: int) -> None:
        outlet = self.delivery.outlet
        if cause := outlet.forbidden(batch):
            self._drop(len(batch.items), cause)
            return
        answer = self.delivery.wire.post(batch)
        outlet.heard(answer)
        self._settle(batch, tries, answer)

    def _settle(self, batch: Batch, tries: int, answer: Answer) -> None:
        """Give each item of an answered batch its fate, or another try."""
        self.tally.answered = self.tally.answered or answer.status != 0
        if 200 <= answer.status < 300:
            self._accept(batch, tries, answer)
        elif self._one_may_be_to_blame(batch, answer):
            for half in reversed(halves(batch.items)):
                for part in self.delivery.outlet.pack(half):
                    self._add(part, first=True)
        elif answer.status == 413:
            self._cut(batch, max(len(batch.body) // 2, 1), answer)
        elif answer.error == FORBIDDEN_HOST:
            self._drop(len(batch.items), answer.cause)
        elif answer.status in self.policy.retry or answer.status == 0:
            self._retry(batch, tries, answer)
        else:
            self._drop(len(batch.items), answer.cause, answer.body)

    def _one_may_be_to_blame(self, batch: Batch, answer: Answer) -> bool:
        """Is it worth sending the halves apart? Not when single items fail one after another."""
        if answer.status not in self.policy.split or len(batch.items) == 1:
            return False
        in_vain = self.tally.dropped[answer.cause] > 1 and not self.tally.sent
        return answer.status == 413 or not in_vain

    def _accept(self, batch: Batch, tries: int, answer: Answer) -> None:
        left = {item.key: item for item in batch.items}
        lost = 0
        for refusal in self.delivery.outlet.refusals(answer, batch.items):
            named = [left.pop(key) for key in refusal.keys if key in left]
            if named and refusal.retry:
                for part in self.delivery.outlet.pack(named):
                    self._retry(part, tries, answer)
            elif named:
                self._drop(len(named), "rejected", refusal.reason.encode())
            if unnamed := min(refusal.count, len(left) - lost):
                lost += unnamed
                self._drop(unnamed, "rejected", refusal.reason.encode())
        with self.change:
            self.accepted = time.monotonic()
            self._close(len(left) - lost)
            if not self.over:
                self.tally.sent += len(left) - lost
                self.tally.taken.update(() if lost else left)

    def _add(self, batch: Batch, first: bool = False) -> None:
        """Queue a batch; what is too large by itself is cut before it is sent."""
        if len(batch.body) > self.policy.max_bytes:
            self._cut(batch, len(batch.body) - self.policy.max_bytes, Answer(0, error="too_large"))
        else:
            self._queue(batch, 0.0, 0, first)

    def _cut(self, batch: Batch, excess: int, answer: Answer) -> None:
        (item,) = batch.items
        smaller = self.delivery.outlet.shrink(item, excess)
        if smaller is None:
            self._drop(1, answer.cause, answer.body)
            return
        with self.change:
            self.tally.cut += 1
        for part in self.delivery.outlet.pack((smaller,)):
            self._add(part, first=True)

    def _retry(self, batch: Batch, tries: int, answer: Answer) -> None:
        now = time.monotonic()
        self.last = answer.cause
        asked = answer.retry_after
        if asked is not None and asked >= self.policy.backoff:
            wait = asked
            self.delivery.not_before = max(self.delivery.not_before, now + wait)
        elif answer.status == 0 and tries == 1 and answer.error != TIMEOUT:
            wait = 0.0  # most likely a kept connection that the vendor has closed meanwhile
        else:  # also for a Retry-After of no time at all: asking at once again and again is rude
            jitter = uniform(0.8, 1.2)  # noqa: S311 - no secret
            wait = min(self.policy.backoff * 2.0 ** (tries - 1), self.policy.max_backoff) * jitter
        if now + wait > self.begun + self.policy.timeout:
            self._drop(len(batch.items), answer.cause, answer.body)
            return
        with self.change:
            self.tally.retried += 1
        self._queue(batch, now + wait, tries, False)

    def _queue(self, batch: Batch, due: float, tries: int, first: bool) -> None:
        with self.change:
            order = -next(self.order) if first else next(self.order)
            heapq.heappush(self.waiting, (due, order, tries, batch))
            self.change.notify_all()

    def _drop(self, items: int, cause: str, said: bytes = b"") -> None:
        with self.change:
            if not self.over:
                self.tally.dropped[cause] += items
                text = said.decode("utf-8", "replace")
                self.tally.said.setdefault(cause, self.delivery.wire.scrub(text))
            self._close(items)

    def _close(self, items: int) -> None:
        self.open = max(self.open - items, 0)
        self.change.notify_all()
