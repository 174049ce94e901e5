"""Sends items to a vendor: retries, deadlines, partial success, shutdown.

Requests run on the threads of a pool. The calling thread only waits, so a blocked socket cannot
delay its deadline or `close()`.
"""

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from random import uniform
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan.background import fork
from litespan.background.pool import Pool
from litespan.errors import suppress_errors
from litespan.export.batching import Batch, Item, split_in_half
from litespan.export.client import NOT_RETRYABLE, THREAD, TIMEOUT, Answer, Client
from litespan.export.policy import Policy, Tally
from litespan.export.vendor import Vendor

_POLL: Final = 0.2  # s between two checks whether the process is exiting


class Sender:
    """Sends items until each is accepted, rejected or out of time."""

    def __init__(self, client: Client, policy: Policy, vendor: Vendor) -> None:
        self.client = client
        self.policy = policy
        self.vendor = vendor
        self.closed = threading.Event()
        self._reset()
        fork.register(self, after_in_child=Sender._reset)
        self.unanswered = False  # whether the last export ended without any answer
        self.not_before = 0.0  # monotonic s: Retry-After holds for all requests to the vendor

    def _reset(self) -> None:
        """Also runs in a forked child, which has none of the parent's threads."""
        self._lock = threading.Lock()
        self._active = 0

    def send(self, items: Iterable[Item]) -> Tally:
        """Send all items. Returns when each is settled or the time is up."""
        export = _Export(self, items)
        export.run()
        return export.tally

    def close(self) -> None:
        """Stop running exports. Items that are not accepted yet count as dropped."""
        self.closed.set()
        self.count_active(0)

    def count_active(self, change: int) -> None:
        """Count the sending threads; after `close()` the last one closes the connections."""
        with self._lock:
            self._active += change
            if self.closed.is_set() and self._active == 0:
                self.client.close()


