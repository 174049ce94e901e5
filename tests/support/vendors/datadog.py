"""Datadog LLM Observability on loopback: the API and the agent."""

import json
import re
from typing import Any, ClassVar

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, Anyone, strict, validate

TEXTS = {"type": "array", "items": {"type": "string"}}
MESSAGE = {
    "type": "object",
    "required": ["content"],
    "additionalProperties": False,
    "properties": {
        "content": {"type": "string"},
        "role": {"type": "string"},
        "tool_calls": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "arguments": {"type": "object"},
                    "tool_id": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        },
        "tool_results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["result"],
                "additionalProperties": False,
                "properties": {
                    name: {"type": "string"} for name in ("name", "result", "tool_id", "type")
                },
            },
        },
        **{
            f"{modality}_parts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["mime_type"],
                    "properties": {"mime_type": {"type": "string"}, "content": {"type": "string"}},
                },
            }
            for modality in ("image", "audio")
        },
    },
}
IO = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "value": {"type": "string"},
        "messages": {"type": "array", "items": MESSAGE},
        "documents": {"type": "array", "items": {"type": "object"}},
    },
}


class Datadog(Anyone):
    """Route A: the LLM Observability HTTP API.

    Rules: https://docs.datadoghq.com/llm_observability/instrumentation/api/; ml_app by
    https://docs.datadoghq.com/llm_observability/instrumentation/sdk/.
    """

    PATH = "/api/intake/llm-obs/v1/trace/spans"
    KINDS: ClassVar = ["agent", "workflow", "llm", "tool", "task", "embedding", "retrieval"]
    METRICS: ClassVar = [
        *("input_tokens", "output_tokens", "total_tokens", "non_cached_input_tokens"),
        *("cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"),
        *("time_to_first_token", "time_per_output_token"),
        *("input_cost", "output_cost", "total_cost", "non_cached_input_cost"),
        *("cache_read_input_cost", "cache_write_input_cost", "reasoning_output_cost"),
    ]
    META: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["kind"],
        "additionalProperties": False,
        "properties": {
            "kind": {"enum": KINDS},
            "model_name": {"type": "string"},
            "model_provider": {"type": "string", "pattern": "^[^A-Z]+$"},
            "input": IO,
            "output": IO,
            "metadata": {
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
            "error": {
                "type": "object",
                "additionalProperties": False,
                "properties": {n: {"type": "string"} for n in ("message", "stack", "type")},
            },
            "tool_definitions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "description": {"type": "string"},
                        "schema": {"type": "object"},
                    },
                },
            },
        },
    }
    SPAN: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["name", "span_id", "trace_id", "parent_id", "start_ns", "duration", "meta"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "span_id": {"type": "string", "pattern": "^[0-9]{1,20}$"},
            "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "apm_trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "parent_id": {"type": "string", "pattern": "^(undefined|[0-9]{1,20})$"},
            "start_ns": {"type": "integer", "minimum": 0},
            "duration": {"type": "integer", "minimum": 0},
            "status": {"enum": ["ok", "error"]},
            "meta": META,
            "metrics": {
                "type": "object",
                "propertyNames": {"enum": METRICS},
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            "session_id": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:.+"}},
            "service": {"type": "string"},
            "ml_app": {"type": "string"},
            "collection_errors": TEXTS,
        },
    }

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("dd-api-key") != SECRET:
            return Reply(403, b'{"errors":["Forbidden"]}')
        assert request.path == self.PATH
        assert request.headers["content-type"] == "application/json"
        assert len(request.body) <= 5 << 20
        data = strict(request.body)["data"]
        assert data["type"] == "span"
        self.app(data["attributes"]["ml_app"])
        spans = data["attributes"]["spans"]
        assert 0 < len(spans) <= 1000
        for span in spans:
            self.rules(span)
        for span in spans:
            self.take(span["span_id"], span)
        return Reply(202)

    def app(self, name: str) -> None:
        """Rules of `ml_app`."""
        assert re.fullmatch(r"[a-z0-9_\-:./]{1,193}", name), name
        assert "__" not in name
        assert not name.endswith("_")

    def rules(self, span: dict[str, Any]) -> None:
        """Rules of one span."""
        validate(span, self.SPAN)
        assert len(json.dumps(span, ensure_ascii=False).encode()) <= 5_000_000
        assert (span["status"] == "error") == ("error" in span["meta"])
        meta, kind = span["meta"], span["meta"]["kind"]
        for side in ("input", "output"):
            shown = meta.get(side, {})
            assert "messages" not in shown or kind == "llm"
            documents = ("embedding", "input"), ("retrieval", "output")
            assert "documents" not in shown or (kind, side) in documents
        assert "metrics" not in span or kind in ("llm", "embedding")


class DatadogAgent(Datadog):
    """Route C: an agent with the EVP proxy."""

    PATH = "/evp_proxy/v2/api/v2/llmobs"

    def __call__(self, request: Received) -> Reply:
        if request.path == "/info":
            return Reply(
                200, json.dumps({"endpoints": ["/v0.4/traces", "/evp_proxy/v2/"]}).encode()
            )
        assert request.path == self.PATH
        assert "dd-api-key" not in request.headers
        assert request.headers["x-datadog-evp-subdomain"] == "llmobs-intake"
        for event in strict(request.body):
            assert event["_dd.stage"] == "raw"
            assert event["event_type"] == "span"
            (span,) = event["spans"]
            self.take(span["span_id"], span)
        return Reply(202)
