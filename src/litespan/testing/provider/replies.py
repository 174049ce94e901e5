"""What an answer is, and what the routes share: fixed ids, tool calls, errors."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from litespan.testing.provider.behaviour import Behaviour

Json = dict[str, Any]
"""A JSON object."""

CREATED: Final = 1_767_225_600  # 2026-01-01T00:00:00Z, in seconds
TOOL_ARGUMENTS: Final = {"string": "Paris", "integer": 1, "number": 0.5, "boolean": True}
MODEL_SNAPSHOTS: Final = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
}


@dataclass(frozen=True, slots=True)
class Body:
    """A whole answer."""

    content: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """A server-sent-event answer: its frames, and the frame that tells of a failure."""

    frames: list[str]
    error: str
    headers: dict[str, str] = field(default_factory=dict)


Reply = Body | Stream


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as a route sees it."""

    body: Json
    how: Behaviour
    path: str = ""

    @property
    def model(self) -> str:
        """The model asked for; Gemini's stands in the path."""
        named = re.search(r"models/([^:]+):", self.path)
        return named[1] if named else str(self.body.get("model", ""))

    @property
    def served_model(self) -> str:
        """The dated snapshot that answers in the model's name, as at OpenAI."""
        return MODEL_SNAPSHOTS.get(self.model, self.model)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool that the loopback model makes up."""

    id: str
    name: str
    arguments: Json

    def json(self) -> str:
        """The arguments as the text that OpenAI sends."""
        return json.dumps(self.arguments)


def as_json(value: Json, status: int = 200, **headers: str) -> Body:
    """`value` as a whole answer."""
    return Body(json.dumps(value).encode(), status=status, headers=headers)


def data(value: Json) -> str:
    """One server-sent event without a name."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def event(name: str, value: Json) -> str:
    """One server-sent event with a name."""
    return f"event: {name}\n{data(value)}"


def tool_calls(tools: Iterable[Json], how: Behaviour, prefix: str) -> list[ToolCall]:
    """Calls of the request's tools, in turn, each argument filled by its JSON type.

    `tools` are function declarations of any provider: `name` and `parameters` or `input_schema`.
    """
    declared = list(tools)
    return [
        ToolCall(f"{prefix}{i + 1}", tool["name"], _arguments(tool))
        for i in range(how.tool_calls if declared else 0)
        for tool in (declared[i % len(declared)],)
    ]


def _arguments(tool: Json) -> Json:
    schema = tool.get("parameters") or tool.get("input_schema") or {}
    return {
        name: TOOL_ARGUMENTS.get(str(spec.get("type")).lower(), "Paris")
        for name, spec in schema.get("properties", {}).items()
    }


def halves(text: str) -> Iterator[str]:
    """A JSON argument text as a stream brings it: in two pieces."""
    middle = len(text) // 2
    yield text[:middle]
    yield text[middle:]


def prompt_text(body: Json) -> str:
    """The request's own text, for errors that echo it."""
    said = body.get("messages") or body.get("input") or body.get("prompt") or body.get("contents")
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


# --- errors, in each provider's shape -----------------------------------------

OPENAI_ERRORS: Final = {
    # by status: its type, its code, its message
    400: ("invalid_request_error", None, "Invalid value for 'temperature'."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided. You can find your API key at the provider's site.",
    ),
    404: ("invalid_request_error", "model_not_found", "The model `{model}` does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for {model}."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
    529: ("server_error", None, "Overloaded"),
}
ANTHROPIC_ERRORS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
GEMINI_ERRORS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def error_text(asked: Asked) -> str:
    """The failure's text: the behaviour's own, else the usual one for the status."""
    text = asked.how.message or OPENAI_ERRORS.get(asked.how.status, OPENAI_ERRORS[500])[2]
    return text.replace("{model}", asked.model).replace("{prompt}", prompt_text(asked.body))


def openai_error(asked: Asked) -> Json:
    """OpenAI's `{"error": …}`."""
    kind, code, _ = OPENAI_ERRORS.get(asked.how.status, OPENAI_ERRORS[500])
    return {"error": {"message": error_text(asked), "type": kind, "param": None, "code": code}}


def anthropic_error(asked: Asked) -> Json:
    """Anthropic's `{"type": "error", …}`."""
    kind = ANTHROPIC_ERRORS.get(asked.how.status, "api_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": error_text(asked)},
        "request_id": "req_loopback",
    }


def gemini_error(asked: Asked) -> Json:
    """Google's `{"error": {"code": …}}`."""
    status = GEMINI_ERRORS.get(asked.how.status, "INTERNAL")
    code = asked.how.status if asked.how.fails else 500
    return {"error": {"code": code, "message": error_text(asked), "status": status}}
