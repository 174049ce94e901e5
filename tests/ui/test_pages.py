"""The server's answers: figures of the report, every store, access control, and no writes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from litespan.cli import main
from litespan.parsers import BadSetting, trace_link
from litespan.ui import queries
from litespan.ui.filters import Filters
from litespan.ui.index import Index
from litespan.ui.security import HEADERS
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES, STARTED
from tests.support.page import Running
from tests.ui.conftest import Site
from tests.ui.sample import HOSTILE

HOSTILE_CALLS = "/calls?until=2026-11-19T20:01"
PATHS = ("/", "/?by=tag", "/?by=day", "/calls", "/sessions", "/session?id=chat-085", HOSTILE_CALLS)


def reported(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What `litespan report` says."""
    assert main(["report", "--json", *map(str, arguments)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def as_reported(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of figures under the report's names."""
    latency, first = row["latency"] or (None, None), row["first_chunk"] or (None, None)
    cost = row["cost_usd"]
    names = ("calls", "failures", "unfinished", "input_tokens", "output_tokens", "unpriced")
    return {
        **{name: row[name] for name in names},
        "cost_usd": None if cost is None else float(cost),
        "latency_p50_s": latency[0],
        "latency_p95_s": latency[1],
        "first_chunk_p50_s": first[0],
        "first_chunk_p95_s": first[1],
    }


@pytest.mark.parametrize("by", [by for by in queries.BY if by != "error"])
def test_figures_are_those_of_the_report(
    by: str, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sums, exact cost and percentiles, in total and for each group."""
    report = reported(capsys, site.path, "--by", by)
    total = queries.totals(site.index, Filters())
    assert as_reported(total) == report["total"]
    groups = queries.groups_of(site.index, Filters(), by, limit=1000)
    assert {row["name"]: as_reported(row) for row in groups} == {
        group.pop("group"): group for group in report["groups"]
    }
    series = queries.series(site.index, Filters(), total)
    assert sum(row["calls"] for row in series.rows) == total["calls"]
    assert 2 <= len(series.rows) <= 73


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ({"user": "ben"}, ["--user", "ben"]),
        ({"model": "gpt-4o", "failed": "1"}, ["--model", "gpt-4o", "--failed"]),
        ({"team": "billing", "tag": "mail"}, ["--team", "billing", "--tag", "mail"]),
        ({"key": "search-key", "min_seconds": "3"}, ["--key", "search-key", "--min-seconds", "3"]),
        ({"error": "Timeout"}, ["--error", "Timeout"]),
        ({"min_cost": "0.003"}, ["--min-cost", "0.003"]),
        (
            {"since": "2026-11-20T06:00", "until": "2026-11-20T09:00"},
            ["--since", "2026-11-20T06:00", "--until", "2026-11-20T09:00"],
        ),
        ({"end-user": "(none)", "range": "no", "min_cost": "x", "since": "soon", "x": "y"}, []),
    ],
)
def test_filters_are_those_of_the_calls_command(
    query: dict[str, str],
    arguments: list[str],
    site: Site,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same filters select the same calls; invalid values in a URL are ignored."""
    assert main(["calls", str(site.path), "-n", "100000", "--json", *arguments]) == 0
    wanted = [json.loads(line)["key"] for line in capsys.readouterr().out.splitlines()]
    found = queries.calls(site.index, Filters.of(query), limit=100_000)
    assert sorted(call["key"] for call in found) == sorted(wanted)
    assert found


def test_pages_of_calls_have_every_call_once(site: Site) -> None:
    """Each page continues where the one before ended."""
    keys, before = [], ""
    while page := queries.calls(site.index, Filters(), before=before):
        keys += [call["key"] for call in page]
        before = queries.cursor(page[-1])
    assert len(keys) == len(set(keys)) == queries.totals(site.index, Filters())["calls"]
    assert site.get("/calls?before=nonsense").status_code == 404


@pytest.mark.parametrize(
    ("text", "found"),
    [("norw", True), ("NORWAY ship", True), ('track_order "4711"', True), ("norway xyzzy", False),
     ('"', False), ("' or 1=1 --", False), ("* NEAR(", False), ("\0", False)],
)  # fmt: skip
def test_search_finds_words_of_messages_and_tools(text: str, found: bool, site: Site) -> None:
    """All words, or words that begin with them, in any case; there is no query language."""
    assert bool(site.index.texts.matching(text)) is found
    assert site.get("/calls", params={"q": text}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_pages_load_only_their_own_files_and_run_no_script_of_a_call(path: str, site: Site) -> None:
    """Every security header; hostile text is only text."""
    answer = site.get(path)
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert HOSTILE not in answer.text
    assert ("&lt;script&gt;" in answer.text) is (path == HOSTILE_CALLS or "by=tag" in path)
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "style=" not in answer.text
    assert answer.text.count("<script") == 1


def test_the_page_of_a_call_has_all_its_data(site: Site) -> None:
    """Attempts, stages, messages with tools, cost, attributes, and the vendor's page."""
    (call,) = site.index.rows(
        "select * from calls where attempt = 2 and outcome = 'success' order by key limit 1"
    )
    page = site.get(f"/calls/{call['key']}").text
    for text in (
        *("attempt 1", "attempt 2", "pre_api_call", "Tokens and cost", "cached", "help-desk"),
        *("gen_ai.request.temperature", "You are the help desk of a lamp shop."),
        f'href="https://vendor.example/traces/{call["trace_id"]}" target="_blank" rel="noopener',
    ):
        assert text in page
    assert site.get(f"/calls/{call['call_id']}").text == page


def test_a_session_shows_each_message_once(site: Site) -> None:
    """Each call repeats the earlier messages; the page does not."""
    page = site.get("/session?id=chat-085").text
    assert page.count("You are the help desk of a lamp shop.") == 1


@pytest.mark.parametrize("path", ["/nope", "/calls/nope", "/session?id=nope", "/compare?id=a",
                                  "/?by=nope", "/choices/nope"])  # fmt: skip
def test_an_unknown_page_or_call_is_a_404_page(path: str, site: Site) -> None:
    """It has links to other pages."""
    answer = site.get(path)
    assert answer.status_code == 404
    assert 'href="/calls"' in answer.text


def test_an_unchanged_page_is_not_sent_again(site: Site) -> None:
    """An open page sends the version that it has."""
    version = str(site.index.version)
    same = site.get("/", headers={"X-Litespan-Version": version})
    other = site.get("/", headers={"X-Litespan-Version": "0"})
    assert (same.status_code, same.content, other.status_code) == (204, b"", 200)


@pytest.fixture(scope="module")
def guarded(site: Site) -> Iterator[str]:
    """The same calls behind a token, as on every address."""
    with Running(site.index, host="0.0.0.0", token="s3cret") as running:
        yield running.url


class TestWhoMayAsk:
    """Names, methods, tokens."""

    @pytest.mark.parametrize(
        ("host", "status"),
        [("localhost", 200), ("127.0.0.1:99", 200), ("evil.example", 421), ("", 421),
         ("127.0.0.1.evil.example", 421), ("[::1]:8321", 200)],
    )  # fmt: skip
    def test_only_host_names_of_this_machine_are_accepted(
        self, host: str, status: int, site: Site
    ) -> None:
        """A web site's name that resolves to 127.0.0.1 is rejected."""
        assert site.get("/", headers={"Host": host}).status_code == status

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
    def test_only_get_and_head_are_accepted(self, method: str, site: Site) -> None:
        """No method changes anything."""
        assert site.client.request(method, "/calls").status_code == 405

    @pytest.mark.parametrize("path", ["/", "/static/page.css", "/?token=wrong", "/?token="])
    def test_every_request_needs_the_token(self, path: str, guarded: str) -> None:
        """Including those for files; the answer has the security headers, too."""
        answer = httpx.get(guarded + path)
        assert answer.status_code == 401
        assert answer.headers["Cache-Control"] == "no-store"

    def test_the_token_is_replaced_by_a_cookie(self, guarded: str) -> None:
        """It is removed from the address bar, and the cookie does not contain it."""
        with httpx.Client(base_url=guarded) as client:
            answer = client.get("/calls?token=s3cret&user=ben")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/calls?user=ben")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "s3cret" not in cookie
            assert client.get("/calls").status_code == 200
        bearer = {"Authorization": "Bearer s3cret"}
        assert httpx.get(guarded, headers=bearer).status_code == 200
        away = httpx.get(f"{guarded}//evil.example/?token=s3cret")
        assert away.headers["Location"] == "/evil.example/"


@pytest.mark.parametrize("exporter", [SQLiteExporter, JsonlExporter])
def test_the_store_is_unchanged_and_started_calls_become_finished(
    exporter: Any, tmp_path: Path
) -> None:
    """With the text of the finished call; not a byte of the store changes."""
    path = tmp_path / "calls"
    store = exporter(path)
    store.export([*CASES.values()][1:])
    store.export_started([STARTED])
    store.force_flush()
    index = Index(str(path))
    index.read()
    assert queries.totals(index, Filters())["unfinished"] == 1
    store.export([CASES["chat"]])
    store.force_flush()
    before = path.read_bytes()
    index.read()
    total = queries.totals(index, Filters())
    assert (total["calls"], total["unfinished"]) == (len(CASES), 0)
    with Running(index) as running:
        for call in queries.calls(index, Filters()):
            assert httpx.get(f"{running.url}/calls/{call['key']}").status_code == 200
    assert path.read_bytes() == before
    folder = Path(index._folder.name)
    assert folder.stat().st_mode & 0o077 == 0
    index.close()
    store.shutdown()
    assert not folder.exists()


def test_a_missing_store_is_awaited(tmp_path: Path) -> None:
    """The page shows how to record calls; a file that is not a store is an error."""
    index = Index(str(tmp_path / "none.db"))
    index.start()
    (tmp_path / "other.db").write_text("something else, which is no database at all")
    other = Index(str(tmp_path / "other.db"))
    other.start()
    for each, said in ((index, "No calls yet"), (other, "was not written by litespan")):
        with Running(each) as running:
            while each.loading:
                time.sleep(0.01)
            assert said in httpx.get(running.url).text
        each.close()


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://a.example/t/{trace_id}", ("a.example", "https://a.example/t/{trace_id}")),
        ("Lang=https://a/?q={trace_id}&x=1", ("Lang", "https://a/?q={trace_id}&x=1")),
        ("javascript:alert({trace_id})", None),
        ("https://a.example/", None),
        ("x", None),
    ],
)
def test_a_vendors_link_is_a_web_address(text: str, link: tuple[str, str] | None) -> None:
    """With http or https, and the trace id in it."""
    if link:
        assert trace_link(text) == link
    else:
        with pytest.raises(BadSetting, match=r"not a URL|without {trace_id}"):
            trace_link(text)


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_and_leaves_nothing_behind(
    ended_by: signal.Signals, site: Site, tmp_path: Path
) -> None:
    """It prints its URL; however it ends, the copy of the calls is removed."""
    main_ = "import sys; from litespan.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", main_, "ui", str(site.path), "--host", "127.0.0.2"]
    env = {**os.environ, "TMPDIR": str(tmp_path), "LITESPAN_UI_TOKEN": "s3cret"}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        url = line.split()[4]
        assert line.startswith(f"litespan ui: {site.path} at http://127.0.0.2:")
        assert url.endswith("/?token=s3cret")
        assert httpx.get(url, follow_redirects=True).status_code == 200
        assert httpx.get(url.partition("?")[0]).status_code == 401
        assert [*tmp_path.iterdir()]
        process.send_signal(ended_by)
        assert process.wait(60) in (0, 130, 143)  # by uvicorn's version
        assert process.stderr.read() == ""
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "is not a port"),
        (["--trace-url", "ftp://x/{trace_id}"], "is not a URL with http or https"),
        (["mongodb"], "LITESPAN_MONGODB is not set"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2."""
    assert main(["ui", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("litespan ui: ")
    assert said in line


def test_a_host_that_is_no_name_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, as for an address of another machine."""
    assert main(["ui", str(tmp_path), "--host", "a..b"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("litespan ui: cannot listen on a..b port 8321: ")
