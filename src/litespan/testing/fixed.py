"""Ids and times that are the same in every run, so that whole spans can be compared."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final
from unittest.mock import patch

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk._logs import _internal as sdk_logs
from opentelemetry.sdk.trace.id_generator import IdGenerator

START: Final = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z, in ns
MILLISECOND: Final = 1_000_000  # ns


class FixedIds(IdGenerator):
    """Trace ids 1, 2, 3, … and span ids 1, 2, 3, … in order of creation."""

    def __init__(self) -> None:
        self._trace_ids = count(1)
        self._span_ids = count(1)

    def generate_trace_id(self) -> int:
        """The next trace id."""
        return next(self._trace_ids)

    def generate_span_id(self) -> int:
        """The next span id."""
        return next(self._span_ids)


class StepClock:
    """A clock that starts at `start` ns since the epoch and advances `step` ns per reading."""

    def __init__(self, start: int = START, step: int = MILLISECOND) -> None:
        self._readings = count(start, step)

    def __call__(self) -> int:
        """The next time, in ns since the epoch."""
        return next(self._readings)

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Use this clock for the timestamps of spans, events and log records.

        The OpenTelemetry SDK accepts no clock, so `time.time_ns` is patched for the whole
        process.
        """
        with (
            patch.object(time, "time_ns", self),
            patch.object(sdk_trace, "time_ns", self),
            patch.object(sdk_logs, "time_ns", self),
        ):
            yield
