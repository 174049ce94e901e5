"""Converts the events of a WebSocket session to requests and answers.

LiteLLM translates the events of all providers to OpenAI's:
https://platform.openai.com/docs/api-reference/realtime-server-events and
https://platform.openai.com/docs/api-reference/responses-streaming. Names changed after the beta
version, and clients may use either.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from litespan.errors import log_once
from litespan.mapping.release import modalities
from litespan.mapping.request import Request
from litespan.mapping.response import Answer, read_answer
from litespan.mapping.usage import read_usage
from litespan.objects import as_cost, as_text, contents, get, parsed, safe_str

JSON = dict[str, Any]

CLOSED_NORMALLY: Final = frozenset({1000, 1001, 1005})
"""Close codes of a WebSocket that are not errors: normal, going away, none given."""
CREATE: Final = "response.create"
CREATED: Final = "response.created"
ENDED: Final = frozenset(
    {"response.done", "response.completed", "response.incomplete", "response.failed"}
)
ERROR: Final = "error"
TRANSCRIPTION_SESSIONS: Final = frozenset(
    {"transcription_session.created", "transcription_session.updated"}
)
SESSIONS: Final = frozenset({"session.created", "session.updated"}) | TRANSCRIPTION_SESSIONS
METERED: Final = frozenset({"session.started", "session.usage.updated", "session.closed"})
"""Events of live sessions that contain their duration."""
SESSION_UPDATE: Final = "session.update"
ITEM_CREATE: Final = "conversation.item.create"
TRUNCATE: Final = "conversation.item.truncate"
COMMITTED: Final = "input_audio_buffer.committed"
TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
AUDIO: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
TEXT: Final = frozenset(
    {
        *("response.output_text.delta", "response.text.delta"),
        *("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
    }
)
# Clients send audio many times per second.
_AUDIO_SENT: Final = "input_audio_buffer.append"
_TYPE: Final = re.compile(r'"type"\s*:\s*"([\w.]+)"')
_RESPONSE_ID: Final = re.compile(r'"response_id"\s*:\s*"([^"]+)"')
_HEAD: Final = 512  # characters
# Field of the session or of `response.create` → argument of an equivalent LiteLLM call.
_PARAMETERS: Final = {
    "instructions": "instructions",
    "tools": "tools",
    "temperature": "temperature",
    "max_output_tokens": "max_output_tokens",
    "max_response_output_tokens": "max_output_tokens",
    "previous_response_id": "previous_response_id",
    "reasoning": "reasoning",
    "top_p": "top_p",
}
# Arguments of the session that are not those of a response.
_OF_SESSION: Final = frozenset(
    {
        *("websocket", "client", "query_params", "user_api_key_dict", "litellm_logging_obj"),
        *("live_session_start", "first_message", "input", "messages"),
    }
)


def type_of(message: str) -> str:
    """The type of an event, by its first characters; "" if it has none.

    Most events are pieces of audio. Parsing them would take more time than everything else.
    """
    found = _TYPE.search(message, 0, _HEAD)
    return found[1] if found else ""


def is_audio_sent(message: str) -> bool:
    """Whether a client's event only adds audio."""
    return type_of(message) == _AUDIO_SENT


def response_id(message: str) -> str | None:
    """The `response_id` of a delta."""
    found = _RESPONSE_ID.search(message, 0, _HEAD)
    return found[1] if found else None


def parse(message: Any) -> JSON:
    """An event as a dict; empty if it is something else."""
    event = parsed(message)
    return event if isinstance(event, dict) else {}


def parameters_of(given: Any) -> JSON:
    """The arguments in a session's configuration or in a `response.create` event."""
    stated = contents(given)
    nested = contents(stated.get("response"))
    audio = contents(contents(stated.get("audio")).get("output"))
    fields = {**stated, **nested}
    found = {
        argument: fields[name]
        for name, argument in _PARAMETERS.items()
        if fields.get(name) not in (None, "", "inf")
    }
    voice = audio.get("voice") or fields.get("voice")
    return {**found, "voice": voice} if isinstance(voice, str) else found


def input_of(given: Any) -> list[Any]:
    """The input items in a `response.create` event."""
    stated = contents(given)
    items = stated.get("input") or contents(stated.get("response")).get("input")
    return list(items) if isinstance(items, (list, tuple)) else [items] if items else []


