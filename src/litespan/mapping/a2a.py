"""Reads messages, tasks and events of the A2A protocol (https://a2a-protocol.org).

`genai.parts` is imported on first use: this module is imported at start-up, and few programs call
agents.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from litespan.objects import as_list, as_text, contents, first, get, safe_str

_PREFIX: Final = "a2a_agent/"  # LiteLLM's name of an agent as a model
_FAILED: Final = frozenset({"failed", "rejected"})


def agent_name(model: Any) -> str | None:
    """Return the agent's name in LiteLLM's `model`; None if it is not an agent or has no name."""
    name = safe_str(model or "")
    found = name.removeprefix(_PREFIX)
    return found if found not in (name, "unknown") else None


def fields(answer: Any) -> dict[str, Any]:
    """Return id, context and status of a JSON-RPC answer with a message or a task."""
    result = contents(get(answer, "result"))
    stated = {
        "id": first(result, "id", "messageId", "message_id", "taskId", "task_id"),
        "contextId": first(result, "contextId", "context_id"),
        "status": _state(result),
    }
    return {name: value for name, value in stated.items() if as_text(value)}


def error(answer: Any, *, of_task: bool = True) -> Any:
    """Return the error of a JSON-RPC answer, or of its failed task; None if there is none.

    A request about a task (not `of_task`) has not failed if the task has.
    """
    result = get(answer, "result")
    stated = get(answer, "error")
    if stated is not None or not of_task:
        return stated
    state = _state(result)
    if state not in _FAILED:
        return None
    texts = [as_text(get(part, "text")) for part in parts(get(get(result, "status"), "message"))]
    return {"type": f"task_{state}", "message": " ".join(text for text in texts if text)}


def message(given: Any, role: str) -> dict[str, Any] | None:
    """Return the message of a request or an answer as a chat message; None without one."""
    result = get(given, "result") or get(get(given, "params"), "message")
    found = [part for artifact in as_list(get(result, "artifacts")) for part in parts(artifact)]
    found += [*parts(result), *parts(get(get(result, "status"), "message"))]
    return {"role": role, "content": found} if found else None


def parts(held: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a message or an artifact."""
    from litespan.genai.parts import media

    for each in as_list(get(held, "parts")):
        part = contents(get(each, "root") or each)
        file = contents(part.get("file"))
        if not file:
            yield {**part, "type": as_text(part.get("kind")) or "text"}
        else:
            yield media(None, first(file, "uri", "bytes"), first(file, "mimeType", "mime_type"))


def joined(chunks: Sequence[Any]) -> dict[str, Any]:
    """Merge a stream of JSON-RPC events into one answer."""
    whole: dict[str, Any] = {}
    result: dict[str, Any] = {}
    found: list[Any] = []  # parts
    for chunk in chunks:
        event = get(chunk, "root") or chunk
        if get(event, "error") is not None:
            whole["error"] = get(event, "error")
        stated = contents(get(event, "result"))
        found += as_list(stated.get("parts"))
        for artifact in (stated.get("artifact"), *as_list(stated.get("artifacts"))):
            found += as_list(get(artifact, "parts"))
        result.update({name: value for name, value in stated.items() if value is not None})
    return {**whole, "result": {**result, "artifacts": (), "parts": found}}


def _state(result: Any) -> str | None:
    state = get(get(result, "status"), "state")
    return as_text(getattr(state, "value", state))
