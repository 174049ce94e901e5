"""Files, batches, vector stores and other resources, and the routes of all such requests.

https://platform.openai.com/docs/api-reference
"""

import json
from collections.abc import Callable
from typing import Final

from litespan.testing.provider import gemini, media, openai_chat, openai_responses
from litespan.testing.provider import replies as r

Answer = Callable[[r.Request], r.Reply]


def _resource(kind: str, identifier: str | None, **fields: object) -> Answer:
    """A resource, created with `identifier`, or with the id in the path."""

    def answer(request: r.Request) -> r.Reply:
        named = r.id_in_path(request) if identifier is None else identifier
        return r.as_json({"id": named, "object": kind, "created_at": r.CREATED, **fields})

    return answer


def _list(kind: str, identifier: str, **fields: object) -> Answer:
    def answer(_request: r.Request) -> r.Reply:
        entry = {"id": identifier, "object": kind, "created_at": r.CREATED, **fields}
        page = {"first_id": identifier, "last_id": identifier, "has_more": False}
        return r.as_json({"object": "list", "data": [entry], **page})

    return answer


def _deleted(kind: str) -> Answer:
    def answer(request: r.Request) -> r.Reply:
        named = {"id": r.id_in_path(request), "object": f"{kind}.deleted"}
        return r.as_json({**named, "deleted": True})

    return answer


# --- batches: one request, with the behaviour's usage ---------------------------------------


def batch(request: r.Request) -> r.Reply:
    """A batch: created, or fetched with the behaviour's `finish` as its status."""
    created = request.path.rstrip("/").endswith("batches")
    status = "validating" if created else request.behaviour.finish or "completed"
    done = status == "completed"
    given = request.body
    fields: r.Json = {
        "id": "batch_loopback" if created else request.path.split("/batches/")[1].partition("/")[0],
        "object": "batch",
        "endpoint": given.get("endpoint", "/v1/chat/completions"),
        "input_file_id": given.get("input_file_id", "file-loopback"),
        "completion_window": "24h",
        "status": status,
        "created_at": r.CREATED,
        "output_file_id": "file-output" if done else None,
        "request_counts": {"total": 1, "completed": int(done), "failed": 0},
    }
    return r.as_json(fields)


