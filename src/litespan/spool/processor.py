"""Sends spans to one exporter by way of the spool."""

import time
from collections import deque
from collections.abc import Sequence
from random import uniform
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from litespan.background import fork
from litespan.background.pool import Pool
from litespan.counters import count
from litespan.errors import suppress_errors
from litespan.spool.directory import Taken
from litespan.spool.exporting import delay_of, export, innermost
from litespan.spool.file import SpoolFile, Waiting
from litespan.spool.record import decode
from litespan.spool.recorder import Recorder

_BATCH: Final = 512  # records, and spans in memory, of one export
_LARGE_BATCH: Final = 5_000  # the same, for stores that write a file each time
_MOST_HELD: Final = 2048  # spans in memory, as in the SDK's batches
_BACKOFF, _LONGEST_BACKOFF = 1.0, 60.0  # s after a failed export; doubles
_LOOK: Final = 30.0  # s between searches for the files of processes that have ended
_EXIT: Final = 10.0  # s for one export more at shutdown; exporters limit theirs to about 5 s


class SpoolProcessor(SpanProcessor):
    """Records calls in the spool, and sends them to an exporter until it has accepted them.

    Spans that are no calls wait in memory, as do calls while the disk fails.
    """

    def __init__(
        self, exporter: SpanExporter, key: str, recorder: Recorder, batches: SpanProcessor | None
    ) -> None:
        """Send what waits for `key`, also of processes that have ended.

        Args:
            exporter: receives the spans.
            key: its name in the spool.
            recorder: of the spool's folder.
            batches: the SDK's processor that this one replaces, if any: it shuts down the exporter.
        """
        self.span_exporter = exporter  # the name that the SDK's processors use
        self.key = key
        self.batches = batches
        self._recorder = recorder
        self._directory = recorder.directory
        self._narrow: Any = getattr(exporter, "narrow", None)
        inner: Any = innermost(exporter)
        if hasattr(inner, "spooled"):
            inner.spooled = True
        if hasattr(inner, "keep_in"):  # alerts, which wait for longer than their calls
            inner.keep_in(recorder, key)
        # A store that collects rows collects them in the spool, and has them once it is flushed.
        self._lingers = float(getattr(getattr(inner, "bounds", None), "linger", 0.0))
        self._delay = self._lingers or delay_of(inner)
        self._full = _BATCH if not self._lingers else _LARGE_BATCH
        self._closed = self._stopped = False
        self._reset()
        self._pool.submit(self._deliver)
        fork.register(self, after_in_child=SpoolProcessor._reset)

    def _reset(self) -> None:
        """Also runs in a forked child."""
        self._held: deque[ReadableSpan] = deque(maxlen=_MOST_HELD)
        self._pool = Pool("litespan-spool-export")
        self._most = self._full  # records of the next export
        self._fresh = 0  # records since the last export
        self._suspects: set[str] = set()  # keys that failed alone, which are skipped
        self._retried: set[str] = set()  # suspects that are tried once more
        self._failures = 0  # exports in a row that failed
        self._not_before = 0.0  # monotonic s

    # --- on the caller's thread ----------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: the spool has spans that have ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span."""
        if not self._closed:
            self._recorder.add(self, span)

    # --- calls from the recorder ---------------------------------------------------------

    def narrow(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span as the exporter receives it; None if it does not."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return None
        return self._narrow(span) if self._narrow is not None else span

    def committed(self, file: SpoolFile, ids: Sequence[int]) -> None:
        """Send the records once more of them may have arrived."""
        self._expect(len(ids))

    def _expect(self, records: int) -> None:
        self._fresh += records
        due = time.monotonic() + (self._delay if self._fresh < self._full else 0.0)
        self._pool.submit(self._deliver, max(self._not_before, due))

    def hold(self, span: ReadableSpan) -> None:
        """Keep a span in memory that is not on disk."""
        if len(self._held) == _MOST_HELD:
            count("spool.lost")
        self._held.append(span)
        self._expect(1)

    # --- SpanProcessor -------------------------------------------------------------------

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write and send what was recorded; False if the time is up.

        As with the SDK's processor, the result does not say whether the destination has accepted
        it: then it stays in the spool. The SDK would not flush further processors after False.
        """
        if self._closed:
            return True
        until = time.monotonic() + timeout_millis / 1000
        return self._recorder.wait(until) and self.send(until) is not None

    def shutdown(self) -> None:
        """Write what was recorded, send it if the destination accepts it, and shut down."""
        self.close()
        (self.batches or self.span_exporter).shutdown()

    def close(self) -> None:
        """As `shutdown`, but leave the exporter."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + _EXIT
        with suppress_errors("spool.shutdown"):
            self._recorder.wait(until)
            if not self._failures or self._held:  # else it is on disk, and waiting helps nobody
                self.send(until)
        self._stopped = True
        self._pool.close()
        self._recorder.leave(self.key)

    def send(self, until: float) -> bool | None:
        """Send until nothing waits or an export fails.

        Args:
            until: monotonic, s.

        Returns:
            Whether nothing waits; None if the time is up.
        """
        done: list[bool] = []

        def send() -> None:
            self._not_before = 0.0
            done.append(self._send(everything=True))

        self._pool.submit(send)
        self._pool.wait_for(lambda: done, until)
        return done[0] if done else None

    # --- on the thread -------------------------------------------------------------------

    def _deliver(self) -> None:
        """Send what is due, and look again later."""
        if self._not_before <= time.monotonic():
            with suppress_errors("spool.delivery"):
                self._send()
        self._pool.submit(self._deliver, max(self._not_before, time.monotonic() + _LOOK))

    def _send(self, *, everything: bool = False) -> bool:
        """Send full batches, and the rest; False after a failure."""
        self._directory.adopt(self._recorder.keys)
        more = True
        while more and not self._stopped:
            self._fresh = 0
            taken = self._directory.take(self.key, self._most, self._suspects)
            held = [self._held.popleft() for _ in range(min(len(self._held), self._full))]
            if taken is None and not held:
                if self._suspects:  # nothing else waits
                    self._suspects.clear()
                    return False
                break
            if not self._send_batch(taken, held):
                return False
            more = everything or (taken is not None and taken.more) or bool(self._held)
        self._directory.release(self._recorder.keys)
        return True

    def _send_batch(self, taken: Taken | None, held: list[ReadableSpan]) -> bool:
        records = list(taken.records) if taken is not None else []
        read = [decode(record.data, record.checksum) for record in records]
        found = [span for span in read if span is not None]
        spans = [*found, *held]
        accepted = export(self.span_exporter, spans, flush=bool(self._lingers)) if spans else ()
        if taken is None:
            return accepted is None
        damaged = [record.id for record, span in zip(records, read, strict=True) if span is None]
        if damaged:
            self._directory.set_aside(taken, damaged)
        whole = [record for record in records if record.id not in damaged]
        done = [record.id for record in whole if accepted is None or record.key in accepted]
        failed = accepted is not None and bool(found)
        count("spool.settled", len(done))
        self._directory.settle(
            taken.file, done, self._put_off(whole, failed=failed, done=bool(done))
        )
        self._adjust(failed=failed)
        return not failed

    def _put_off(self, records: list[Waiting], *, failed: bool, done: bool) -> list[int]:
        """The records to put behind all others: those that fail alone while others are accepted.

        A record that fails alone is skipped until another one is accepted, and then tried once
        more. So an outage changes no order, and a record that always fails blocks no other.
        """
        if done:
            self._retried, self._suspects = self._suspects, set()
        if not failed or done or self._most > 1:
            return []
        (record,) = records
        if record.key in self._retried:
            return [record.id]
        self._suspects.add(record.key)
        return []

    def _adjust(self, *, failed: bool) -> None:
        """After a failure, wait, and send less: a record that fails alone must not block others."""
        if not failed:
            self._failures, self._most = 0, min(self._most * 2, self._full)
            return
        wait = min(_BACKOFF * 2.0**self._failures, _LONGEST_BACKOFF)
        self._failures = min(self._failures + 1, 16)
        self._most = max(self._most // 2, 1)
        self._not_before = time.monotonic() + wait * uniform(0.8, 1.2)  # noqa: S311 - no secret
        self._pool.submit(self._deliver, self._not_before)
        self._directory.drop_old(self.key)
