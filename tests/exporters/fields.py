"""Every documented field of a call, each with a different value, and calls with them."""

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

START = 1_795_165_987_123_000_000

ALWAYS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "litellm.outcome": "success",
}
FIELDS: dict[str, dict[str, Any]] = {
    "requested model": {"gen_ai.request.model": "model-asked"},
    "response model": {"gen_ai.response.model": "model-answered"},
    "streamed": {"gen_ai.request.stream": True},
    "temperature": {"gen_ai.request.temperature": 0.7391},
    "max_tokens": {"gen_ai.request.max_tokens": 1907},
    "top_p": {"gen_ai.request.top_p": 0.9173},
    "seed": {"gen_ai.request.seed": 1913},
    "stop sequences": {"gen_ai.request.stop_sequences": ("stop-word",)},
    "number of choices": {"gen_ai.request.choice.count": 1931},
    "reasoning level": {"gen_ai.request.reasoning.level": "level-high"},
    "output type": {"gen_ai.output.type": "type-json"},
    "prompt name": {"gen_ai.prompt.name": "prompt-name"},
    "prompt version": {"gen_ai.prompt.version": "1933"},
    "server": {"server.address": "server.example"},
    "response id": {"gen_ai.response.id": "response-id"},
    "finish reason": {"gen_ai.response.finish_reasons": ("reason-x",)},
    "time to first chunk": {"gen_ai.response.time_to_first_chunk": 0.413},
    "input tokens": {"gen_ai.usage.input_tokens": 40961},
    "output tokens": {"gen_ai.usage.output_tokens": 8009},
    "cached tokens": {"gen_ai.usage.cache_read.input_tokens": 10007},
    "tokens written to a cache": {"gen_ai.usage.cache_creation.input_tokens": 1009},
    "reasoning tokens": {"gen_ai.usage.reasoning.output_tokens": 503},
    "source of the usage": {"litellm.usage.source": "source-usage"},
    "cost": {"gen_ai.usage.cost": 0.0912373, "litellm.cost.total": 0.0912373},
    "cost of input": {"litellm.cost.input": 0.0411271},
    "cost of output": {"litellm.cost.output": 0.0501102},
    "cost of cached input": {"litellm.cost.cache_read": 0.0030031},
    "cost of reasoning": {"litellm.cost.reasoning": 0.0070079},
    "source of the cost": {"litellm.cost.source": "source-cost"},
    "instructions": {"gen_ai.system_instructions": '[{"type":"text","content":"said-system"}]'},
    "input messages": {
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"said-in"}]}]'
    },
    "output messages": {
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "said-out"}]}]
        )
    },
    "tools": {"gen_ai.tool.definitions": '[{"type":"function","name":"tool-name"}]'},
    "user": {"user.id": "user-id"},
    "session": {"session.id": "session-id", "gen_ai.conversation.id": "session-id"},
    "tags": {"litellm.tags": ("tag-x",)},
    "metadata": {"litellm.metadata.feature": "feature-x"},
    "team": {"litellm.team.id": "team-id"},
    "organization": {"litellm.organization.id": "organization-id"},
    "project": {"litellm.project.id": "project-id"},
    "end user": {"litellm.end_user.id": "end-user-id"},
    "alias of the key": {"litellm.api_key.alias": "key-alias"},
    "route of the proxy": {"litellm.request.route": "/route-x"},
    "call id": {"litellm.call_id": "call-id"},
    "attempt": {"litellm.attempt": 1949},
    "model group": {"litellm.model_group": "group-x"},
    "deployment": {"litellm.deployment.id": "deployment-x"},
    "fallback from": {"litellm.fallback.from": "fallback-x"},
    "fallback to": {"litellm.fallback.to": "fallback-y"},
    "request id of the provider": {"litellm.provider.request_id": "request-x"},
    "answered from a cache": {"litellm.cache_hit": True},
    "environment": {"deployment.environment.name": "environment-x"},
    "service": {"service.name": "service-x"},
    "version": {"service.version": "version-x"},
    "start": {"start": START},
    "end": {"end": START + 1_777_000_000},
}
FAILURE: dict[str, dict[str, Any]] = {
    "error type": {"error.type": "error-type"},
    "error message": {"message": "error-message"},
    "HTTP status of the failure": {"litellm.provider.error.code": 403},
}
RESOURCE = ("deployment.environment.name", "service.name", "service.version")
WORDS = {
    "instructions": "said-system",
    "input messages": "said-in",
    "output messages": "said-out",
    "tools": "tool-name",
}
"""What is looked for where the value is JSON."""


def every(fields: Mapping[str, Mapping[str, Any]], but: str = "") -> dict[str, Any]:
    """The values of all fields but one."""
    left = fields.get(but, {})
    return {k: v for values in fields.values() for k, v in values.items() if k not in left}


def call(values: Mapping[str, Any], failed: bool, number: int = 0x123456) -> ReadableSpan:
    """A finished call with these values."""
    start = values.get("start", START - 2_000_000_000)
    apart = {*RESOURCE, "start", "end", "message"}
    message = values.get("message")
    event = {"exception.message": message} if message else {}
    return ReadableSpan(
        name="chat",
        context=SpanContext(0xABCDEF, number, False, TraceFlags(1)),
        resource=Resource({name: values[name] for name in RESOURCE if name in values}),
        attributes={**ALWAYS, **{k: v for k, v in values.items() if k not in apart}},
        events=[Event("exception", event, start)] if failed else (),
        status=Status(StatusCode.ERROR, message) if failed else Status(StatusCode.UNSET),
        start_time=start,
        end_time=values.get("end", START + 1_000_000_000),
        instrumentation_scope=InstrumentationScope("litespan"),
    )


def fate(field: str, values: Mapping[str, Any], whole: str, less: str) -> str:
    """What becomes of a field: `whole` was made with it, `less` without it."""
    if whole == less:
        return "-"
    value = next(iter(values.values()))
    value = value[0] if isinstance(value, tuple) else value
    said = WORDS.get(field, str(value))
    return "sent" if value is True or said in whole else "derived"
