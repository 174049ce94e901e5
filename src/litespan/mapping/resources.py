"""Ids and counts of requests for files, batches, vector stores, videos and other resources."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.objects import as_int, as_list, as_text, contents, get, to_float

Reader = Callable[[Any], Any]


# Argument → attribute: ids and limits.
ARGUMENTS: Final[Mapping[str, tuple[str, Reader]]] = {
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
    "query": (s.SEARCH_QUERIES, lambda value: len(as_list(value)) or 1),
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
    "seconds": (s.VIDEO_SECONDS, to_float),  # OpenAI writes text
    "status": (s.RESULT_STATUS, as_text),
    "total_tokens": (s.COUNTED_TOKENS, as_int),
}
_REQUEST_COUNTS: Final[Mapping[str, tuple[str, Reader]]] = {
    "total": (s.BATCH_REQUESTS, as_int),
    "completed": (s.BATCH_COMPLETED, as_int),
    "failed": (s.BATCH_FAILED, as_int),
}
_USAGE: Final[Mapping[str, tuple[str, Reader]]] = {"pages_processed": (s.OCR_PAGES, as_int)}
_LISTS: Final = ("data", "results", "agents", "items")


def read_by(table: Mapping[str, tuple[str, Reader]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the given values by a table: name → attribute and its reader."""
    found = {
        attribute: read(given[name])
        for name, (attribute, read) in table.items()
        if given.get(name) is not None
    }
    return {attribute: value for attribute, value in found.items() if value is not None}


def result_attributes(raw: Any, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status and the counts in a result; `stated` has its fields."""
    attributes = {
        **read_by(_FIELDS, stated),
        **read_by(_REQUEST_COUNTS, contents(stated.get("request_counts"))),
        **read_by(_USAGE, contents(stated.get("usage_info"))),
    }
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
