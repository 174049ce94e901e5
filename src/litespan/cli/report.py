"""`litespan report`: tokens, cost and latency of recorded calls, by model, user or day."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from importlib.util import find_spec
from itertools import zip_longest
from typing import Final

from litespan.cli import Parser, add_store, argument, json_text
from litespan.cli.show import print_call
from litespan.cli.summary import BY, Summary, Totals, grouping, summarize
from litespan.redaction.text import printable
from litespan.stores.readable import count, dollars, places, seconds
from litespan.stores.reading import named
from litespan.stores.records import TIME, moment_of
from litespan.stores.spreadsheet import guarded

NONE: Final = "(none)"
_HEAD: Final = (
    *("calls", "failed", "tokens\nin", "out", "cost"),
    *("latency\np50", "p95", "first\nchunk\np50", "p95"),
)
_NARROW: Final = 16  # minimum width of the names, in characters


def run(argv: Sequence[str]) -> int:
    """Print a report for command-line arguments. Returns the exit status."""
    options = _parser().parse_args(argv)
    if options.call:
        return print_call(options.store, options.call)
    summary = summarize(options.store, options.by, options.since or "")
    show = print_json if options.json else print_csv if options.csv else print_table
    show(summary, named(options.store))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="litespan report", description="Summarize the calls in one of litespan's stores."
    )
    add_store(parser)
    parser.add_argument(
        "--by",
        type=argument(_by),
        default="model",
        metavar="WHAT",
        help=f"{', '.join(BY)} or metadata.KEY (default: model). By tag, a call counts under "
        "each of its tags. Days are UTC",
    )
    parser.add_argument(
        "--since",
        type=since,
        metavar="WHEN",
        help="only calls that started then or later: 30m, 24h, 7d, 4w, 2026-11-01, "
        "2026-11-01T12:00 (UTC, or with an offset)",
    )
    parser.add_argument(
        "--call",
        metavar="ID",
        help="print one call as JSON instead: by its call id, key or trace id, or a unique "
        "beginning of one. Offloaded content is read back",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--csv", action="store_true", help="print CSV, one line per group")
    return parser


def _by(text: str) -> str:
    grouping(text)
    return text


@argument
def since(text: str) -> str:
    """Parse a time or an age. Returns ISO 8601 in UTC, as the stores write it."""
    return moment_of(text).strftime(TIME)


def print_json(summary: Summary, file: str) -> None:
    """Print one object with `by`, `total` and `groups`; each group has its name in `group`."""
    groups = [{"group": name, **totals.figures()} for name, totals in summary.groups.items()]
    report = {"file": file, "by": summary.by, "total": summary.total.figures()}
    print(json_text({**report, "groups": groups}, float))


def print_csv(summary: Summary, file: str) -> None:
    """Print a header and one line per group; costs are exact decimals."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([summary.by, *summary.total.figures()])
    for name, totals in summary.groups.items():
        figures = ["" if value is None else _plain(value) for value in totals.figures().values()]
        writer.writerow([printable(guarded(name or "")), *figures])


def _plain(value: float | Decimal) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def print_table(summary: Summary, file: str) -> None:
    """Print a table, with rich if it is installed, else as plain text."""
    total = summary.total
    if not total.calls:
        print(f"No calls in {file} (in the requested time).")
        return
    times = dict.fromkeys(f"{at[:10]} {at[11:16]}" for at in (summary.first, summary.last) if at)
    print(f"{file}: {_calls(total.calls)}, {' to '.join(times)} UTC; times in seconds")
    decimals = places(total.cost_usd or Decimal(0))
    rows = [
        (NONE if name is None else printable(name), *_cells(totals, decimals))
        for name, totals in summary.groups.items()
    ]
    show = _print_rich if find_spec("rich") else _print_plain
    show((summary.by, *_HEAD), rows, ("total", *_cells(total, decimals)))
    for note in _notes(total):
        print(note)


def _notes(total: Totals) -> Iterator[str]:
    if total.unpriced:
        yield f"The cost of {_calls(total.unpriced)} is unknown and not included in the sums."
    if total.unfinished:
        yield f"{_calls(total.unfinished)} did not finish: still running, or killed."


def _calls(number: int) -> str:
    return f"{number:,} call" + ("s" if number != 1 else "")


def _cells(totals: Totals, decimals: int) -> tuple[str, ...]:
    figures = totals.figures()
    return (
        f"{totals.calls:,}",
        f"{totals.failures:,}" if totals.failures else "-",
        count(totals.input_tokens),
        count(totals.output_tokens),
        dollars(totals.cost_usd, decimals),
        seconds(figures["latency_p50_s"]),
        seconds(figures["latency_p95_s"]),
        seconds(figures["first_chunk_p50_s"]),
        seconds(figures["first_chunk_p95_s"]),
    )


def _widths(rows: Iterable[tuple[str, ...]]) -> list[int]:
    lines = [
        [line for cell in column for line in cell.split("\n")] for column in zip(*rows, strict=True)
    ]
    return [max(map(len, column)) for column in lines]


def _print_rich(head: tuple[str, ...], rows: list[tuple[str, ...]], total: tuple[str, ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    name, *figures = _widths([head, *rows, total])
    gap = 2 if not console.is_terminal or name + sum(figures) + 18 <= console.width else 1
    least = min(name, _NARROW) + sum(figures) + gap * len(figures)
    # A pipe has no width; a terminal that is too narrow wraps lines itself.
    console.width = max(console.width, least) if console.is_terminal else name + least
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    table.add_column(head[0], vertical="bottom", overflow="fold", min_width=min(name, _NARROW))
    for title in head[1:]:
        table.add_column(title, justify="right", vertical="bottom", no_wrap=True)
    for row in rows:
        failed = Text(row[2], "red" if row[2] != "-" else "")
        table.add_row(Text(row[0]), row[1], failed, *row[3:])
    table.add_section()
    table.add_row(*total, style="bold")
    console.print(table)


def _print_plain(
    head: tuple[str, ...], rows: list[tuple[str, ...]], total: tuple[str, ...]
) -> None:
    widths = _widths([head, *rows, total])
    titles = [title.split("\n")[::-1] for title in head]
    heading = list(zip_longest(*titles, fillvalue=""))[::-1]
    rule = tuple("-" * width for width in widths)
    for name, *cells in (*heading, rule, *rows, rule, total):
        right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        print("  ".join([name.ljust(widths[0]), *right]).rstrip())
