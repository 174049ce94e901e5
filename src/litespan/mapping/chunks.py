"""Converts the chunks of a finished stream to an `Answer`.

Runs once, after the stream has ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from litespan.mapping import a2a, google, passed
from litespan.mapping.assembling import Assembled, anthropic_message, items, kind_of
from litespan.mapping.request import Request
from litespan.mapping.response import Answer, google_answer, hidden_params, read_answer
from litespan.mapping.targets import AGENT, CONTENT, TASKS
from litespan.mapping.usage import Usage, most, read_usage, stated_usages
from litespan.objects import as_int, as_list, contents, get, safe_str, utf8

_TAIL: Final = 8  # chunks at the end of a stream that are searched for an error
_DONE: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class Streamed(NamedTuple):
    """The result of a stream.

    Attributes:
        answer: as for a non-streaming call; `answer.raw` has the shape of its result.
        finished: whether the provider signalled the end of the answer.
    """

    answer: Answer
    finished: bool


def read_stream(
    request: Request, stream: Any, chunks: Sequence[Any], whole: Any = None
) -> Streamed:
    """Assemble the answer from `chunks`, which came from LiteLLM's `stream` object.

    `whole` is the answer that LiteLLM itself assembled, with its own token count, or None.
    """
    hidden = hidden_params(stream)
    operation = request.target.operation
    if operation is CONTENT:
        return _google(chunks, hidden)
    if operation is AGENT or request.target.call_type in TASKS:
        return Streamed(read_answer(request, a2a.joined(chunks), hidden), finished=True)
    if not operation.model:  # a file, or the events of an assistant
        return Streamed(Answer(None, {}, (), None, hidden), finished=True)
    read = read_passed if request.target.passed_on else _of_api
    return read(request, stream, chunks, whole)


def _of_api(request: Request, stream: Any, chunks: Sequence[Any], whole: Any) -> Streamed:
    """Read chunks of OpenAI's and Anthropic's APIs, as LiteLLM yields them."""
    hidden = hidden_params(stream)
    if request.target.operation.name == "chat" and chunks:
        first = chunks[0]
        if isinstance(first, (bytes, str)) or (
            isinstance(first, Mapping)
            and "type" in first
            and "choices" not in first
            and not str(first["type"]).startswith("response.")
        ):
            return _messages(request, passed.events(chunks), hidden)
        if isinstance(get(first, "type"), str) and get(first, "choices") is None:
            return _responses(request, stream, chunks, hidden)
    return _choices(request, stream, chunks, whole)


def read_passed(
    request: Request, stream: Any, chunks: Iterable[Any], _whole: Any = None
) -> Streamed:
    """Read bytes that LiteLLM passed on unchanged: an answer in the provider's own format."""
    hidden = hidden_params(stream)
    events = passed.events(passed.Tail(chunks))
    errors = [event["error"] for event in events if event.get("error")]
    kinds = {safe_str(event.get("type")) for event in events}
    if any(google.is_native(event) for event in events):
        read = _google(events, hidden)
    elif any("choices" in event for event in events):
        read = _choices(request, None, events, None)
        usages = [usage for usage in map(read_usage, stated_usages(events)) if usage]
        read.answer.usage, read.answer.hidden = most(usages) if usages else None, hidden
    elif any(kind.startswith("response.") for kind in kinds):
        read = _responses(request, None, events, hidden)
    elif "message_start" in kinds:
        read = _messages(request, events, hidden)
    else:
        raw, reason = passed.joined(events)
        usage = read_usage(raw["usage"], input_excludes_cache=True)
        reasons = (reason,) if reason else ()
        # Any format may come here, so the lack of a finish reason does not say that it was cut.
        read = Streamed(Answer(raw, raw, reasons, usage, hidden), finished=True)
    read.answer.error = read.answer.error or next(reversed(errors), None)
    return read


def _choices(request: Request, stream: Any, chunks: Sequence[Any], whole: Any) -> Streamed:
    """Read chunks of the chat and text completion APIs."""
    reasons = _finish_reasons(chunks, as_int(request.arguments.get("n")) or 1)
    # LiteLLM invents a finish reason if the provider sent none, and keeps the real one.
    made_up = (
        hasattr(stream, "received_finish_reason")
        and stream.received_finish_reason is None
        and getattr(stream, "intermittent_finish_reason", None) is None
        and request.arguments.get("mock_response") is None
    )
    if made_up:
        reasons = {}
    last = chunks[-1] if chunks else None
    last = last if whole is None else whole
    answer = Answer(
        # LiteLLM merges tool calls that the provider sends without an index.
        raw=Assembled(chunks, reasons, whole) if chunks else whole,
        fields={
            "id": _first(chunks, "id"),
            "model": _first(chunks, "model"),
            "service_tier": get(last, "service_tier"),
            "system_fingerprint": get(last, "system_fingerprint"),
        },
        finish_reasons=tuple(reasons[index] for index in sorted(reasons)),
        usage=_stream_usage(stream, chunks, whole),
        hidden=hidden_params(stream),
    )
    return Streamed(answer, bool(reasons))


