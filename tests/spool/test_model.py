"""The spool against a model: random histories of calls, exports, faults and crashes.

Threads do not run here: the pools run their functions on the test's thread, so that a history can
be repeated. `SPOOL_STEPS` sets the number of steps, in thousands.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.background.pool import Pool
from litespan.export.policy import Policy, Tally
from litespan.spool import directory, file, processor, recorder
from litespan.spool.directory import Directory, Limits
from litespan.spool.overview import overview
from litespan.spool.processor import SpoolProcessor
from litespan.spool.record import encode
from litespan.spool.recorder import Recorder
from litespan.stores.sqlite_file import SQLiteFile

THOUSANDS = int(os.environ.get("SPOOL_STEPS", "1"))
NAMES = ("a", "b")
MAX_AGE = 1_000.0
ANSWERS = (
    "accept",
    "accept",
    "fail",
    "fail",
    "partly",
    "refuse",
    "raise",
    "accept unheard",
    "disk fails",
)
FAULTS = (*["none"] * 8, "disk", -1e6, 10.0, 1e6)  # the disk fails, or the clock jumps by so many s
ENDS = (*[""] * 8, "kill", "stop", "start")
CRASH = st.tuples(st.integers(1, 60), st.sampled_from((1.0, 1.0, 0.0, 0.5, 0.97)))
CRASHES = st.integers(0, 7).flatmap(lambda n: st.none() if n else CRASH)
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("model")

Row = tuple[str, str]  # exporter and key of the call


class World:
    """The disk, the clock and the destinations, and what the spool has promised."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        self.broken = False  # the disk
        self.ahead = 0.0  # s
        self.answers = dict.fromkeys(NAMES, "accept")
        self.steps = 0  # SQL statements and exports until the files are copied; 0: they are not
        self.copy: Path | None = None
        self.promised: dict[Row, float] = {}  # on disk, since a time of the clock
        self.acknowledged: set[Row] = set()  # accepted, and no longer on disk
        self.heard: dict[int, set[Row]] = defaultdict(set)  # known to a process, not to the disk
        self.touched: set[Row] = set()  # by this step
        self.repeated: set[Row] = set()  # delivered after the acknowledgement
        self.arrived: dict[str, list[str]] = {name: [] for name in NAMES}  # keys, first arrivals

    @property
    def now(self) -> float:
        """The time of the clock, s."""
        return time.time() + self.ahead

    def copy_files(self) -> Path:
        """The files as a crash would leave them."""
        if self.copy is None:
            self.copy = Path(tempfile.mkdtemp(dir=self.root))
            for path in self.folder.iterdir():
                shutil.copy(path, self.copy)
        return self.copy

    def step(self, _statement: str) -> None:
        """Called before each SQL statement and in each export."""
        self.steps -= 1
        if self.steps == 0:
            self.copy_files()


