"""How fast the pages of `litespan ui` are over a SQLite file with 1,000,000 calls.

Calls of 90 days with 300 users and 200,000 sessions, each with messages of about 400 characters.
The server runs in this process, its client too; every page is requested over HTTP. Pages are the
slowest of their kind: of all time, with the most frequent word. CPU time is that of all threads.
Goal: every page takes less than 500 ms.
"""

import json
import random
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import httpx

from litespan.stores.columns import COLUMNS
from litespan.stores.schema import TABLE
from litespan.ui.index import Index
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES
from tests.support.page import Running

COUNT: Final = 1_000_000
QUICK: Final = 50_000
ROUNDS: Final = 7
GOAL_MS: Final = 500
MODELS: Final = ("gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash", "o4-mini")
ERRORS: Final = ("RateLimitError", "Timeout", "AuthenticationError", "BadRequestError")
WORDS: Final = tuple(f"{a}{b}" for a in ("re", "un", "in", "co", "de") for b in (
    "fund", "order", "voice", "port", "live", "turn", "view", "pay", "count", "tract"
))  # fmt: skip


def rows(number: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Calls of 90 days: sessions of five, 300 users, some failures and streams."""
    chance = random.Random(seed)
    begun = datetime.now(timezone.utc) - timedelta(days=90)
    step = timedelta(days=90) / number
    for at in range(number):
        start = begun + at * step
        failed = chance.random() < 0.02
        seconds = chance.lognormvariate(0, 0.7)
        tokens, answered = chance.randint(50, 4000), chance.randint(10, 800)
        spent = int((tokens * 15e-8 + answered * 6e-7) * 1e10)
        said = " ".join(chance.choices(WORDS, k=40))
        model = chance.choice(MODELS)
        session = at // 5
        message = [{"role": "user", "parts": [{"type": "text", "content": f"case {at} {said}"}]}]
        yield {
            "key": str(uuid.UUID(int=chance.getrandbits(128))),
            "trace_id": f"{at + 1:032x}",
            "span_id": f"{at + 1:016x}",
            "call_id": f"call-{at}",
            "start_time": f"{start:%Y-%m-%dT%H:%M:%S.%fZ}",
            "end_time": f"{start + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}",
            "duration_s": round(seconds, 3),
            "first_chunk_s": round(seconds / 4, 3) if at % 3 == 0 else None,
            "outcome": "failure" if failed else "success",
            "error_type": chance.choice(ERRORS) if failed else None,
            "operation": "chat",
            "provider": "openai",
            "model": model,
            "request_model": model,
            "user_id": f"user-{session % 300}",
            "session_id": f"session-{session}",
            "team_alias": f"team-{session % 12}",
            "tags": json.dumps([f"feature-{session % 7}", "beta"]),
            "metadata": "{}",
            "input_tokens": None if failed else tokens,
            "output_tokens": None if failed else answered,
            "cost_usd_e10": None if failed else spent,
            "attributes": '{"gen_ai.request.temperature":0.2,"gen_ai.operation.name":"chat"}',
            "input_messages": json.dumps(message),
            "output_messages": json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": said[:120]}]}]
            ),
        }


def make(path: Path, number: int) -> None:
    """A SQLite store with that many calls."""
    exporter = SQLiteExporter(path)
    exporter.export([CASES["chat"]])  # makes the table
    exporter.shutdown()
    names = [f"{c.name}_e10" if c.kind == "money" else c.name for c in COLUMNS]
    marks = ", ".join(f":{name}" for name in names)
    empty = dict.fromkeys(names)
    with sqlite3.connect(path) as connection:
        connection.execute("pragma synchronous = off")
        connection.executemany(
            f"insert into {TABLE} ({', '.join(names)}) values ({marks})",
            ({**empty, **row} for row in rows(number)),
        )


def pages(index: Index) -> dict[str, str]:
    """Every page by name: at its slowest where there is a choice."""
    (call,) = index.rows("select * from calls where outcome = 'success' order by key limit 1")
    (other,) = index.rows("select * from calls where outcome = 'failure' order by key limit 1")
    return {
        "overview": "/",
        **{f"overview by {by}": f"/?by={by}" for by in ("user", "team", "tag", "day", "error")},
        "overview of 7 days": "/?range=7d",
        "overview of a user": "/?user=user-7",
        "calls": "/calls",
        "failed calls of a model": "/calls?failed=1&model=gpt-4o",
        "search of a rare word": "/calls?q=case+12345",
        "search of a frequent word": "/calls?q=refund",
        "overview of a search": "/?q=refund",
        "sessions": "/sessions",
        "one session": f"/session?id={call['session_id']}",
        "one call": f"/calls/{call['key']}",
        "two calls": f"/compare?id={call['key']}&id={other['key']}",
    }


def run(*, quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.db"
        make(path, QUICK if quick else COUNT)
        measure(path)


def measure(path: Path) -> None:
    """Print how long each page takes over this store."""
    index = Index(str(path))
    begun = time.perf_counter(), time.process_time()
    index.read(texts=False)
    print(f"Calls are read in {since(begun)}", end=", ")
    begun = time.perf_counter(), time.process_time()
    index.read()
    print(f"their messages in {since(begun)}; the store has {path.stat().st_size / 1e9:.1f} GB.\n")
    print("| page | median ms | slowest ms | CPU ms |\n|---|---|---|---|")
    slowest = 0.0
    with Running(index) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for name, page in pages(index).items():
            taken, used = [], []
            for _ in range(ROUNDS):
                begun = time.perf_counter(), time.process_time()
                client.get(page).raise_for_status()
                taken.append((time.perf_counter() - begun[0]) * 1000)
                used.append((time.process_time() - begun[1]) * 1000)
            middle = statistics.median(taken)
            slowest = max(slowest, middle)
            print(f"| {name} | {middle:.0f} | {max(taken):.0f} | {statistics.median(used):.0f} |")
    index.close()
    print(f"\nThe slowest page takes {slowest:.0f} ms; the goal is {GOAL_MS} ms.")


def since(begun: tuple[float, float]) -> str:
    wall, used = time.perf_counter() - begun[0], time.process_time() - begun[1]
    return f"{wall:.0f} s ({used:.0f} s of CPU time)"
