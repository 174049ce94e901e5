"""Live lines: one line for each call as it ends, on standard error.

    ✓ gpt-4o-mini  ann  20→10 tok  $0.000009  0.15 s

It is called `live` because `console` is OpenTelemetry's own exporter, which prints spans as JSON.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, Literal, TextIO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.export import GenAISpan
from litespan.genai.span import is_router
from litespan.redaction.text import printable

Tone = Literal["plain", "red", "yellow"]
_COLORS: Final[dict[Tone, str]] = {"plain": "", "red": "\x1b[31m", "yellow": "\x1b[33m"}
_RESET: Final = "\x1b[0m"
_MARKS: Final = {"success": "✓", "failure": "✗", "cancelled": "✗", "abandoned": "~"}
_ASCII: Final = {"✓": "ok", "✗": "failed", "→": ">", "…": "..."}
_LONGEST: Final = 120  # characters of one field


class LiveExporter(SpanExporter):
    """Prints one line for each call as it ends.

    Reads NO_COLOR.

    Attempts of a router are indented above the router's own line. Lines are colored on a terminal
    and plain text elsewhere. Messages are never printed, only the text of errors.

    Args:
        stream: where to print; default: standard error, as it is at each line.
    """

    name: ClassVar[str] = "live"
    shows_routers: ClassVar[bool] = True
    spools: ClassVar[bool] = False
    delay_ms: ClassVar[int] = 200
    """How long `litespan` collects calls before it prints them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Print the calls in one write, so that lines are never mixed. Never raises."""
        stream = self._stream or sys.stderr
        with suppress_errors("export.live"):
            colored = is_colored(stream)
            lines = [painted(text, tone, colored=colored) for text, tone in lines_of(spans)]
            if lines:
                encoding = getattr(stream, "encoding", None) or "ascii"  # Celery's has none
                stream.write(encodable("".join(lines), encoding))
                stream.flush()
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: `export` has already printed its lines."""
        return True


def is_colored(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colors: see https://no-color.org/."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


def lines_of(spans: Iterable[ReadableSpan]) -> Iterable[tuple[str, Tone]]:
    """(line, tone) for each call and each router's call. Pure."""
    for span in spans:
        if is_router(span):
            yield _router_line(span)
        elif (view := GenAISpan.read(span)) is not None and view.is_call:
            yield _call_line(view)


def _call_line(call: GenAISpan) -> tuple[str, Tone]:
    outcome = call.call.outcome
    ended: list[str | None] = []
    if call.error is not None and outcome == "failure":
        code = f" {call.error.code}" if call.error.code else ""
        kind = call.error.type
        text = (call.error.message or "").removeprefix("litellm.").removeprefix(f"{kind}: ")
        ended = [f"{kind}{code}{f': {first_line(text)}' if text else ''}"]
    elif outcome != "success":
        ended = [outcome]
    attempt = call.call.attempt
    fields = [
        call.request.model or call.model or call.operation,
        call.identity.user,
        _tokens(call),
        _cost(call),
        _seconds(call),
        *ended,
        "cache hit" if call.call.cache_hit else None,
        f"attempt {attempt}" if attempt and attempt > 1 else None,
    ]
    tone: Tone = "plain" if outcome == "success" else "yellow" if outcome == "abandoned" else "red"
    return _line(_MARKS.get(outcome, "·"), fields, indent=attempt is not None), tone


def _router_line(span: ReadableSpan) -> tuple[str, Tone]:
    attributes = span.attributes or {}
    failed = span.status.status_code is StatusCode.ERROR
    tries = attributes.get(s.ATTEMPTS)
    duration = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
    fields = [
        span.name.removeprefix("litellm."),
        f"{tries} attempt{'s' if tries != 1 else ''}" if tries else None,
        f"{duration:.2f} s",
    ]
    return _line("✗" if failed else "✓", fields, indent=False), "red" if failed else "plain"


def _tokens(call: GenAISpan) -> str | None:
    used = call.usage
    if used.total is None:
        return None
    out = "" if used.output is None else f"→{used.output:,}"
    return f"{used.input or 0:,}{out} tok"


def _cost(call: GenAISpan) -> str | None:
    cost = call.exact_cost
    if cost is None:
        return None
    return f"${cost:.2f}" if cost >= 1 or not cost else f"${cost.normalize():f}"


def _seconds(call: GenAISpan) -> str | None:
    if call.duration is None:
        return None
    first = call.response.time_to_first_chunk
    chunk = "" if first is None else f", first chunk {first:.2f} s"
    return f"{call.duration:.2f} s{chunk}"


def _line(mark: str, fields: Iterable[str | None], *, indent: bool) -> str:
    shown = [printable(shortened(text, 2 * _LONGEST)) for text in fields if text]
    return f"{'  ' if indent else ''}{mark} {'  '.join(shown)}"


def first_line(text: str) -> str:
    """The first line of an error message, shortened."""
    return shortened(text.strip().partition("\n")[0], _LONGEST)


def shortened(text: str, most: int) -> str:
    """`text` of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def painted(text: str, tone: Tone, *, colored: bool) -> str:
    """The line, with its line end, in the color of its tone."""
    color = _COLORS[tone] if colored else ""
    return f"{color}{text}{_RESET if color else ''}\n"


def encodable(text: str, encoding: str) -> str:
    """`text` in characters that `encoding` has."""
    try:
        text.encode(encoding)
    except UnicodeError:
        for mark, words in _ASCII.items():
            text = text.replace(mark, words)
        return text.encode(encoding, "replace").decode(encoding)
    return text
