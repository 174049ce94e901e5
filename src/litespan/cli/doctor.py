"""`litespan doctor`: finds problems in a set-up, and prints how to fix them."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from litespan.cli import Parser, json_text, without_log
from litespan.doctor import Finding, current_setup, examine
from litespan.doctor.setup import Level
from litespan.redaction.text import printable

_MARKS: Final = {"ok": "✓", "info": "·", "warning": "!", "error": "✗"}


def run(argv: Sequence[str]) -> int:
    """Examine the environment. Returns 0 without errors, else 1."""
    options = _parser().parse_args(argv)
    found = []
    with without_log():
        for finding in examine(current_setup(options.config), offline=options.offline):
            found.append(finding)
            if not options.json:
                _show(finding)
    count = Counter(finding.level for finding in found)
    if options.json:
        print(json_text({"findings": [asdict(each) for each in found], "counts": count}, str))
    else:
        print(_summary(count))
    return 1 if count["error"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="litespan doctor",
        description="Check versions, variables, exporters and the proxy's configuration, as a "
        "program started here would have them. Each finding has the line that fixes it. Exporters "
        "receive one marked test call. The exit status is 1 if there is an error.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--offline", action="store_true", help="send no test call and open no connection"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="config.yaml of LiteLLM's proxy (default: CONFIG_FILE_PATH)",
    )
    return parser


def _show(finding: Finding) -> None:
    print(f"{_MARKS[finding.level]} {printable(finding.text)}")
    if finding.fix and finding.level != "ok":
        print(f"    {printable(finding.fix)}")
    sys.stdout.flush()


def _summary(count: Counter[Level]) -> str:
    errors, warnings = count["error"], count["warning"]
    if not errors and not warnings:
        return "no problem found"
    named = [
        f"{number} {word}{'s' if number != 1 else ''}"
        for number, word in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    return ", ".join(named)
