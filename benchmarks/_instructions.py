"""Counts the instructions that processes execute, with Valgrind: `--instructions`.

Unlike CPU time, they hardly vary between runs and machines. `callgrind_control` tells Callgrind
when to count: https://valgrind.org/docs/manual/cl-manual.html
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

K = TypeVar("K")
ROOT: Final = Path(__file__).parents[1]
OPTION: Final = "BENCHMARKS_INSTRUCTIONS"  # whether to count
_FOLDER: Final = "BENCHMARKS_COUNTED"  # where Callgrind writes what this process executes
_TOTAL: Final = re.compile(rb"^totals: (\d+)", re.MULTILINE)


class Counter:
    """The instructions of a process that `command` has started."""

    def __init__(self, process: int, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._known = {*folder.glob("out.*")}
        self._control("-i", "on")

    def start(self) -> None:
        """Count from here."""
        self._control("-z")

    def read(self, *, first_thread: bool = False) -> int:
        """The instructions since `start`, of all threads or of the first one."""
        self._control("-d")
        return sum(count for thread, count in self._dumped() if thread == 1 or not first_thread)

    def _control(self, *options: str) -> None:
        command = ["callgrind_control", *options, str(self._process)]
        subprocess.run(command, check=True, capture_output=True)

    def _dumped(self) -> Iterator[tuple[int, int]]:
        """(number of a thread, its instructions) of each new file."""
        for path in {*self._folder.glob("out.*")} - self._known:
            self._known.add(path)
            found = _TOTAL.search(path.read_bytes())
            if found:
                yield int(path.name.rpartition("-")[2]), int(found[1])


def wanted() -> bool:
    """Whether to count; this process does so if `counted` has started it."""
    return OPTION in os.environ


def command(folder: Path) -> list[str]:
    """What starts a program so that `Counter` can count it."""
    options = ("--instr-atstart=no", "--separate-threads=yes", "--fair-sched=yes")
    out = f"--callgrind-out-file={folder}/out"
    return ["valgrind", "-q", "--tool=callgrind", out, *options]


def is_counted() -> bool:
    """Whether `counted` has started this process."""
    return _FOLDER in os.environ


def counted(program: list[str]) -> str:
    """Run a program that calls `per_call`. Returns what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, _FOLDER: folder, "PYTHONHASHSEED": "1"}
        done = subprocess.run(
            [*command(Path(folder)), *program],
            cwd=ROOT,
            env=env,
            check=True,
            stdout=subprocess.PIPE,
        )
    return done.stdout.decode()


def per_call(
    blocks: Mapping[K, Callable[[int], object]],
    count: int,
    *,
    first_thread: bool,
    prepare: Callable[[K], object],
) -> dict[K, list[float]] | None:
    """Billions of instructions of one call, by block, twice; None if this is not counted.

    As seconds would be, at one instruction per ns.
    """
    if not is_counted():
        return None
    counter = Counter(os.getpid(), Path(os.environ[_FOLDER]))
    found: dict[K, list[float]] = {name: [] for name in blocks}
    for name in [*blocks] * 2:
        prepare(name)
        counter.start()
        blocks[name](count)
        found[name].append(counter.read(first_thread=first_thread) / count / 1e9)
    return found
