"""Content attributes as recorded: redacted, as JSON, within the length limit."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from litespan import semconv as s
from litespan.background.deferred import LARGE, Deferred
from litespan.errors import record_error
from litespan.instrumentation.log_events import emit_details
from litespan.instrumentation.signals import Signals
from litespan.instrumentation.span import CallSpan
from litespan.instrumentation.state import CallState
from litespan.mapping.content import (
    copied_input,
    copied_texts,
    encode,
    input_content,
    input_size,
    input_texts,
)
from litespan.mapping.output_content import (
    copied_choices,
    documents,
    output_content,
    output_text,
)
from litespan.mapping.request import Attributes, Request
from litespan.mapping.targets import RETRIEVAL
from litespan.objects import dumps
from litespan.redaction.echoes import ECHO

ON_LOG: Final = frozenset({"EVENT_ONLY", "SPAN_AND_EVENT"})
"""Modes in which log events have content. With NO_CONTENT, spans do, if a team turns it on."""


def record_content(call: CallState, attributes: Attributes, raw: Any) -> None:
    """Record messages on the span, on a log event, or on both; `raw` is LiteLLM's result."""
    try:
        signals = call.signals
        mode = signals.settings.content
        known = attributes  # redactors and log events also get the attributes from the start
        if signals.redactor is not None or mode in ON_LOG:
            known = {**call.attributes, **attributes}
        elif type(call.span) is CallSpan:
            deferred = deferred_content(call, raw)
            if deferred is not None and call.span.defer("_content", deferred):
                return
        content = recorded_content(call, raw, known)
        if mode != "EVENT_ONLY":
            attributes.update(content)
        if mode in ON_LOG:
            emit_details(signals, known, content, call.context)
    except Exception as problem:  # noqa: BLE001
        record_error("recording content", problem)


def deferred_content(call: CallState, raw: Any) -> Deferred[dict[str, Any]] | None:
    """Return what `recorded_content` returns, computed later, with input and answer as of now.

    Return None if it must be converted now: the input is neither large nor only text.
    """
    texts = copied_texts(call.request)
    if texts is not None:
        request, size = texts
    else:
        size = input_size(call.request)
        if size < LARGE:
            return None
        request = copied_input(call.request)
    try:
        answer = copied_choices(raw)
    except Exception:  # noqa: BLE001 - an unusual object, which is read now
        answer = None
    read = _answered(call.request, raw) if answer is None else {}
    compute = partial(_recorded, call.signals, request, answer, read)
    return Deferred(compute, size if size >= LARGE else 0)


def recorded_content(call: CallState, raw: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content attributes of a finished call, as `content_attributes` does."""
    signals, request = call.signals, call.request
    if signals.redactor is None:
        return _recorded(signals, request, raw, {})
    values = {**_given(request), **_answered(request, raw)}
    return content_attributes(signals, signals.content_form(values), attributes)


def _recorded(
    signals: Signals, request: Request, raw: Any, read: Mapping[str, list[Any]]
) -> dict[str, Any]:
    """Return the content attributes of a request and its answer; `read` has what is read already.

    Never raises.
    """
    try:
        texts = _texts(request, raw, read) if signals.content_is_direct else {}
        if texts and max(map(len, texts.values())) <= signals.content_limit:
            return texts
        values = {**_given(request), **_answered(request, raw), **read}
        return content_attributes(signals, signals.content_form(values), {})
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


def _texts(request: Request, raw: Any, read: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Return the messages as JSON; nothing if one cannot be read, or is a document."""
    if request.target.operation is RETRIEVAL:
        return {}
    try:
        texts = input_texts(request)
        for name, values in read.items():
            texts[name] = dumps(values)
        output = output_text(raw)
    except Exception:  # noqa: BLE001 - `_given` and `_answered` report it
        return {}
    if output:
        texts[s.OUTPUT_MESSAGES] = output
    return texts


def _given(request: Request) -> dict[str, list[Any]]:
    """Return the input messages that can be read."""
    try:
        return input_content(request)
    except Exception as problem:  # noqa: BLE001 - still record the answer
        record_error("reading the content of a request", problem)
        return {}


def _answered(request: Request, raw: Any) -> dict[str, list[Any]]:
    """Return the output messages that can be read."""
    values: dict[str, list[Any]] = {}
    try:
        output = output_content(raw)
        if output:
            values[s.OUTPUT_MESSAGES] = output
        if request.target.operation is RETRIEVAL:
            values[s.RETRIEVAL_DOCUMENTS] = documents(raw)
    except Exception as problem:  # noqa: BLE001 - still record the request
        record_error("reading the content of an answer", problem)
    return values
