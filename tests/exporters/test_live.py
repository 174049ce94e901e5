"""Live lines: one for each call, plain or in color, without control characters."""

import io

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from litespan_exporters.live import LiveExporter
from tests.cases import CASES, CHAT, OTHERS, span
from tests.support.hostile import ESCAPE

RED, RESET = "\x1b[31m", "\x1b[0m"


class Screen(io.StringIO):
    """A terminal, or another stream, with an encoding."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__()
        self.coded, self.terminal = encoding, terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.coded

    def isatty(self) -> bool:
        return self.terminal


def printed(*spans: ReadableSpan, screen: Screen | None = None) -> str:
    """What the exporter prints for `spans`."""
    stream = screen or Screen()
    LiveExporter(stream).export(spans)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("chat", "✓ gpt-4o-mini  user-42  20→10 tok  $0.000009  1.25 s"),
        ("stream", "✓ gpt-4o-mini  user-42  20→10 tok  $0.000009  1.25 s, first chunk 0.31 s"),
        (
            "failure",
            "✗ gpt-4o-mini  user-42  1.25 s  AuthenticationError 401: Incorrect API key provided",
        ),
        ("cancelled", "✗ gpt-4o-mini  user-42  1.25 s  cancelled"),
        (
            "abandoned",
            "~ gpt-4o-mini  user-42  20→2 tok  $0.0000042  1.25 s, first chunk 0.31 s  abandoned",
        ),
        ("attempt", "  ✓ gpt-4o-mini  user-42  20→10 tok  $0.000009  1.25 s  attempt 2"),
        ("cache_hit", "✓ gpt-4o-mini  user-42  20→10 tok  $0.00  0.00 s  cache hit"),
        ("embedding", "✓ text-embedding-3-small  user-42  8 tok  $0.00000016  1.25 s"),
        ("bare", "✓ chat  1.25 s"),
        ("router", "✓ router fast  1.25 s"),
        ("http", ""),
        ("app", ""),
    ],
)
def test_a_call_is_one_line(case: str, line: str) -> None:
    """Model, user, tokens, cost, time, and the outcome if it is not a success.

    Other spans have no line.
    """
    assert printed({**CASES, **OTHERS}[case]) == (line and f"{line}\n")


def test_failures_are_red_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with NO_COLOR, and not in a file."""
    monkeypatch.setenv("TERM", "xterm")
    failed = CASES["failure"]
    plain = printed(failed)
    assert printed(failed, screen=Screen(terminal=True)) == f"{RED}{plain[:-1]}{RESET}\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(failed, screen=Screen(terminal=True)) == plain


def test_control_characters_are_not_printed() -> None:
    """Names and messages come from clients and services."""
    hostile = {"gen_ai.request.model": f"m{ESCAPE}\n✓ x", "user.id": f"ann\r{ESCAPE}"}
    line = printed(span(1, "chat", {**CHAT, **hostile}, who=False), screen=Screen(terminal=True))
    assert line[:-1].isprintable()
    assert line.count("\n") == 1


def test_an_ascii_terminal_gets_words_instead_of_symbols() -> None:
    """No mark that it cannot show."""
    line = printed(CASES["chat"], screen=Screen("ascii"))
    assert line.startswith("ok gpt-4o-mini")
    assert line.isascii()


def test_a_closed_stream_is_no_error() -> None:
    """As at the end of a program."""
    screen = Screen()
    screen.close()
    LiveExporter(screen).export([CASES["chat"]])


def test_all_lines_of_a_batch_are_one_write() -> None:
    """So the program's own output cannot be in the middle of a line."""
    writes: list[str] = []

    class Counting(Screen):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    LiveExporter(Counting()).export([CASES["chat"], CASES["failure"]])
    assert [text.count("\n") for text in writes] == [2]


def test_a_stream_without_an_encoding_gets_ascii() -> None:
    """Such as the stream with which Celery replaces standard error."""

    class Logged:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def write(self, text: str) -> None:
            self.lines.append(text)

        def flush(self) -> None:
            """Nothing to do."""

        def isatty(self) -> bool:
            return False

    stream = Logged()
    LiveExporter(stream).export([CASES["bare"]])  # type: ignore[arg-type]
    assert stream.lines == ["ok chat  1.25 s\n"]
