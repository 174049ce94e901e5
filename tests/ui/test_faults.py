"""Requests and records that are unusual."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from litespan.ui.index import Index
from litespan_exporters.jsonl import JsonlExporter
from tests.cases import CASES, span
from tests.support.page import Running
from tests.ui.conftest import Site

KEY = "b111a779-bc98-57da-a591-ffffffffffff"


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_out_of_range_is_ignored(name: str, at: str, site: Site) -> None:
    """As any other invalid value in a URL."""
    assert site.get("/", params={name: at}).status_code == 200


@pytest.mark.parametrize("cookie", ['litespan_ui="é"', 'litespan_ui="\\351"', "litespan_ui=\xff"])
def test_any_other_cookie_is_refused(cookie: str, site: Site) -> None:
    """Not an error of the server."""
    with Running(site.index, token="s3cret") as running:
        answer = httpx.get(running.url, headers=[(b"cookie", cookie.encode("latin-1"))])
    assert answer.status_code == 401


class Odd:
    """A store with some calls and an odd one."""

    def __init__(self, path: Path, **changes: Any) -> None:
        store = JsonlExporter(path)
        store.export([*CASES.values()])
        store.force_flush()
        store.shutdown()
        call = json.loads(path.read_text().splitlines()[0])
        odd = {**call, "key": KEY, "span_id": "ffffffffffffffff", **changes}
        with path.open("a") as file:
            file.write(json.dumps(odd) + "\n")
        self.index = Index(str(path))
        self.index.read()

    @property
    def calls(self) -> int:
        """How many the page has."""
        ((found,),) = [row.values() for row in self.index.rows("select count(*) from calls")]
        return int(found)


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Any]:
    """Makes one."""
    made: list[Odd] = []

    def make(**changes: Any) -> Odd:
        made.append(Odd(tmp_path / "calls.jsonl", **changes))
        return made[-1]

    yield make
    for each in made:
        each.index.close()


@pytest.mark.parametrize(
    "changes",
    [{"user_id": "x" * 3_000_000}, {"input_tokens": 2**70}, {"cost_usd": 1e9}],
    ids=["long", "many tokens", "expensive"],
)
def test_a_call_that_is_too_large_does_not_hide_the_others(
    changes: dict[str, Any], odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says that it is missing, and where it is shown."""
    assert odd(**changes).calls == len(CASES)
    (line,) = [r.getMessage() for r in caplog.records if "leaves out" in r.getMessage()]
    assert line.startswith("the page leaves out 1 call(s) of ")
    assert line.endswith("litespan calls lists them")


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "a\ud83d"},
        {"tags": ["a\ud83d"]},
        {"input_messages": [{"role": "user", "parts": [{"type": "text", "content": "a\ud83d"}]}]},
        {"user_id": 'a\0b\r\n"', "error_type": "a\ud83d"},
        {"start_time": "2262-04-11T23:47:16.000000Z"},
        {"start_time": "1970-01-01T00:00:00.000000Z"},
    ],
    ids=["user", "tag", "message", "control", "future", "past"],
)
def test_pages_show_odd_calls(changes: dict[str, Any], odd: Any) -> None:
    """Half a surrogate pair, control characters, and times of wrong clocks."""
    store = odd(**changes)
    assert store.calls == len(CASES) + 1
    with Running(store.index) as running:
        for path in ("/", "/?by=tag", "/?by=user", "/?by=day", "/calls", "/sessions",
                     f"/calls/{KEY}", "/choices/tag"):  # fmt: skip
            assert httpx.get(running.url + path).status_code == 200


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_break_in_the_first_call_does_not_hide_the_others(end: str, tmp_path: Path) -> None:
    """In its error, for example. DuckDB takes it for the line break of the file."""
    text = f"a{end}b"
    store = JsonlExporter(tmp_path / "calls.jsonl")
    store.export([span(1, "chat m", {**(CASES["chat"].attributes or {}), "user.id": text})])
    store.shutdown()
    index = Index(str(tmp_path / "calls.jsonl"))
    index.read()
    assert index.rows("select user_id from calls") == [{"user_id": text}]
    index.close()


def test_a_page_says_that_reading_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a reason that is none of the store's."""

    def fail(_: Index) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Index, "_read_calls", fail)
    index = Index(str(tmp_path / "calls.jsonl"))
    index.start()
    deadline = time.monotonic() + 30
    while index.loading and time.monotonic() < deadline:
        time.sleep(0.01)
    assert index.problem == "litespan failed to read it, and logged the reason."
    index.close()
