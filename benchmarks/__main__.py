"""`python -m benchmarks [NAME …] [--quick]` runs the benchmarks named, by default all of them.

Every module of this package that has a `run(*, quick: bool)` is a benchmark; `run` prints its
readings as Markdown. Names that begin with `_` are helpers.
"""

import argparse
import importlib
import os
import pkgutil
import sys
from shutil import which
from types import ModuleType

import benchmarks
from benchmarks import _instructions

IN_PROCESS = ("wrapper", "callbacks")
COUNTED = (*IN_PROCESS, "peers", "proxy")
FLAGS = ("--quick", "--instructions")


def main() -> None:
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if not module.name.startswith("_")
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"from {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, wider spread")
    parser.add_argument(
        "--instructions",
        action="store_true",
        help=f"count instructions instead of CPU time, with Valgrind: {', '.join(COUNTED)}",
    )
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(names))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names)}")
    if given.instructions:
        timed = sorted(set(given.names) - set(COUNTED))
        if timed:
            parser.error(f"--instructions counts {', '.join(COUNTED)}, not {', '.join(timed)}")
        if which("valgrind") is None:
            parser.error("--instructions needs Valgrind, which is not installed")
        os.environ[_instructions.OPTION] = "1"
        names = [*COUNTED]
    for name in given.names or names:
        if name in IN_PROCESS and given.instructions and not _instructions.is_counted():
            print(_instructions.counted([sys.executable, "-m", "benchmarks", name, *FLAGS]))
            continue
        module = load(name)
        if hasattr(module, "run"):
            print(f"\n## {name}\n\n{(module.__doc__ or '').strip()}\n", flush=True)
            module.run(quick=given.quick)


def load(name: str) -> ModuleType:
    """The benchmark's module, imported on demand because most import LiteLLM."""
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    main()
