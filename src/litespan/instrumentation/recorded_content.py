"""Content attributes as recorded: redacted, as JSON, within the length limit."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from litespan import semconv as s
from litespan.background.deferred import LARGE, Deferred
from litespan.errors import record_error
from litespan.instrumentation.signals import Signals
from litespan.instrumentation.state import CallState
from litespan.mapping.content import (
    copied_input,
    encode,
    input_content,
    input_size,
    input_texts,
)
from litespan.mapping.output_content import documents, output_content, output_text
from litespan.mapping.request import Request
from litespan.mapping.response import Answer
from litespan.mapping.targets import RETRIEVAL
from litespan.objects import dumps
from litespan.redaction.echoes import ECHO

CONTENT_ATTRIBUTES: Final = 6
"""The most attributes that `recorded_content` returns."""


def deferred_content(call: CallState, answer: Answer | None) -> Deferred[dict[str, Any]] | None:
    """Return what `recorded_content` returns, computed later, with input and answer as of now.

    Return None if the input is not large.
    """
    size = input_size(call.request)
    if size < LARGE:
        return None
    request = copied_input(call.request)
    return Deferred(partial(_converted, call.signals, request, _answered(call, answer)), size)


def recorded_content(
    call: CallState, answer: Answer | None, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content attributes of a finished call, as `content_attributes` does."""
    signals = call.signals
    texts = _texts(call, answer) if _is_direct(signals) else None
    if texts is not None:
        return texts
    return content_attributes(signals, signals.content_form(_messages(call, answer)), attributes)


def _is_direct(signals: Signals) -> bool:
    return signals.redactor is None and signals.content_form is dict


def _converted(
    signals: Signals, request: Request, answered: dict[str, list[Any]]
) -> dict[str, Any]:
    """Return the content attributes of an input and the messages of its answer. Never raises."""
    try:
        if _is_direct(signals):
            texts = input_texts(request) | {name: dumps(each) for name, each in answered.items()}
            if max(map(len, texts.values()), default=0) <= signals.content_limit:
                return texts
        values = signals.content_form({**_given(request), **answered})
        return content_attributes(signals, values, {})
    except Exception as problem:  # noqa: BLE001
        record_error("recording content", problem)
        return {}


def content_attributes(
    signals: Signals, values: Mapping[str, Any], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return content attributes as JSON text, redacted and within the limit.

    `values` maps attribute names to messages; `attributes` are the other span attributes, for the
    redactor. If the redactor raises, the content is not recorded.
    """
    found: dict[str, Any] = {}
    cut = 0
    for key, value in values.items():
        kept: Any = value
        if signals.redactor is not None:
            try:
                kept = signals.redactor(key, value, attributes)
            except Exception as error:  # noqa: BLE001 - the user's function
                record_error(f"calling the redactor ({key} was not recorded)", error)
                continue
            if kept is None:
                continue
        found[key], original = encode(kept, signals.content_limit)
        cut += original
    if cut:
        found[s.CONTENT_ORIGINAL_LENGTH] = cut
    return found


def redacted_text(signals: Signals, text: str, attributes: Mapping[str, Any]) -> str:
    """Apply the redactor to an error message.

    The redactor receives it as an input message with one text part. If it raises or returns
    nothing, the whole text becomes `[content]`.
    """
    message = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
    try:
        kept: Any = signals.redactor and signals.redactor(s.INPUT_MESSAGES, message, attributes)
        redacted = kept[0]["parts"][0]["content"] if kept else ECHO
    except Exception as error:  # noqa: BLE001 - the user's function
        record_error("calling the redactor (the text of an error was not recorded)", error)
        return ECHO
    return redacted if isinstance(redacted, str) else ECHO


def _texts(call: CallState, answer: Answer | None) -> dict[str, Any] | None:
    """Return the messages as JSON; None if one is too long, cannot be read, or is a document."""
    if call.request.target.operation is RETRIEVAL:
        return None
    try:
        texts = input_texts(call.request)
        output = output_text(answer.raw) if answer is not None and answer.raw is not None else ""
    except Exception:  # noqa: BLE001 - `_messages` reports it
        return None
    if output:
        texts[s.OUTPUT_MESSAGES] = output
    limit = call.signals.content_limit
    for text in texts.values():
        if len(text) > limit:
            return None
    return texts


def _messages(call: CallState, answer: Answer | None) -> dict[str, list[Any]]:
    """Return the input and output messages that can be read."""
    return {**_given(call.request), **_answered(call, answer)}


def _given(request: Request) -> dict[str, list[Any]]:
    """Return the input messages that can be read."""
    try:
        return input_content(request)
    except Exception as problem:  # noqa: BLE001 - still record the answer
        record_error("reading the content of a request", problem)
        return {}


def _answered(call: CallState, answer: Answer | None) -> dict[str, list[Any]]:
    """Return the output messages that can be read."""
    values: dict[str, list[Any]] = {}
    try:
        output = output_content(answer.raw) if answer is not None and answer.raw is not None else []
        if output:
            values[s.OUTPUT_MESSAGES] = output
        if answer is not None and call.request.target.operation is RETRIEVAL:
            values[s.RETRIEVAL_DOCUMENTS] = documents(answer.raw)
    except Exception as problem:  # noqa: BLE001 - still record the request
        record_error("reading the content of an answer", problem)
    return values
