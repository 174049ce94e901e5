"""The calls of a store in the shape that the page needs: fast to sum up, fast to search.

Whatever the store is, its calls are copied to two files in a private temporary folder: columns
without content to DuckDB, which sums up a million calls in a fraction of a second, and the text of
messages to SQLite's full-text search (FTS5). Both are removed at exit. The store is only read.
"""

import csv
import json
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from litespan.errors import log_once, suppress_errors
from litespan.stores import groups
from litespan.stores.following import Follower
from litespan.stores.reading import named, placed
from litespan.stores.records import KINDS, Record, Unreadable
from litespan.stores.spans import CONTENT
from litespan.ui.texts import Texts

COLUMNS: Final = (
    *("key", "trace_id", "span_id", "parent_span_id", "call_id", "start_time", "duration_s"),
    *("first_chunk_s", "attempt", "http_status", "error_message", "cache_hit"),
    *("stream", "input_tokens", "output_tokens", "cost_usd", *groups.COLUMNS),
)
_TYPES: Final = {
    "integer": "bigint",
    "real": "double",
    "money": "decimal(18,10)",
    "flag": "boolean",
    "time": "timestamp",
    "list": "varchar",
}
_VALUES: Final = itemgetter(*COLUMNS)
_TAGS, _MESSAGE = COLUMNS.index("tags"), COLUMNS.index("error_message")
_BATCH: Final = 10_000  # calls in one insert
_PAUSE_S: Final = 1.0  # between two reads of the store
_SHARE: Final = 10  # reads may take a tenth of the time
_ERROR: Final = 500  # characters of an error that a list can show


class Index:
    """A copy of a store's calls that follows the store.

    Args:
        source: as for `litespan.stores.reading.records`.
    """

    def __init__(self, source: str) -> None:
        self.source: Final = source
        self.version = 0
        """Increases with each change."""
        self.problem = ""
        """Why the store cannot be read at the moment."""
        self.loading = True
        """Whether calls that were in the store at the start are still missing."""
        self._folder = TemporaryDirectory(prefix="litespan-ui-")  # only its owner has access
        self._place = Path(self._folder.name)
        self._duckdb = duckdb.connect(str(self._place / "calls.duckdb"))
        self._duckdb.execute("set autoinstall_known_extensions = false")
        self._duckdb.execute("set enable_progress_bar = false")
        self._duckdb.execute("set memory_limit = '1GB'")  # beyond it, DuckDB uses the folder
        columns = ", ".join(f"{name} {_TYPES.get(KINDS[name], 'varchar')}" for name in COLUMNS)
        self._duckdb.execute(f"create table loaded ({columns})")
        self._duckdb.execute(
            "create table calls as select * replace (cast([] as varchar[]) as tags) from loaded"
        )
        self.texts: Final = Texts(self._place / "texts.db")
        self._calls = Follower(source, COLUMNS)
        self._content = Follower(source, ("key", *CONTENT))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="litespan-ui", daemon=True)

    def start(self) -> None:
        """Start a thread that reads new calls from the store."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and remove the files."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._duckdb.close()
        self._folder.cleanup()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, from any thread."""
        with self._duckdb.cursor() as cursor:
            found = cursor.execute(sql, values)
            names = [name for name, *_ in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    @property
    def awaited(self) -> bool:
        """Whether the store is a file that does not exist yet."""
        place = placed(self.source)
        return "://" not in place and not Path(place).expanduser().exists()

    @property
    def has_calls(self) -> bool:
        """Whether any call has been read."""
        return bool(self.rows("select 1 from calls limit 1"))

    def read(self, *, texts: bool = True) -> None:
        """Read new calls of the store now, then their messages. Raises Unreadable."""
        self._read_calls()
        self.loading = False
        if texts:
            self._read_texts()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            begun, problem = time.monotonic(), "litespan failed to read it, and logged the reason."
            with suppress_errors("reading the store for the page"):
                try:
                    self.read()
                    problem = ""
                except Unreadable as error:
                    problem = str(error)
            self._say(problem)
            self._stopped.wait(max(_PAUSE_S, _SHARE * (time.monotonic() - begun)))

    def _say(self, problem: str) -> None:
        if problem != self.problem or (problem and self.loading):
            self.problem, self.loading = problem, False
            self.version += 1

    def _read_calls(self) -> None:
        file = self._place / "batch.csv"
        for batch in self._batches(self._calls):
            with file.open("w", newline="", encoding="utf-8", errors="replace") as opened:
                csv.writer(opened).writerows(map(_cells, batch))
            with self._duckdb.cursor() as cursor:
                cursor.execute("begin")
                cursor.execute("delete from loaded")
                cursor.execute(
                    f"copy loaded from '{file}' (header false, delimiter ',', quote '\"', "
                    "escape '\"', nullstr '', new_line '\\r\\n', auto_detect false, "
                    "ignore_errors true)"
                )
                cursor.execute(
                    "delete from calls where outcome = 'started' and key in "
                    "(select key from loaded)"
                )
                cursor.execute(
                    "insert into calls select * replace "
                    "(from_json(tags, '[\"VARCHAR\"]') as tags) from loaded"
                )
                ((loaded,),) = cursor.execute("select count(*) from loaded").fetchall()
                cursor.execute("commit")
            if loaded < len(batch):
                log_once(
                    f"ui.left_out:{self.source}",
                    "the page leaves out %d call(s) of %s: they have numbers or texts that are too "
                    "large for it; litespan calls lists them",
                    *(len(batch) - loaded, named(self.source)),
                )
            self.version += 1

    def _read_texts(self) -> None:
        for batch in self._batches(self._content):
            self.texts.add(batch)
            self.version += 1

    def _batches(self, follower: Follower) -> Iterator[list[Record]]:
        found = follower.read()
        while not self._stopped.is_set() and (batch := list(islice(found, _BATCH))):
            yield batch


def _cells(record: Record) -> list[Any]:
    cells = list(_VALUES(record))
    tags, message = cells[_TAGS], cells[_MESSAGE]
    # A call without tags counts under none, as under a tag.
    cells[_TAGS] = json.dumps([*dict.fromkeys(tags)] if tags else [None], ensure_ascii=False)
    cells[_MESSAGE] = message[:_ERROR] if message else None
    return cells