def arguments_of_response(session: Mapping[str, Any], configured: JSON, own: JSON) -> JSON:
    """The arguments of one response: the session's, its configuration, and its own."""
    kept = {name: value for name, value in session.items() if name not in _OF_SESSION}
    return {**kept, **configured, **own, "stream": True}


def items_of(event: JSON) -> list[Any]:
    """The item that a client adds, without audio: the provider sends its transcript."""
    item = contents(event.get("item"))
    content = item.get("content")
    if isinstance(content, list):
        parts = [part for part in content if get(part, "type") != "input_audio"]
        return [{**item, "content": parts}] if parts else []
    return [item] if item else []


def transcribing_model(session: Any) -> str | None:
    """The model that transcribes in a session for transcriptions."""
    if get(session, "type") not in ("transcription", None) or get(session, "model"):
        return None
    transcription = get(get(get(session, "audio"), "input"), "transcription")
    return as_text(get(transcription or get(session, "input_audio_transcription"), "model"))


def transcript(event: JSON) -> JSON:
    """The user's input, as a message."""
    text = safe_str(event.get("transcript") or "")
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def read_response(request: Request, response: Any, model: str | None, hidden: JSON) -> Answer:
    """Convert the response object of the event that ends it."""
    stated = dict(contents(response))
    details = contents(stated.get("status_details"))
    if model and not stated.get("model"):
        stated["model"] = model
    if details.get("error") and not stated.get("error"):
        stated["error"] = details["error"]
    if stated.get("status") == "incomplete" and not stated.get("incomplete_details"):
        stated["incomplete_details"] = {"reason": details.get("reason") or "incomplete"}
    output = stated.get("output")
    if isinstance(output, list):
        stated["output"] = [_with_transcripts(item) for item in output]
    return read_answer(request, stated, hidden)


def partial_response(texts: list[str]) -> JSON:
    """The part of a response that was received before the session ended."""
    text = "".join(texts)
    content = [{"type": "output_text", "text": text}]
    output = [{"type": "message", "role": "assistant", "content": content}] if text else []
    return {"output": output}


def _with_transcripts(item: Any) -> Any:
    """An output item in which audio is represented by its transcript."""
    content = get(item, "content")
    if not isinstance(content, list):
        return item
    parts = [
        {"type": "output_text", "text": part["transcript"]}
        if isinstance(part, Mapping) and isinstance(part.get("transcript"), str)
        else part
        for part in content
    ]
    return {**contents(item), "content": parts}


def interruption(response: Any) -> str | None:
    """Why a response was cancelled: `turn_detected`, `client_cancelled`, …; None if it was not."""
    if get(response, "status") != "cancelled":
        return None
    return safe_str(get(get(response, "status_details"), "reason") or "cancelled")


def modality_attributes(usage: Any) -> dict[str, int]:
    """The token counts by modality, which both generations of the conventions have here."""
    read = read_usage(usage)
    return {} if read is None else dict(modalities(read))


def logging_of_response(logging: Any) -> Any:
    """A copy of LiteLLM's logging object of a session for one of its responses, or None.

    LiteLLM has one object for the whole session, which must not change.
    """
    details = getattr(logging, "model_call_details", None)
    if not isinstance(details, dict):
        return None
    own = copy.copy(logging)
    own.model_call_details = {**details}
    return own


def price_of_time(logging: Any, events: Sequence[JSON]) -> float | None:
    """LiteLLM's cost in USD for the duration of an ended session; None if it is free.

    `events` contain its model and its duration.
    """
    own = logging_of_response(logging)
    if own is None:
        return None
    own.model_call_details.setdefault("start_time", getattr(logging, "start_time", None))
    own.model_call_details["end_time"] = datetime.now()  # noqa: DTZ005 - as LiteLLM's times
    return price_of_events(own, events) or None


def price_of_events(logging: Any, events: Sequence[JSON]) -> float | None:
    """LiteLLM's cost of `events` in USD; None if it has no price.

    `logging` is from `logging_of_response`.
    """
    normalize = getattr(logging, "normalize_logging_result", None)
    calculate = getattr(logging, "_response_cost_calculator", None)
    if normalize is None or calculate is None:
        return None
    try:
        return as_cost(calculate(result=normalize(list(events))))
    except Exception as error:  # noqa: BLE001 - a provider may send any usage
        if not type(error).__module__.startswith("litellm"):
            log_once(
                f"session cost:{type(error).__name__}",
                "LiteLLM cannot calculate the cost of a response in a WebSocket session (%s), so "
                "its span has none",
                type(error).__name__,
            )
        return None