class Exporter(SpanExporter):
    """Sends to a destination that answers as the world says."""

    limits = Policy()

    def __init__(self, world: World, name: str, life: int) -> None:
        self.world, self.name, self.life = world, name, life
        self.last = Tally()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Accept, refuse or fail."""
        world, keys = self.world, [encode(span)[0] for span in spans]
        answer = world.answers[self.name]
        self.last = Tally()
        world.step("export")
        if answer == "raise":
            raise RuntimeError
        if answer == "fail":
            self.last.dropped["503"] = len(keys)
            return SpanExportResult.FAILURE
        taken = keys[: (len(keys) + 1) // 2] if answer == "partly" else keys
        rows = {(self.name, key) for key in taken}
        world.repeated |= rows & (world.acknowledged | world.heard[self.life])
        world.touched |= rows
        if answer != "refuse":
            self.arrive(taken)
        if answer == "accept unheard":
            self.last.dropped["timeout"] = len(keys)
            return SpanExportResult.FAILURE
        for row in rows:
            world.promised.pop(row, None)
        if answer == "disk fails":
            world.broken = True
            world.answers[self.name] = "accept"
        (world.heard[self.life] if world.broken else world.acknowledged).update(rows)
        self.last.accepted.update(taken if answer != "refuse" else ())
        if answer == "refuse":
            self.last.dropped["400"] = len(keys)
        elif len(taken) < len(keys):
            self.last.dropped["503"] = len(keys) - len(taken)
        return SpanExportResult.FAILURE if self.last.dropped else SpanExportResult.SUCCESS

    def arrive(self, keys: Sequence[str]) -> None:
        """Remember the order of first arrivals."""
        before = self.world.arrived[self.name]
        before += [key for key in keys if key not in before]


class Life:
    """One process, from its start to its death."""

    def __init__(self, world: World, number: int) -> None:
        self.number = number
        self.queued: list[str] = []
        self.recorder = Recorder(Directory(world.folder, Limits(max_age=MAX_AGE)))
        self.processors = {
            name: SpoolProcessor(
                Exporter(world, name, number), self.recorder.join(name), self.recorder, None
            )
            for name in NAMES
        }

    def die(self) -> None:
        """Release what the operating system releases."""
        for each in self.recorder.directory._files:
            each._leave()


@contextmanager
def patched(world: World) -> Iterator[None]:
    """Pools without threads, and the world's disk and clock."""
    changing = SQLiteFile.changing

    @contextmanager
    def watched(self: SQLiteFile) -> Iterator[sqlite3.Connection]:
        if world.broken:
            raise sqlite3.OperationalError("disk I/O error")
        with changing(self) as connection:
            connection.set_trace_callback(world.step)
            yield connection

    clock = SimpleNamespace(time=lambda: world.now)
    with pytest.MonkeyPatch.context() as patch:
        for module in (recorder, processor):
            patch.setattr(module, "Pool", partial(Pool, max_threads=0))
        for module in (file, directory):
            patch.setattr(module, "time", clock)
        patch.setattr(SQLiteFile, "changing", watched)
        yield