def _google(chunks: Sequence[Any], hidden: Mapping[str, Any]) -> Streamed:
    """Read events of `generateContent`, as bytes or dicts, or of the Interactions API."""
    if not chunks or isinstance(chunks[0], (bytes, str, Mapping)):
        stated, error, finished = google.joined(passed.events(chunks))
    else:
        stated, error, finished = google.interaction(chunks)
    answer = google_answer(stated, hidden)
    answer.error = answer.error or error
    return Streamed(answer, finished)


def _first(chunks: Sequence[Any], name: str) -> Any:
    """Return the first value of `name`: Azure's first chunk has neither id nor model."""
    return next((value for chunk in chunks if (value := get(chunk, name))), None)


def _finish_reasons(chunks: Sequence[Any], choices: int) -> dict[int, str]:
    """Return the last finish reason of each choice, reading from the end."""
    reasons: dict[int, str] = {}
    for chunk in reversed(chunks):
        for choice in as_list(get(chunk, "choices")):
            reason = get(choice, "finish_reason")
            if reason:
                reasons.setdefault(as_int(get(choice, "index")) or 0, utf8(safe_str(reason)))
        if len(reasons) >= choices:
            break
    return reasons


def _stream_usage(stream: Any, chunks: Sequence[Any], whole: Any) -> Usage | None:
    """Return the provider's usage if a chunk contains it, else LiteLLM's count.

    The chunks that LiteLLM's stream yields contain its own count.
    """
    stated = kept_usage(stream)
    if stated is not None:
        return stated
    last = chunks[-1] if chunks else None
    for counted in (get(whole, "usage"), get(last, "usage")):
        usage = read_usage(counted)
        if usage is not None:
            return replace(usage, source="litellm", cost=None)
    return None


def kept_usage(stream: Any) -> Usage | None:
    """Return the usage in the provider's chunks, which LiteLLM's chat `stream` keeps."""
    kept = get(stream, "chunks")
    given = stated_usages(kept if isinstance(kept, list) else [])
    stated = [usage for usage in map(read_usage, given) if usage and usage.known]
    return most(stated) if stated else None


def _responses(
    request: Request, stream: Any, chunks: Sequence[Any], hidden: Mapping[str, Any]
) -> Streamed:
    """Read events of the Responses API; the last one contains the whole response."""
    error: Any = None
    for chunk in reversed(chunks):
        kind = kind_of(chunk)
        if kind == "error":
            error = get(chunk, "error") or chunk
        response = get(chunk, "response")
        if response is not None:
            answer = read_answer(
                request, _with_items(response, chunks), hidden_params(response) or hidden
            )
            answer.error = answer.error or error
            done = kind in _DONE
            if not done:  # LiteLLM raises at `response.failed`, but keeps the event
                last = get(stream, "completed_response")
                if kind_of(last) == "response.failed":
                    answer.usage = read_usage(get(get(last, "response"), "usage"))
                    done = answer.usage is not None
            elif answer.usage is not None and _is_litellms_count(stream, answer.usage):
                answer.usage = replace(answer.usage, source="litellm", cost=None)
            return Streamed(answer, done)
    answer = read_answer(request, _with_items({}, chunks), hidden)
    answer.error = answer.error or error
    return Streamed(answer, finished=False)


def _is_litellms_count(stream: Any, usage: Usage) -> bool:
    """Whether LiteLLM counted the tokens because the provider stated no usage.

    The API requires details of input and output tokens; LiteLLM's count has neither.
    """
    stated = contents(usage.raw)
    return hasattr(stream, "_generated_content") and not (
        stated.get("input_tokens_details") or stated.get("output_tokens_details")
    )


def _with_items(response: Any, chunks: Sequence[Any]) -> Any:
    """Add the output items that were streamed, if `response` has none (stream abandoned)."""
    if get(response, "output"):
        return response
    output = items(chunks)
    if not output:
        return response
    if hasattr(response, "model_copy"):
        return response.model_copy(update={"output": output})
    return {**contents(response), "output": output}


def _messages(request: Request, events: Sequence[Any], hidden: Mapping[str, Any]) -> Streamed:
    """Read events of Anthropic's Messages API."""
    message, error, finished = anthropic_message(events)
    answer = read_answer(request, message, hidden)
    answer.usage = read_usage(message["usage"], input_excludes_cache=True)
    answer.error = error
    return Streamed(answer, finished)


def error_in(chunks: Sequence[bytes]) -> Any:
    """Return the error object at the end of a pass-through stream."""
    tail = b"".join(chunks[-_TAIL:])
    if b"error" not in tail and b"exception" not in tail:
        return None
    held = (tail,) if b"data:" in tail else chunks  # other formats are read from their start
    found = [event["error"] for event in passed.events(passed.Tail(held)) if event.get("error")]
    return found[-1] if found else None
