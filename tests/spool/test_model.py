"""The spool against a model: random histories of calls, deliveries, faults and crashes.

`SPOOL_STEPS` sets the number of steps, in thousands.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from litespan.counters import stats
from litespan.spool.overview import overview
from tests.spool.lives import Desk, Life
from tests.spool.model import AUDIT, DESK, EXPORTERS, Crash, Fault, World, patched

pytestmark = pytest.mark.slow
MOST_NOTICES = Desk.policy.max_items  # of one message
THOUSANDS = int(os.environ.get("SPOOL_STEPS", "1"))
ALL = (*EXPORTERS, DESK, AUDIT)
ANSWERS = {
    AUDIT: ("accept", "accept", "raise", "stuck", "slow"),
    DESK: ("accept", "accept", "fail", "refuse", "gone", "accept unheard"),
    **dict.fromkeys(
        EXPORTERS,
        ("accept", "accept", "fail", "fail", "partly", "refuse", "raise", "accept unheard"),
    ),
}
CRASH = st.builds(
    Crash, st.integers(1, 60), st.sampled_from((None, None, 0.0, 0.5, 0.9)), st.integers(0, 9)
)
FAULT = st.builds(Fault, st.integers(1, 8), st.sampled_from((1, 2, 1000)), st.booleans())
CLOCK = (*[0.0] * 8, -1e6, 10.0, 1e6)
ENDS = (*[""] * 8, "kill", "stop", "start", "start bare")


def errors() -> dict[str, int]:
    """Errors of litespan's own; exporters of the model raise some."""
    return {
        name: number
        for name, number in stats().items()
        if name.startswith("errors.") and name != "errors.spool.export"
    }


class Spool(RuleBasedStateMachine):
    """Any history keeps what the documentation guarantees."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.patched = patched(self.world)
        self.patched.__enter__()
        self.errors = errors()
        self.ended: list[str] = []  # calls, in order
        self.calm = self.restart = False
        self.born = 0
        self.lives: list[Life] = []

    @initialize(calm=st.booleans(), full=st.booleans(), restart=st.booleans())
    def begin(self, calm: bool, full: bool, restart: bool) -> None:
        """Half of the histories have no fault that changes the order of calls."""
        self.calm, self.restart = calm, restart
        self.world.sync = "full" if full else "normal"
        self.lives = [self.new_life()]

    def new_life(self, *, whole: bool = True) -> Life:
        """Start a process."""
        self.born += 1
        return Life(self.world, self.born, whole=whole)

    @rule(
        which=st.integers(0, 1),
        calls=st.integers(0, 4),
        quick=st.booleans(),
        name=st.sampled_from((None, *ALL)),
        answer=st.integers(0, 7),
        clock=st.sampled_from(CLOCK),
        fault=st.integers(0, 7).flatmap(lambda n: FAULT if n == 0 else st.none()),
        crash=st.integers(0, 7).flatmap(lambda n: CRASH if n == 0 else st.none()),
        end=st.sampled_from(ENDS),
    )
    def work(
        self,
        which: int,
        calls: int,
        quick: bool,
        name: str | None,
        answer: int,
        clock: float,
        fault: Fault | None,
        crash: Crash | None,
        end: str,
    ) -> None:
        """Calls end in a process, which writes them and may deliver to one destination."""
        world, life = self.world, self.lives[which % len(self.lives)]
        if self.calm:
            fault = None
            crash = Crash(crash.after) if crash and world.sync == "normal" else crash
        if name is not None:
            world.answers[name] = ANSWERS[name][answer % len(ANSWERS[name])]
        world.ahead += clock
        self.end_calls(life, calls)
        with self.step(fault, crash):
            if quick and life.whole:
                life.threads.turn()
            self.write(life)
            life.work(name)
        self.end_calls(self.lives[0], which)  # the next step begins with these in the queue
        self.end(life, end)

    def end_calls(self, life: Life, number: int) -> None:
        """Calls end, and wait in the queue."""
        for _ in range(number):
            self.ended.append(life.end_call(len(self.ended)))

    def write(self, life: Life) -> None:
        """Write the queue. Without a fault, every call is on disk then, or delivered."""
        calls = life.write()
        if self.world.fault is None:
            self.check_kept(life, calls)

    def check_kept(self, life: Life, calls: list[str]) -> None:
        """Calls of a process are on disk for each destination, unless it has them."""
        book = self.world.book
        known = book.had | book.on_disk
        for name in ALL if life.whole else EXPORTERS:
            assert {(name, call) for call in calls} - known == set()

    @contextmanager
    def step(self, fault: Fault | None = None, crash: Crash | None = None) -> Iterator[None]:
        """One step, in which the disk may fail and the machine may stop."""
        world = self.world
        world.begin(fault, crash)
        if not all(life.whole for life in self.lives):
            world.failed.add(f"handler:{AUDIT}")
        yield
        world.fault = None
        if world.restart():
            for life in self.lives:
                life.die()
            self.lives = [self.new_life()]

    def end(self, life: Life, how: str) -> None:
        """A process dies, or stops as it should; or a second one starts in the same folder."""
        if how.startswith("start") and len(self.lives) == 1 and not self.calm:
            self.world.book.reordered = True  # between calls of different processes
            self.lives.append(self.new_life(whole=how == "start"))
        if how not in ("kill", "stop") or life not in self.lives:
            return
        if how == "stop":
            with self.step():
                life.stop()
            book = self.world.book
            settled = {row for number, row in book.heard if number == life.number}
            assert not {row for row in settled & book.on_disk if row[0] != DESK}
        life.die()
        self.lives.remove(life)
        self.lives = self.lives or [self.new_life()]

    @invariant()
    def never_again(self) -> None:
        """Nothing is delivered after its acknowledgement."""
        assert not self.world.book.repeated, self.world.book.repeated
        assert not self.world.book.strange, self.world.book.strange
        assert errors() == self.errors

    @invariant()
    def order(self) -> None:
        """Calls first arrive in the order in which they ended."""
        if not self.world.book.reordered:
            for name in EXPORTERS:
                arrived = [call for at, call in self.world.book.arrived if at == name]
                positions = [self.ended.index(call) for call in arrived]
                assert positions == sorted(positions)

    def teardown(self) -> None:
        """After all repairs, everything that was promised arrives, and nothing is left."""
        try:
            self.repair()
        finally:
            self.patched.__exit__(None, None, None)

    def repair(self) -> None:
        """Let the processes, or the next one, deliver everything."""
        world = self.world
        world.answers = dict.fromkeys(ALL, "accept")
        for life in self.lives:
            if not self.restart:
                self.deliver(life)
                with self.step():
                    life.stop()
            life.die()
        life = self.new_life()
        self.deliver(life)
        self.never_again()
        lost = {*world.book.promised} - {*world.book.arrived}
        assert not lost, lost
        left = overview(world.folder).waiting
        assert not left, left
        assert overview(world.folder).aside == []
        life.stop()
        life.die()
        assert {path.suffix for path in world.folder.iterdir()} <= {".lock"}

    def deliver(self, life: Life) -> None:
        """Let a process deliver everything."""
        with self.step():
            self.write(life)
            for _ in range(3 + len(self.ended) // MOST_NOTICES):
                self.world.ahead += 400.0
                for name in ALL:
                    life.work(name)


TestSpool = Spool.TestCase
TestSpool.settings = settings(
    max_examples=(50 if THOUSANDS == 1 else 25 * THOUSANDS),
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=THOUSANDS == 1,  # the same histories in each run of CI
    suppress_health_check=list(HealthCheck),
)
