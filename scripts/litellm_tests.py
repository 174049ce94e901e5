"""Runs LiteLLM's own tests without and with litespan, and prints the outcomes that differ.

`python -m scripts.litellm_tests CHECKOUT [TEST…] [PYTEST OPTION…]` runs them twice in a checkout of
LiteLLM's repository, the second time under `litespan run --content`. The default is
`tests/test_litellm`, the tests that need neither keys nor a network. The Python environment needs
litespan and LiteLLM's own development dependencies. Tests that differ run once more, without other
tests between them: many depend on what ran before. The exit status is 1 if some still differ.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from xml.etree import ElementTree as ET

from litespan.stores.reading import records
from litespan.stores.records import Unreadable

DEFAULT: Final = ("tests/test_litellm",)
LITESPAN: Final = str(Path(sys.executable).with_name("litespan"))
RECORDED: Final = (LITESPAN, "run", "--quiet", "--content")
PYTEST: Final = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors")
Outcomes = dict[str, str]  # by pytest's id of the test


def run(checkout: Path, arguments: Iterable[str], *, recorded: bool) -> tuple[Outcomes, int]:
    """The outcome of each test, and how many calls litespan recorded."""
    with TemporaryDirectory() as folder:
        report, store = Path(folder, "report.xml"), Path(folder, "litespan.db")
        subprocess.run(
            [
                *(RECORDED if recorded else (sys.executable,)),
                *PYTEST,
                "--junitxml",
                str(report),
                "--override-ini=junit_family=xunit1",  # has the tests' files
                *arguments,
            ],
            cwd=checkout,
            env={
                **os.environ,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITESPAN_SQLITE": str(store),
                "OTEL_TRACES_EXPORTER": "sqlite",
            },
            check=False,  # some of LiteLLM's tests fail in any case
        )
        return dict(map(outcome, ET.parse(report).iter("testcase"))), count(store)


def outcome(case: ET.Element) -> tuple[str, str]:
    """The id and outcome of a test in pytest's report."""
    file, name = case.get("file", ""), case.get("name", "")
    classes = case.get("classname", "").removeprefix(file.removesuffix(".py").replace("/", "."))
    found = {child.tag for child in case}
    kinds = [kind for kind in ("error", "failure", "skipped") if kind in found]
    return f"{file}{classes.replace('.', '::')}::{name}", kinds[0] if kinds else "passed"


def count(store: Path) -> int:
    """The number of calls in the store."""
    try:
        return sum(1 for _ in records(str(store)))
    except Unreadable:  # no call was recorded
        return 0


def differences(first: Outcomes, second: Outcomes) -> list[str]:
    """The tests whose outcomes are not the same."""
    return sorted(test for test in first | second if first.get(test) != second.get(test))


def main(checkout: str, *arguments: str) -> int:
    """Print what differs."""
    path = Path(checkout)
    tests = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(tests) :]
    chosen = [*(tests or DEFAULT), *options]
    bare, _ = run(path, chosen, recorded=False)
    ours, calls = run(path, chosen, recorded=True)
    for title, outcomes in (("without", bare), (f"with, {calls:,} calls recorded", ours)):
        print(f"{title}: {dict(Counter(outcomes.values()))}")
    differ = differences(bare, ours)
    if differ:
        print(f"{len(differ)} differ, and run once more:", *differ, sep="\n  ")
        bare, _ = run(path, [*differ, *options], recorded=False)
        ours, _ = run(path, [*differ, *options], recorded=True)
        differ = differences(bare, ours)
    for test in differ:
        print(f"{test}: {bare.get(test)} without, {ours.get(test)} with litespan")
    print(f"{len(differ)} differ")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
