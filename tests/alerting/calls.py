"""Short ways to write finished calls to alert about."""

from itertools import count
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from litespan.export import GenAISpan

NOON = 1_795_176_000  # 2026-11-20T12:00:00Z, s since the epoch
_numbers = count(1)


def span(
    *,
    took: float | None = 1.0,
    error: str = "",
    message: str = "",
    code: int | None = None,
    at: float = NOON,
    model: str = "gpt-4o-mini",
    **attributes: Any,
) -> ReadableSpan:
    """A call that ended `at`; double underscores in `attributes` stand for dots.

    `took` None: it has not ended.
    """
    said: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "litellm.call_id": "call-1",
        "litellm.outcome": "failure" if error else "success",
        **{name.replace("__", "."): value for name, value in attributes.items()},
    }
    if error:
        said["error.type"] = error
    if code is not None:
        said["litellm.provider.error.code"] = code
    end = round(at * 1e9)
    return ReadableSpan(
        name=f"chat {model}",
        context=SpanContext(0xABC, next(_numbers), False, TraceFlags(1)),
        resource=Resource({"service.name": "shop"}),
        attributes=said,
        status=Status(StatusCode.ERROR, message or None) if error else Status(StatusCode.UNSET),
        start_time=end - round((took or 0.0) * 1e9),
        end_time=None if took is None else end,
        instrumentation_scope=InstrumentationScope("litespan"),
    )


def view(**options: Any) -> GenAISpan:
    """The same as rules see it."""
    read = GenAISpan.read(span(**options))
    assert read is not None
    return read


RATE_LIMIT: dict[str, Any] = {"error": "RateLimitError", "code": 429, "message": "slow down"}
NO_KEY: dict[str, Any] = {"error": "AuthenticationError", "code": 401, "message": "wrong key"}
DOWN: dict[str, Any] = {"error": "InternalServerError", "code": 500, "message": "oops"}
