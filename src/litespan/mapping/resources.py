"""Ids and counts of requests for files, batches, vector stores, videos and the like."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.objects import as_int, as_text, get

Reader = Callable[[Any], Any]


def _seconds(value: Any) -> float | None:
    """Return a duration in seconds, which OpenAI writes as text."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _queries(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else 1


# Argument → attribute.
_ARGUMENTS: Final[Mapping[str, tuple[str, Reader]]] = {
    "agent": (s.AGENT_NAME, as_text),
    "agent_id": (s.AGENT_ID, as_text),
    "assistant_id": (s.AGENT_ID, as_text),
    "batch_id": (s.BATCH_ID, as_text),
    "container_id": (s.CONTAINER_ID, as_text),
    "endpoint": (s.BATCH_ENDPOINT, as_text),
    "eval_id": (s.EVALUATION_ID, as_text),
    "file_id": (s.FILE_ID, as_text),
    "fine_tuning_job_id": (s.FINE_TUNING_ID, as_text),
    "input_file_id": (s.FILE_ID, as_text),
    "interaction_id": (s.RESPONSE_ID, as_text),
    "max_num_results": (s.RETRIEVAL_TOP_K, as_int),
    "previous_interaction_id": (s.REQUEST_PREVIOUS_RESPONSE_ID, as_text),
    "purpose": (s.FILE_PURPOSE, as_text),
    "query": (s.SEARCH_QUERIES, _queries),
    "response_id": (s.RESPONSE_ID, as_text),
    "run_id": (s.RUN_ID, as_text),
    "sandbox_id": (s.SANDBOX_ID, as_text),
    "skill_id": (s.SKILL_ID, as_text),
    "thread_id": (s.CONVERSATION_ID, as_text),
    "training_file": (s.FILE_ID, as_text),
    "vector_store_id": (s.DATA_SOURCE_ID, as_text),
    "video_id": (s.VIDEO_ID, as_text),
}
# Field of the result → attribute.
_FIELDS: Final[Mapping[str, tuple[str, Reader]]] = {
    "bytes": (s.FILE_BYTES, as_int),
    "contextId": (s.CONVERSATION_ID, as_text),
    "purpose": (s.FILE_PURPOSE, as_text),
    "seconds": (s.VIDEO_SECONDS, _seconds),
    "status": (s.RESULT_STATUS, as_text),
}
_REQUEST_COUNTS: Final[Mapping[str, str]] = {
    "total": s.BATCH_REQUESTS,
    "completed": s.BATCH_COMPLETED,
    "failed": s.BATCH_FAILED,
}
_LISTS: Final = ("data", "results", "agents", "items")


def argument_attributes(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids and limits in the arguments of a call."""
    attributes: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in _ARGUMENTS and value is not None:
            attribute, read = _ARGUMENTS[name]
            found = read(value)
            if found is not None:
                attributes[attribute] = found
    return attributes


def result_attributes(raw: Any, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status and the counts in a result; `stated` has its fields."""
    attributes: dict[str, Any] = {}
    for name, (attribute, read) in _FIELDS.items():
        value = read(stated.get(name))
        if value is not None:
            attributes[attribute] = value
    for name, attribute in _REQUEST_COUNTS.items():
        count = as_int(get(stated.get("request_counts"), name))
        if count is not None:
            attributes[attribute] = count
    pages = as_int(get(stated.get("usage_info"), "pages_processed"))
    if pages is not None:
        attributes[s.OCR_PAGES] = pages
    tokens = as_int(stated.get("total_tokens"))
    if tokens is not None:
        attributes[s.COUNTED_TOKENS] = tokens
    entries = next((value for name in _LISTS if (value := stated.get(name)) is not None), None)
    if isinstance(entries, (list, tuple)):
        attributes[s.RESULT_COUNT] = len(entries)
    body = _body(raw)
    if body is not None:
        attributes[s.FILE_BYTES] = len(body)
    return attributes


def _body(raw: Any) -> bytes | None:
    """Return the bytes of a downloaded file, if they have been read."""
    body = raw if isinstance(raw, bytes) else getattr(get(raw, "response"), "_content", None)
    return body if isinstance(body, bytes) else None