class _Export:
    """One export: its batches wait in a pool until they are due and a thread sends them."""

    def __init__(self, sender: Sender, items: Iterable[Item]) -> None:
        self.sender = sender
        self.policy = sender.policy
        self.tally = Tally()
        self.pool = Pool(THREAD, self.policy.concurrency)
        self.changed = self.pool.changed
        self.order = count(1)
        self.stopped_by = ""  # why the export stopped early
        self.last_cause = ""  # of a retry
        self.started = self.last_accepted = time.monotonic()
        self.exiting_since: float | None = None  # monotonic s
        with suppress(Exception):  # `Client.post` reports it
            sender.client.http_client()  # before the threads start, so that they share one
        batches = list(sender.vendor.pack(items))
        self.pending = sum(len(batch.items) for batch in batches)  # items that are not settled
        for batch in batches:
            self._add(batch)

    def run(self) -> None:
        """Send until no item is pending or there is a reason to stop."""
        if self.pending and not self.pool.has_threads:  # none watches the clock while this sends
            self.sender.client.limit_wait(self.policy.exit_patience)
        while not self.pool.wait_for(self._done, time.monotonic() + _POLL):
            self._stop_if_due()
        self.pool.close()
        self.sender.unanswered = bool(self.stopped_by) and not self.tally.answered
        if self.exiting_since is not None and self.stopped_by:  # wait only once per exit
            self.sender.close()

    def _done(self) -> bool:
        return not self.pending or bool(self.stopped_by)

    def _stop_if_due(self) -> None:
        """Stop if there is a reason. What is pending then counts as dropped, and nothing twice."""
        with self.changed:
            self.stopped_by = self._why_stop()
            if self.stopped_by and self.pending:
                cause = self.last_cause if self.stopped_by == TIMEOUT else ""
                self.tally.dropped[cause or self.stopped_by] += self.pending

    def _why_stop(self) -> str:
        now = time.monotonic()
        if self.sender.closed.is_set():
            return "shutdown"
        if now - self.started > self.policy.timeout:
            return TIMEOUT
        if self.exiting_since is None and not threading.main_thread().is_alive():
            self.exiting_since = now
        if self.exiting_since is not None:
            waited = now - max(self.last_accepted, self.exiting_since)
            patience = self.policy.exit_patience
        else:
            waited = now - max(self.last_accepted, self.sender.not_before)
            patience = self.policy.patience
        if self.sender.unanswered:
            patience = min(patience, self.policy.hung_patience)
        return TIMEOUT if waited > patience else ""

    # --- on the sending threads -----------------------------------------------------

    def _send(self, batch: Batch, tries: int) -> None:
        if self._done():
            return
        if self.sender.not_before > time.monotonic():
            self.pool.submit(partial(self._send, batch, tries), self.sender.not_before)
            return
        self.sender.count_active(1)
        tried = False
        with suppress_instrumentation(), suppress_errors("export"):
            self._try(batch, tries)
            tried = True
        if not tried:
            self._drop(len(batch.items), "error")
        self.sender.count_active(-1)

    def _try(self, batch: Batch, tries: int) -> None:
        vendor = self.sender.vendor
        if cause := vendor.forbidden(batch):
            self._drop(len(batch.items), cause)
            return
        answer = self.sender.client.post(batch)
        vendor.on_answer(answer)
        self._settle(batch, tries, answer)

    def _settle(self, batch: Batch, tries: int, answer: Answer) -> None:
        """Settle the items of an answered batch, or schedule a retry."""
        self.tally.answered = self.tally.answered or answer.status != 0
        if answer.cause in NOT_RETRYABLE:
            self._drop(len(batch.items), answer.cause, b"" if answer.is_page else answer.body)
        elif 200 <= answer.status < 300:
            self._accept(batch, tries, answer)
        elif self._worth_splitting(batch, answer):
            for half in reversed(split_in_half(batch.items)):
                for part in self.sender.vendor.pack(half):
                    self._add(part, first=True)
        elif answer.status == 413:
            self._cut(batch, max(len(batch.body) // 2, 1), answer)
        elif answer.status in self.policy.retry or answer.status == 0:
            self._retry(batch, tries, answer)
        else:
            self._drop(len(batch.items), answer.cause, answer.body)

    def _worth_splitting(self, batch: Batch, answer: Answer) -> bool:
        """Whether to send the halves separately: not if single items fail one after another."""
        if answer.status not in self.policy.split or len(batch.items) == 1:
            return False
        none_accepted = self.tally.dropped[answer.cause] > 1 and not self.tally.sent
        return answer.status == 413 or not none_accepted

    def _accept(self, batch: Batch, tries: int, answer: Answer) -> None:
        left = {item.key: item for item in batch.items}
        lost = 0
        for refusal in list(self.sender.vendor.refusals(answer, batch.items)):  # raises at once
            found = [left.pop(key) for key in refusal.keys if key in left]
            if found and refusal.retry:
                for part in self.sender.vendor.pack(found):
                    self._retry(part, tries, answer)
            elif found:
                self._drop(len(found), "rejected", refusal.reason.encode())
            if others := min(refusal.count, len(left) - lost):
                lost += others
                self._drop(others, "rejected", refusal.reason.encode())
        with self.changed:
            self.last_accepted = time.monotonic()
            self._reduce_pending(len(left) - lost)
            if not self.stopped_by:
                self.tally.sent += len(left) - lost
                self.tally.accepted.update(() if lost else left)

    def _add(self, batch: Batch, first: bool = False) -> None:
        """Queue a batch. An item that is too large by itself is truncated first."""
        if len(batch.body) > self.policy.max_bytes:
            self._cut(batch, len(batch.body) - self.policy.max_bytes, Answer(0, error="too_large"))
        else:
            self._queue(batch, 0.0, 0, first)

    def _cut(self, batch: Batch, excess: int, answer: Answer) -> None:
        (item,) = batch.items
        smaller = self.sender.vendor.shrink(item, excess)
        if smaller is None:
            self._drop(1, answer.cause, answer.body)
            return
        with self.changed:
            self.tally.truncated += 1
        for part in self.sender.vendor.pack((smaller,)):
            self._add(part, first=True)

    def _retry(self, batch: Batch, tries: int, answer: Answer) -> None:
        now = time.monotonic()
        self.last_cause = answer.cause
        requested = answer.retry_after
        if requested is not None and requested >= self.policy.backoff:
            wait = requested
            self.sender.not_before = max(self.sender.not_before, now + wait)
        elif answer.status == 0 and tries == 1 and answer.error != TIMEOUT:
            wait = 0.0  # most likely an idle connection that the vendor has closed
        else:  # also for a Retry-After of 0, to not retry in a tight loop
            jitter = uniform(0.8, 1.2)  # noqa: S311 - no secret
            wait = min(self.policy.backoff * 2.0 ** (tries - 1), self.policy.max_backoff) * jitter
        if now + wait > self.started + self.policy.timeout:
            self._drop(len(batch.items), answer.cause, answer.body)
            return
        with self.changed:
            self.tally.retried += 1
        self._queue(batch, now + wait, tries, False)

    def _queue(self, batch: Batch, due: float, tries: int, first: bool) -> None:
        self.pool.submit(
            partial(self._send, batch, tries + 1), -float(next(self.order)) if first else due
        )

    def _drop(self, items: int, cause: str, response: bytes = b"") -> None:
        with self.changed:
            if not self.stopped_by:
                self.tally.dropped[cause] += items
                text = response.decode("utf-8", "replace")
                self.tally.reasons.setdefault(cause, self.sender.client.scrub(text))
            self._reduce_pending(items)

    def _reduce_pending(self, items: int) -> None:
        self.pending = max(self.pending - items, 0)
        self.changed.notify_all()
