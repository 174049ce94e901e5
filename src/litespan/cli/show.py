"""`litespan show ID`: one call as text, with the most important facts first."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from litespan.cli import Parser, add_store, json_text
from litespan.objects import parsed
from litespan.offload import Unrestorable, restored
from litespan.redaction.text import printable
from litespan.stores import groups
from litespan.stores.conversation import Part, conversation
from litespan.stores.readable import OUTCOMES, count, dollars, seconds
from litespan.stores.reading import find
from litespan.stores.records import Record
from litespan.stores.spans import CONTENT
from litespan.stores.trace import Step, costs, stages, trace

_BAR: Final = 30  # characters of the trace's time line
_LONG: Final = 2_000  # characters of a part of a message, without `--full`
_WHO: Final = {
    "user": "user_id",
    "session": "session_id",
    "team": "team_alias",
    "key": "api_key_alias",
    "end user": "end_user_id",
    "service": "service_name",
    "environment": "environment",
}


def run(argv: Sequence[str]) -> int:
    """Show the calls of an id. Returns 0; 1 if there is none, 2 for bad input."""
    options = _parser().parse_args(argv)
    if options.json:
        return print_call(options.store, options.id)
    found = find(options.store, options.id)
    for record in found:
        if record is not found[0]:
            print()
        related = find(options.store, record["trace_id"]) if record is found[0] else None
        for line in _sections(with_content(record), related, full=options.full):
            print(printable(line))
    return 0


def print_call(store: str, wanted: str) -> int:
    """Print the calls of an id. Returns 0. Raises Unreadable, NotFound."""
    for record in find(store, wanted):
        print(json_text(with_content(record), str))
    return 0


def with_content(record: Record) -> Record:
    """The record with offloaded content, or with the references if it cannot be read."""
    try:
        attributes = restored(record["attributes"] or {})
    except Unrestorable as problem:
        print(f"litespan: {problem}", file=sys.stderr)
        return record
    texts = {c: attributes.pop(name) for c, name in CONTENT.items() if name in attributes}
    content = {c: text if (found := parsed(text)) is None else found for c, text in texts.items()}
    return {**record, "attributes": attributes, **content}


def _parser() -> Parser:
    parser = Parser(
        prog="litespan show",
        description="Show one call: its trace, timeline, messages, tokens, cost and error.",
    )
    parser.add_argument(
        "id",
        metavar="ID",
        help="a call's key, call id or trace id, or its first characters, as listed by "
        "`litespan calls`. Offloaded content is read back",
    )
    add_store(parser)
    parser.add_argument("--full", action="store_true", help="do not shorten long messages")
    parser.add_argument("--json", action="store_true", help="print JSON instead: all columns")
    return parser


def _sections(record: Record, related: Sequence[Record] | None, *, full: bool) -> Iterator[str]:
    yield _title(record)
    yield from _facts(record)
    if related:
        yield ""
        yield "Trace"
        yield from (_step(step, record["key"]) for step in trace(related))
    if record["stages"]:
        yield ""
        yield "Timeline"
        for stage in stages(record):
            more = "  ".join(f"{name}={value}" for name, value in stage.attributes.items())
            yield f"  {stage.offset_s:+9.3f} s  {stage.name:14}  {more}".rstrip()
    yield ""
    yield "Tokens and cost"
    yield from _usage(record)
    if record["error_type"]:
        yield ""
        yield f"Error: {record['error_type']}" + (
            f" (HTTP {record['http_status']})" if record["http_status"] else ""
        )
        yield from _indented(record["error_message"] or "", full=full)
    yield from _messages(record, full=full)


def _title(record: Record) -> str:
    (model,) = groups.groups(record, "model")
    outcome = OUTCOMES.get(record["outcome"], record["outcome"])
    parts = [record["operation"], model, outcome, f"{seconds(record['duration_s'])} s"]
    return "  ".join([str(word) for word in parts if word] + [dollars(record["cost_usd"])])


def _facts(record: Record) -> Iterator[str]:
    start, provider, model = record["start_time"], record["provider"], record["response_model"]
    address = f" at {record['server_address']}" if record["server_address"] else ""
    for name, value in (
        ("time", f"{start[:10]} {start[11:23]} UTC"),
        ("id", record["key"]),
        ("call id", record["call_id"]),
        ("trace id", record["trace_id"]),
        ("provider", provider and f"{provider}{address}"),
        ("answered by", model if model != record["request_model"] else None),
        *((name, record[column]) for name, column in _WHO.items()),
        ("tags", ", ".join(record["tags"] or ())),
        *(("metadata", f"{key}={value}") for key, value in (record["metadata"] or {}).items()),
    ):
        if value:
            yield f"  {name:13}{value}"


def _step(step: Step, key: str) -> str:
    record = step.record
    (model,) = groups.groups(record, "model")
    left = min(round(step.begin * _BAR), _BAR - 1)
    bar = " " * left + "=" * max(round(step.share * _BAR), 1)
    words = [
        f"attempt {record['attempt']}" if record["attempt"] else "",
        f"{record['operation'] or ''} {model or ''}".strip(),
        OUTCOMES.get(record["outcome"], record["outcome"]),
        record["error_type"] or "",
        f"{seconds(record['duration_s'])} s",
    ]
    mark = ">" if record["key"] == key else " "
    indent = "  " * step.depth
    return f"{mark} [{bar[:_BAR]:{_BAR}}] {record['key'][:8]}  {indent}" + "  ".join(
        filter(None, words)
    )


def _usage(record: Record) -> Iterator[str]:
    parts = {"cached": "cache_read_tokens", "written to cache": "cache_creation_tokens"}
    cached = ", ".join(f"{record[c]:,} {name}" for name, c in parts.items() if record[c])
    thought = f"{record['reasoning_tokens']:,} reasoning" if record["reasoning_tokens"] else ""
    for name, tokens, column, of in (
        ("input", record["input_tokens"], "input_cost_usd", cached),
        ("output", record["output_tokens"], "output_cost_usd", thought),
    ):
        note = f"  (of which {of})" if of else ""
        yield f"  {name:12}{count(tokens):>9}  {dollars(record[column], 10):>16}{note}"
    yield f"  {'total':13}{'':9}  {dollars(record['cost_usd'], 10):>16}"
    for name, usd in costs(record):
        yield f"  {name:23}{dollars(usd, 10):>16}"


def _messages(record: Record, *, full: bool) -> Iterator[str]:
    found = conversation(record)
    if not found:
        yield ""
        yield "No messages are recorded: content is off by default."
    for message in found:
        yield ""
        reason = f"  ({message.finish_reason})" if message.finish_reason else ""
        yield f"{message.role}{reason}"
        for part in message.parts:
            yield from _part(part, full=full)


def _part(part: Part, *, full: bool) -> Iterator[str]:
    title = {
        "tool_call": f"calls {part.title} {part.id}",
        "tool_result": f"result of {part.title or part.id}",
        "reasoning": "reasoning",
        "media": f"[{part.title}]",
    }.get(part.kind)
    if title:
        yield f"  {title.strip()}"
    yield from _indented(part.text, full=full, by="    " if title else "  ")


def _indented(text: str, *, full: bool, by: str = "  ") -> Iterator[Any]:
    shown = text if full else text[:_LONG]
    for line in shown.splitlines():
        yield by + line
    if len(text) > len(shown):
        yield f"{by}... {len(text) - len(shown):,} more characters: --full shows them"