def file_content(request: r.Request) -> r.Reply:
    """The content of a file; that of a batch's output has one answer a line."""
    behaviour = request.behaviour
    counts = openai_chat.usage(behaviour)
    usage = {name: counts[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    message = {"role": "assistant", "content": behaviour.text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    named = {"id": "chatcmpl-loopback", "object": "chat.completion", "model": "gpt-4o-mini"}
    body = {**named, "created": r.CREATED, "choices": choices, "usage": usage}
    response = {"status_code": 200, "request_id": "req_loopback", "body": body}
    line = {"id": "batch_req_1", "custom_id": "1", "response": response, "error": None}
    return r.Body(f"{json.dumps(line)}\n".encode(), "application/octet-stream")


def token_count(request: r.Request) -> r.Reply:
    """Anthropic's or OpenAI's count of a prompt's tokens."""
    return r.as_json({"input_tokens": request.behaviour.input_tokens})


_FILE: Final[r.Json] = {
    "bytes": 120,
    "filename": "a.jsonl",
    "purpose": "batch",
    "status": "processed",
}
_STORE: Final[r.Json] = {"name": "docs", "status": "completed", "usage_bytes": 0, "file_counts": {}}
_JOB: Final[r.Json] = {
    "model": "gpt-4o-mini",
    "status": "queued",
    "training_file": "file-loopback",
    "hyperparameters": {},
    "organization_id": "org",
    "result_files": [],
    "seed": 1,
}
_BOX: Final[r.Json] = {"name": "box", "status": "running"}
_BOX_FILE: Final[r.Json] = {
    "bytes": 120,
    "container_id": "cntr_loopback",
    "path": "/mnt/data/a.txt",
    "source": "user",
}
_EVAL: Final[r.Json] = {"name": "quality", "data_source_config": {}, "testing_criteria": []}
_RUN: Final[r.Json] = {
    "status": "queued",
    "eval_id": "eval_loopback",
    "name": "run",
    "model": "gpt-4o-mini",
    "data_source": {},
    "result_counts": {"total": 1, "passed": 0, "failed": 0, "errored": 0},
    "report_url": "https://example.com/report",
    "per_model_usage": [],
    "per_testing_criteria_results": [],
    "metadata": {},
}


def decisions(request: r.Request) -> r.Reply:
    """Every question is answered with yes."""
    behaviour = request.behaviour
    answers = {name: {"type": "noul", "noul": 0.9} for name in request.body.get("questions") or {}}
    usage = {"input_tokens": behaviour.input_tokens, "output_tokens": behaviour.output_tokens}
    return r.as_json({"model": request.model, "answers": answers, "usage": usage})


_DATES: Final[r.Json] = {
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "latest_version": "1",
}
_SKILL: Final[r.Json] = {"type": "skill", "display_title": "Skill", "source": "custom", **_DATES}
_ASSISTANT: Final[r.Json] = {"model": "gpt-4o-mini", "tools": [], "metadata": {}}
_THREAD_RUN: Final[r.Json] = {
    "assistant_id": "asst_loopback",
    "thread_id": "thread_loopback",
    "status": "completed",
    "model": "gpt-4o-mini",
    "instructions": "",
    "tools": [],
    "parallel_tool_calls": True,
    "metadata": {},
}
_MESSAGE: Final[r.Json] = {
    "thread_id": "thread_loopback",
    "role": "user",
    "status": "completed",
    "content": [],
    "metadata": {},
    "attachments": [],
}


def _family(path: str, kind: str, identifier: str, fields: r.Json) -> list[tuple[str, str, Answer]]:
    """Create, list, fetch, update and delete."""
    make = _resource(kind, None, **fields)
    return [
        ("POST", path, _resource(kind, identifier, **fields)),
        ("GET", path, _list(kind, identifier, **fields)),
        ("GET", f"{path}/[^/]+", make),
        ("POST", f"{path}/[^/]+", make),
        ("POST", f"{path}/[^/]+/cancel", make),
        ("DELETE", f"{path}/[^/]+", _deleted(kind)),
    ]


ROUTES: Final[list[tuple[str, str, Answer]]] = [
    ("GET", r"/files/[^/]+/content", file_content),
    ("GET", r"/vector_stores/[^/]+/files/[^/]+/content", file_content),
    *_family(r"/vector_stores/[^/]+/files", "vector_store.file", "file-loopback", _STORE),
    *_family(r"/containers/[^/]+/files", "container.file", "cfile_loopback", _BOX_FILE),
    *_family("/files", "file", "file-loopback", _FILE),
    ("POST", "/batches", batch),
    ("GET", r"/batches/[^/]+", batch),
    ("POST", r"/batches/[^/]+/cancel", batch),
    ("GET", "/batches", _list("batch", "batch_loopback", status="completed")),
    *_family("/fine_tuning/jobs", "fine_tuning.job", "ftjob-loopback", _JOB),
    ("POST", "/responses/compact", openai_responses.compact),
    ("GET", r"/responses/[^/]+/input_items", _list("message", "msg_1", role="user", content=[])),
    ("POST", r"/responses/[^/]+/cancel", openai_responses.stored),
    ("GET", r"/responses/[^/]+", openai_responses.stored),
    ("DELETE", r"/responses/[^/]+", _deleted("response")),
    ("POST", "/interactions", gemini.interaction),
    ("GET", r"/interactions/[^/]+", gemini.interaction),
    ("DELETE", r"/interactions/[^/]+", _deleted("interaction")),
    ("POST", r"/interactions/[^/]+/cancel", gemini.interaction),
    ("POST", r"/vector_stores/[^/]+/search", media.vector_store_search),
    *_family("/vector_stores", "vector_store", "vs_loopback", _STORE),
    ("POST", "/ocr", media.ocr),
    ("POST", "/search", media.search),
    ("GET", r"/videos/[^/]+/content", media.binary),
    ("POST", r"/videos(/[^/]+/\w+|/\w+)?", media.video),
    ("GET", r"/videos/[^/]+", media.video),
    ("GET", "/videos", _list("video", "video_loopback", status="completed")),
    ("DELETE", r"/videos/[^/]+", _deleted("video")),
    *_family("/containers", "container", "cntr_loopback", _BOX),
    *_family("/skills", "skill", "skill_loopback", _SKILL),
    *_family(r"/evals/[^/]+/runs", "eval.run", "run_loopback", _RUN),
    *_family("/evals", "eval", "eval_loopback", _EVAL),
    *_family(r"/threads/[^/]+/messages", "thread.message", "msg_loopback", _MESSAGE),
    *_family(r"/threads/[^/]+/runs", "thread.run", "run_loopback", _THREAD_RUN),
    *_family("/threads", "thread", "thread_loopback", {"metadata": {}}),
    *_family("/assistants", "assistant", "asst_loopback", _ASSISTANT),
    ("POST", "/systemone", decisions),
    ("POST", "/input_tokens", token_count),
    ("POST", "/count_tokens", token_count),
]
