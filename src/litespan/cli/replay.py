"""`litespan replay`: sends the calls of a store to exporters, each call once over all runs."""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.cli import CommandError, Parser, configured_exporter, exporter_names
from litespan.cli.replay_notes import Notes
from litespan.cli.report import since
from litespan.export.policy import Tally
from litespan.offload import Unrestorable, with_content
from litespan.stores.reading import NotFound, find, readers, records
from litespan.stores.records import Record
from litespan.stores.spans import span_of

BATCH: Final = 500  # calls in one export
_MAX_FAILURES: Final = 3  # failed exports of single calls in a row, before an exporter stops
_PROGRESS: Final = 10_000  # calls between two lines of progress
_FLUSH_MS: Final = 60_000


def run(argv: Sequence[str]) -> int:
    """Replay calls. Returns 0 if all were accepted, 1 if some were not, 2 for bad input."""
    options = _parser().parse_args(argv)
    store = Path(options.store).expanduser()
    beside = f"{store}.replay" if store.exists() else "litespan.replay"
    state = Path(options.state or beside).expanduser()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    # Before the file of accepted calls is created: a wrong name must leave no file.
    found = _chosen(options)
    exporters = {name: configured_exporter(name) for name in options.to}
    with closing(Notes(state)) as notes, suppress_instrumentation():
        targets = [Target(name, exporter, notes) for name, exporter in exporters.items()]
        try:
            _replay(found, targets)
        finally:
            for target in targets:
                target.exporter.shutdown()
    for target in targets:
        print(target.summary())
    return 1 if any(target.left for target in targets) else 0


def _parser() -> Parser:
    parser = Parser(
        prog="litespan replay",
        description="Send the calls of a store to exporters, as if they had just ended. Offloaded "
        "content is read back. A file records what each exporter has accepted: a second run "
        "continues where the first one stopped, and sends nothing twice.",
    )
    parser.add_argument(
        "store",
        metavar="STORE",
        help="a JSONL, SQLite, CSV, DuckDB or Parquet file, a folder of Parquet files, the URL of "
        f"a database, or one of {', '.join(readers())}",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="NAMES",
        type=exporter_names,
        help="exporters, as in OTEL_TRACES_EXPORTER: helicone,langfuse",
    )
    parser.add_argument("--since", type=since, metavar="WHEN", help="as in litespan report")
    parser.add_argument(
        "--call",
        metavar="ID",
        help="only the calls with this key, call id or trace id; the first characters are enough",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="file that records accepted calls (default: the store's path with .replay appended)",
    )
    return parser


def _chosen(options: argparse.Namespace) -> Iterator[Record]:
    start = options.since or ""
    if not options.call:
        return records(options.store, since=start)
    try:
        return (r for r in find(options.store, options.call) if r["start_time"] >= start)
    except NotFound as problem:
        raise CommandError(problem) from None


@dataclass
class Target:
    """One exporter, and its progress."""

    name: str
    exporter: SpanExporter
    notes: Notes
    sent: int = 0
    known: int = 0  # accepted in an earlier run
    left: int = 0  # not accepted
    stopped: bool = False
    unread: set[str] = field(default_factory=set)  # sent without their offloaded content

    @property
    def place(self) -> str:
        """The exporter's name and URL: it may send elsewhere in another run."""
        has_repr = type(self.exporter).__repr__ is not object.__repr__
        where = repr(self.exporter) if has_repr else getattr(self.exporter, "_endpoint", "")
        return f"{self.name} {where}"

    def send(self, calls: Sequence[Record]) -> None:
        """Send the calls that were not accepted yet, and record those that are."""
        missing = self.notes.missing(self.place, [call["key"] for call in calls])
        todo = [call for call in calls if call["key"] in missing]
        self.known += len(calls) - len(todo)
        if not todo:
            return
        if self.stopped:
            self.left += len(todo)
        elif self._export(todo):
            self._accept(todo)
        else:
            tally = getattr(self.exporter, "last", None)
            keys = tally.accepted if isinstance(tally, Tally) else ()
            self._accept([call for call in todo if call["key"] in keys])
            self._one_by_one([call for call in todo if call["key"] not in keys])

    def _one_by_one(self, calls: Sequence[Record]) -> None:
        """Send single calls, to find the rejected ones. Stops after several failures in a row."""
        failures = 0
        for done, call in enumerate(calls):
            if self._export([call]):
                self._accept([call])
                failures = 0
                continue
            self.left += 1
            failures += 1
            if failures == _MAX_FAILURES:
                self.stopped = True
                self.left += len(calls) - done - 1
                return

    def _export(self, calls: Sequence[Record]) -> bool:
        result = self.exporter.export([self._span(call) for call in calls])
        return result is SpanExportResult.SUCCESS and self.exporter.force_flush(_FLUSH_MS)

    def _span(self, call: Record) -> ReadableSpan:
        """The call's span with offloaded content, or with the references if it cannot be read."""
        span = span_of(call)
        try:
            return with_content(span)
        except Unrestorable as problem:
            if not self.unread:
                print(f"litespan replay: {problem}", file=sys.stderr)
            self.unread.add(call["key"])
            return span

    def _accept(self, calls: Sequence[Record]) -> None:
        self.notes.add(self.place, [call["key"] for call in calls])
        self.sent += len(calls)

    def summary(self) -> str:
        """The result in one line."""
        line = f"{self.name}: {self.sent:,} sent"
        if self.unread:
            line += f", {len(self.unread):,} of them without offloaded content"
        if self.known:
            line += f", {self.known:,} already delivered"
        if self.left:
            line += f", {self.left:,} not accepted: run the same command again to continue"
        return line


def _replay(found: Iterator[Record], targets: Sequence[Target]) -> None:
    """Send every finished call to every exporter, in batches."""
    done = unfinished = 0
    stopped = False
    while batch := list(islice(found, BATCH)):
        finished = [record for record in batch if record["outcome"] != "started"]
        unfinished += len(batch) - len(finished)
        for target in targets:
            target.send(finished)  # once stopped, it only counts
        before, done = done, done + len(finished)
        if before // _PROGRESS != done // _PROGRESS:
            print(f"{done:,} calls so far", file=sys.stderr)
        if not stopped and all(target.stopped for target in targets):
            stopped = True
            print("stopped: no exporter accepts calls at the moment", file=sys.stderr)
    if unfinished:
        print(f"{unfinished:,} unfinished call(s) skipped", file=sys.stderr)
