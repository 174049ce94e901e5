"""`litespan calls`: lists the latest recorded calls, and new ones with `--follow`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Final, NoReturn

from litespan import parsers
from litespan.cli import Parser, add_store, argument, json_text
from litespan.cli.report import since
from litespan.redaction.text import printable
from litespan.stores import groups
from litespan.stores.following import LATE, Follower
from litespan.stores.readable import OUTCOMES, count, dollars, seconds
from litespan.stores.reading import latest, placed
from litespan.stores.records import TIME, Record

COLUMNS: Final = (
    *("key", "call_id", "trace_id", "start_time", "outcome", "operation", "attempt"),
    *(*groups.COLUMNS, "http_status", "error_message", "input_tokens", "output_tokens"),
    *("cost_usd", "duration_s", "first_chunk_s", "stream", "cache_hit"),
)
ID: Final = 8
"""Characters of a key that a list shows."""
_POLL_S: Final = 0.5
_HEAD: Final = ("time (UTC)", "id", "outcome", "model", "user")
_FIGURES: Final = ("in", "out", "cost", "s", "first")
_WIDTHS: Final = (14, ID, 9, 24, 14)
_FIGURE_WIDTHS: Final = (6, 6, 11, 6, 6)
_RED, _DIM, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[0m"


def run(argv: Sequence[str]) -> int:
    """List calls. Returns 0; 2 for bad input."""
    options = _parser().parse_args(argv)
    if options.follow:
        _follow(options)
    found = latest(options.store, options.number, COLUMNS, options.since or "", _filter(options))
    if not found and not options.json:
        print("No matching calls.")
        return 0
    _print(reversed(found), options, head=True)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="litespan calls",
        description="List the latest calls in one of litespan's stores, newest last. "
        "`litespan show ID` shows one of them.",
    )
    add_store(parser)
    parser.add_argument(
        "-n", "--number", type=_number, default=20, metavar="N", help="how many (default: 20)"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="then list calls as they end, until Ctrl-C"
    )
    for name in groups.FIELDS:
        article = "an" if name[0] in "aeo" else "a"
        parser.add_argument(
            f"--{name}", metavar="VALUE", help=f"only calls of {article} {name.replace('-', ' ')}"
        )
    parser.add_argument("--failed", action="store_true", help="only failed and cancelled calls")
    parser.add_argument(
        "--min-cost", type=_usd, metavar="USD", help="only calls that cost this much or more"
    )
    parser.add_argument(
        "--min-seconds",
        type=argument(parsers.seconds),
        metavar="S",
        help="only calls that took this long or longer",
    )
    parser.add_argument("--since", type=since, metavar="WHEN", help="as in litespan report")
    parser.add_argument("--until", type=since, metavar="WHEN", help="only calls that began before")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser


@argument
def _number(text: str) -> int:
    return min(parsers.size(text), sys.maxsize)


@argument
def _usd(text: str) -> Decimal:
    if parsers.number(text) < 0:
        raise parsers.BadSetting("not a number of US dollars, 0 or more")
    return Decimal(text)


def _filter(options: argparse.Namespace) -> Callable[[Record], bool]:
    given = vars(options)
    wanted = {name: given[name.replace("-", "_")] for name in groups.FIELDS}
    wanted = {name: value for name, value in wanted.items() if value is not None}

    def matches(record: Record) -> bool:
        return (
            groups.matches(record, wanted)
            and (not options.failed or record["outcome"] in groups.FAILED)
            and (options.min_cost is None or (record["cost_usd"] or 0) >= options.min_cost)
            and (options.min_seconds is None or (record["duration_s"] or 0) >= options.min_seconds)
            and (options.until is None or record["start_time"] < options.until)
        )

    return matches


def _follow(options: argparse.Namespace) -> NoReturn:
    wanted = _filter(options)
    _wait_for(options.store)
    recent = (datetime.now(timezone.utc) - LATE).strftime(TIME)
    follower = Follower(options.store, COLUMNS, recent)
    for _ in follower.read():
        pass  # these are not new
    shown = latest(options.store, options.number, COLUMNS, options.since or "", wanted)
    _print(reversed(shown), options, head=True)
    listed = {(record["key"], record["outcome"]) for record in shown}
    while True:
        time.sleep(_POLL_S)
        new = filter(wanted, follower.read())
        _print((r for r in new if (r["key"], r["outcome"]) not in listed), options)


def _wait_for(store: str) -> None:
    """Wait for the file of a program that has not recorded a call yet."""
    place = placed(store)
    path = Path(place).expanduser()
    if "://" in place or _has_calls(path):
        return
    print(f"litespan calls: waiting for {place}", file=sys.stderr)
    while not _has_calls(path):
        time.sleep(_POLL_S)


def _has_calls(path: Path) -> bool:
    return path.is_dir() or (path.exists() and path.stat().st_size > 0)


def _print(found: Iterable[Record], options: argparse.Namespace, *, head: bool = False) -> None:
    colors = sys.stdout.isatty()
    if head and not options.json:
        print(_line(_HEAD, _FIGURES, ""))
    for record in found:
        text = json_text(record, str, None) if options.json else _text(record, colors=colors)
        print(text)
    sys.stdout.flush()


def _text(record: Record, *, colors: bool) -> str:
    begun, outcome = record["start_time"], record["outcome"]
    (model,) = groups.groups(record, "model")
    line = _line(
        (
            f"{begun[5:10]} {begun[11:19]}",
            record["key"][:ID],
            OUTCOMES.get(outcome, outcome),
            model,
            record["user_id"],
        ),
        (
            count(record["input_tokens"]),
            count(record["output_tokens"]),
            dollars(record["cost_usd"]),
            seconds(record["duration_s"]),
            seconds(record["first_chunk_s"]),
        ),
        "; ".join(notes(record)),
    )
    if not colors or outcome == "success":
        return line
    return f"{_RED if outcome in groups.FAILED else _DIM}{line}{_PLAIN}"


def notes(record: Record) -> list[str]:
    """Short notes about a call: its attempt, the cache, its error."""
    found = []
    if (record["attempt"] or 1) > 1:
        found.append(f"attempt {record['attempt']}")
    if record["cache_hit"]:
        found.append("from the cache")
    if record["error_type"]:
        status = f" {record['http_status']}" if record["http_status"] else ""
        found.append(f"{record['error_type']}{status}")
    return found


def _line(texts: Sequence[str | None], figures: Sequence[str], note: str) -> str:
    cells = [_cell(text, width) for text, width in zip(texts, _WIDTHS, strict=True)]
    cells += [text.rjust(width) for text, width in zip(figures, _FIGURE_WIDTHS, strict=True)]
    return "  ".join([*cells, printable(note)]).rstrip()


def _cell(text: str | None, width: int) -> str:
    text = printable(text or "")
    return text.ljust(width) if len(text) <= width else f"{text[: width - 3]}..."
