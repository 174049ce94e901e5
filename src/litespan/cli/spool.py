"""`litespan spool`: shows what waits in a spool, and sends it."""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from litespan.cli import CommandError, Parser, configured_exporter, json_text
from litespan.genai.times import iso
from litespan.redaction.text import printable
from litespan.settings import Settings
from litespan.spool import recorder_for
from litespan.spool.file import ALERTS, DAMAGED, HANDLER
from litespan.spool.overview import Overview, Waiting, overview

_ROUND: Final = 60.0  # s between two looks at the result


def run(argv: Sequence[str]) -> int:
    """Show or drain a spool. Returns the exit status: 1 if calls are left after `--drain`."""
    options = _parser().parse_args(argv)
    settings = Settings.from_env()
    if not (given := options.folder or settings.spool):
        raise CommandError("pass the folder as an argument, or set LITESPAN_SPOOL")
    folder = Path(given).expanduser().absolute()
    try:
        found = overview(folder)
        if options.drain:
            _drain(folder, settings, found)
            found = overview(folder)
    except OSError as error:
        raise CommandError(f"cannot read {folder}: {error.strerror}") from error
    print(json_text(_as_json(found), str) if options.json else "\n".join(_lines(found)))
    return 1 if options.drain and found.free else 0


def _drain(folder: Path, settings: Settings, found: Overview) -> None:
    """Send what no running process has, with exporters that the environment configures."""
    from litespan.spool.processor import SpoolProcessor

    recorder = recorder_for(str(folder), settings)
    for key in sorted({each.exporter.removesuffix(ALERTS) for each in found.free} - {DAMAGED}):
        name = key.partition("#")[0]
        if name.startswith(HANDLER):
            fix = "only a program that registers this handler can deliver to it: start it"
            print(f"litespan spool: {name}: {fix}", file=sys.stderr)
            continue
        try:
            exporter = configured_exporter(name)
        except CommandError as problem:
            print(f"litespan spool: {problem}", file=sys.stderr)
            continue
        recorder.keys.add(key)
        processor = SpoolProcessor(exporter, key, recorder, None)
        while processor.send(time.monotonic() + _ROUND) is None:
            pass
        processor.shutdown()


def _as_json(found: Overview) -> dict[str, object]:
    return {
        "waiting": [{**asdict(each), "oldest": _oldest(each)} for each in found.waiting],
        "moved_aside": found.aside,
    }


def _lines(found: Overview) -> Iterable[str]:
    if not found.waiting:
        yield "no calls are waiting"
    for each in sorted(found.waiting, key=lambda each: each.oldest):
        yield printable(_line(each))
    for name in found.aside:
        yield printable(f"{name}: unreadable; recover its calls with `sqlite3 {name} .recover`")


def _line(each: Waiting) -> str:
    state = "in use by a running process" if each.in_use else "not in use"
    unit = "alert(s)" if each.exporter.endswith(ALERTS) else "call(s)"
    return (
        f"{each.exporter}: {each.calls:,} {unit}, {each.bytes:,} bytes, "
        f"oldest {_oldest(each)}; {state} ({each.file})"
    )


def _oldest(each: Waiting) -> str:
    return iso(int(each.oldest * 1e9))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="litespan spool",
        description="Show the calls that wait in a spool until their exporters have delivered "
        "them. Calls of a running process are delivered by that process.",
    )
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", default="", help="the folder (LITESPAN_SPOOL)"
    )
    parser.add_argument(
        "--drain",
        action="store_true",
        help="send the calls of processes that have ended, to exporters that are configured by "
        "their own environment variables",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