class Spool(RuleBasedStateMachine):
    """Any history keeps what the documentation guarantees."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.patched = patched(self.world)
        self.patched.__enter__()
        self.ended: list[str] = []  # keys, in order
        self.calm = False
        self.reordered = False  # a fault allows another order
        self.born = 0
        self.lives = [self.new_life()]

    @initialize(calm=st.booleans())
    def begin(self, calm: bool) -> None:
        """Half of the histories have no fault that changes the order of calls."""
        self.calm = calm

    def new_life(self) -> Life:
        """Start a process."""
        self.born += 1
        return Life(self.world, self.born)

    @rule(
        which=st.integers(0, 1),
        calls=st.integers(0, 4),
        name=st.sampled_from((None, *NAMES)),
        answer=st.sampled_from(ANSWERS),
        fault=st.sampled_from(FAULTS),
        crash=CRASHES,
        end=st.sampled_from(ENDS),
    )
    def work(
        self,
        which: int,
        calls: int,
        name: str | None,
        answer: str,
        fault: str | float,
        crash: tuple[int, float] | None,
        end: str,
    ) -> None:
        """Calls end in a process, which writes them and may export to one destination."""
        world, life = self.world, self.lives[which % len(self.lives)]
        if self.calm:
            fault, crash = (fault if fault != "disk" else "none"), (crash and (crash[0], 1.0))
            answer = answer if answer != "disk fails" else "accept"
        world.broken = fault == "disk"
        if isinstance(fault, float):
            world.ahead += fault
        self.end_calls(life, calls)
        with self.step(crash):
            self.write_queue(life)
            if name is not None:
                world.answers[name] = answer
                life.processors[name].force_flush(60_000)
                if life.processors[name].failing:
                    self.drop_old(name)
        self.end_calls(self.lives[0], which)  # the next step begins with these in the queue
        self.end(life, end)

    def end_calls(self, life: Life, number: int) -> None:
        """Calls end, and wait in the queue."""
        for _ in range(number):
            span: Any = TRACER.start_span("chat", attributes={"gen_ai.operation.name": "chat"})
            span.end()
            for each in life.processors.values():
                each.on_end(span)
            self.ended.append(encode(span)[0])
            life.queued.append(self.ended[-1])

    def write_queue(self, life: Life) -> None:
        """Write, in the model, too."""
        rows = [(name, key) for key in life.queued for name in NAMES]
        life.queued.clear()
        self.world.touched.update(rows)
        life.recorder.wait(time.monotonic() + 60)
        if self.world.broken:
            self.reordered = True  # they do not wait for those on disk
        else:
            self.world.promised.update(dict.fromkeys(rows, self.world.now))

    def drop_old(self, name: str) -> None:
        """What is too old when an export fails is no longer promised."""
        limit = self.world.now - MAX_AGE + 1
        old = {row for row, at in self.world.promised.items() if row[0] == name and at < limit}
        for row in old:
            del self.world.promised[row]
        self.world.touched |= old

    @contextmanager
    def step(self, crash: tuple[int, float] | None) -> Iterator[None]:
        """One step, in which the machine may stop. Then its effects may have been lost.

        Args:
            crash: the number of SQL statements and exports before it, and the part of the log that
                has reached the disk.
        """
        world = self.world
        before = {**world.promised}, {*world.acknowledged}
        world.touched, world.steps = set(), crash[0] if crash else 0
        yield
        if crash is None:
            return
        world.steps, world.folder = 0, world.copy_files()
        world.copy = None
        world.promised = {row: at for row, at in before[0].items() if row not in world.touched}
        world.acknowledged = before[1] - world.touched
        if crash[1] < 1.0:  # without power, too
            for log in world.folder.glob("*-wal"):
                os.truncate(log, int(log.stat().st_size * crash[1]))
            world.promised, world.acknowledged, self.reordered = {}, set(), True
        for life in self.lives:
            life.die()
        self.lives = [self.new_life()]

    def end(self, life: Life, how: str) -> None:
        """A process dies, or stops as it should; or a second one starts in the same folder."""
        if how == "start" and len(self.lives) == 1 and not self.calm:
            self.reordered = True  # between calls of different processes
            self.lives.append(self.new_life())
        if how not in ("kill", "stop") or life not in self.lives:
            return
        if how == "stop":
            with self.step(None):
                self.write_queue(life)
                for name, each in life.processors.items():
                    each.close()
                    if each.failing:
                        self.drop_old(name)
        life.die()
        self.lives.remove(life)
        self.lives = self.lives or [self.new_life()]

    @invariant()
    def never_again(self) -> None:
        """No call is delivered after its acknowledgement."""
        assert self.world.repeated == set()

    @invariant()
    def order(self) -> None:
        """Calls first arrive in the order in which they ended."""
        if not self.reordered:
            for keys in self.world.arrived.values():
                positions = [self.ended.index(key) for key in keys]
                assert positions == sorted(positions)

    def teardown(self) -> None:
        """After all repairs, everything that was promised arrives, and nothing is left."""
        world = self.world
        world.broken, world.answers = False, dict.fromkeys(NAMES, "accept")
        promised = {*world.promised}
        for life in self.lives:
            life.die()
        life = self.new_life()
        for each in life.processors.values():
            for _ in range(3):
                each.force_flush(60_000)
        self.never_again()
        arrived = {(name, key) for name, keys in world.arrived.items() for key in keys}
        assert promised <= arrived
        assert overview(world.folder).waiting == []
        assert overview(world.folder).aside == []
        for each in life.processors.values():
            each.close()
        self.patched.__exit__(None, None, None)
        shutil.rmtree(world.root)


TestSpool = Spool.TestCase
TestSpool.settings = settings(
    max_examples=20 * THOUSANDS,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=THOUSANDS == 1,  # the same histories in each run of CI
    suppress_health_check=list(HealthCheck),
)
