"""Requests and replies of the routes, and what they share: tool calls and errors."""

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
MODEL_SNAPSHOTS: Final = {"gpt-4o": "gpt-4o-2024-08-06", "gpt-4o-mini": "gpt-4o-mini-2024-07-18"}


@dataclass(frozen=True, slots=True)
class Body:
    """A complete answer."""

    content: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer as server-sent events: its frames, and the frame that reports an error."""

    frames: list[str]
    error: str


Reply = Body | Stream


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a route."""

    body: Json
    behaviour: Behaviour
    path: str = ""
    method: str = "POST"

    @property
    def model(self) -> str:
        """The requested model; Gemini has it in the path."""
        named = re.search(r"models/([^:]+):", self.path)
        return named[1] if named else str(self.body.get("model", ""))

    @property
    def served_model(self) -> str:
        """The dated snapshot of the model, as OpenAI returns it."""
        return MODEL_SNAPSHOTS.get(self.model, self.model)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call of the loopback model."""

    id: str
    name: str
    arguments: Json

    def json(self) -> str:
        """The arguments as JSON text."""
        return json.dumps(self.arguments)


def id_in_path(request: Request) -> str:
    """The id at the end of the path."""
    return request.path.rstrip("/").removesuffix("/cancel").rpartition("/")[2].partition(":")[0]


def as_json(value: Json, status: int = 200, **headers: str) -> Body:
    """`value` as a complete answer."""
    return Body(json.dumps(value).encode(), status=status, headers=headers)


def data(value: Json) -> str:
    """One server-sent event without a name."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def event(name: str, value: Json) -> str:
    """One server-sent event with a name."""
    return f"event: {name}\n{data(value)}"


def tool_calls(tools: Iterable[Json], behaviour: Behaviour, prefix: str) -> list[ToolCall]:
    """Calls of the request's tools in turn, with arguments by their JSON type.

    `tools` are function declarations of any provider: `name` and `parameters` or `input_schema`.
    """
    declared = list(tools)
    return [
        ToolCall(f"{prefix}{i + 1}", tool["name"], _arguments(tool))
        for i in range(behaviour.tool_calls if declared else 0)
        for tool in (declared[i % len(declared)],)
    ]


def _arguments(tool: Json) -> Json:
    schema = tool.get("parameters") or tool.get("input_schema") or {}
    return {
        name: TOOL_ARGUMENTS.get(str(spec.get("type")).lower(), "Paris")
        for name, spec in schema.get("properties", {}).items()
    }


def halves(text: str) -> Iterator[str]:
    """The text in two pieces, for streams."""
    middle = len(text) // 2
    yield text[:middle]
    yield text[middle:]


def prompt_text(body: Json) -> str:
    """The prompt, for errors that echo it."""
    prompt = body.get("messages") or body.get("input") or body.get("prompt") or body.get("contents")
    return prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)


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


def error_text(request: Request) -> str:
    """The error text: the behaviour's, else the usual one for the status."""
    text = (
        request.behaviour.message
        or OPENAI_ERRORS.get(request.behaviour.status, OPENAI_ERRORS[500])[2]
    )
    return text.replace("{model}", request.model).replace("{prompt}", prompt_text(request.body))


def openai_error(request: Request) -> Json:
    """OpenAI's `{"error": …}`."""
    kind, code, _ = OPENAI_ERRORS.get(request.behaviour.status, OPENAI_ERRORS[500])
    return {"error": {"message": error_text(request), "type": kind, "param": None, "code": code}}


def anthropic_error(request: Request) -> Json:
    """Anthropic's `{"type": "error", …}`."""
    kind = ANTHROPIC_ERRORS.get(request.behaviour.status, "api_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": error_text(request)},
        "request_id": "req_loopback",
    }


def gemini_error(request: Request) -> Json:
    """Google's `{"error": {"code": …}}`."""
    status = GEMINI_ERRORS.get(request.behaviour.status, "INTERNAL")
    code = request.behaviour.status if request.behaviour.fails else 500
    return {"error": {"code": code, "message": error_text(request), "status": status}}
