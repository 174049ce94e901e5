"""OTLP endpoints on loopback: any, Langfuse's, Datadog's."""

import base64
import json
import re
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, Anyone


def attributes_of(pairs: Any) -> dict[str, Any]:
    """OTLP's list of pairs as a dict."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        pairs: list[KeyValue] = list(value.kvlist_value.values)
        return attributes_of(pairs)
    return getattr(value, kind) if kind else None


class Otlp(Anyone):
    """Any OTLP/HTTP endpoint with protobuf: keeps each span with its resource's attributes."""

    PATH = "/v1/traces"

    def __call__(self, request: Received) -> Reply:
        assert request.headers["content-type"] == "application/x-protobuf"
        batch = ExportTraceServiceRequest.FromString(request.body)
        taken = []
        for group in batch.resource_spans:
            resource = attributes_of(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    assert len(span.trace_id) == 16
                    assert len(span.span_id) == 8
                    taken.append((span, {**attributes_of(span.attributes)}, resource))
        for span, attributes, resource in taken:
            self.rules(span, attributes, resource)
        for span, attributes, resource in taken:
            record = {
                "name": span.name,
                "parent": span.parent_span_id.hex(),
                "status": {"code": span.status.code, "message": span.status.message},
                "attributes": attributes,
                "resource": resource,
                "start": span.start_time_unix_nano,
                "end": span.end_time_unix_nano,
            }
            self.take(span.span_id.hex(), record)
        return Reply(200, b"", {"Content-Type": "application/x-protobuf"})

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        """What this vendor asks of a span."""


class Langfuse(Otlp):
    """The OpenTelemetry endpoint, ingestion version 4.

    Rules: https://langfuse.com/integrations/native/opentelemetry and langfuse/langfuse v4.16.0
    `OtelIngestionProcessor.ts`, `ObservationTypeMapper.ts`, `attributes.ts`.
    """

    PATH = "/api/public/otel/v1/traces"
    TYPES = frozenset(
        ("span", "generation", "event", "embedding", "agent", "tool", "chain", "retriever")
    )

    def __call__(self, request: Received) -> Reply:
        pair = base64.b64encode(f"{SECRET}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return Reply(401, b'{"message":"Invalid credentials"}')
        assert request.path == self.PATH
        assert request.headers["x-langfuse-ingestion-version"] == "4"
        assert request.headers["content-encoding"] == "gzip"
        return super().__call__(request)

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        own = {k.removeprefix("langfuse."): v for k, v in attributes.items() if "langfuse." in k}
        kind = own.get("observation.type", "span")
        assert kind in self.TYPES
        assert not (kind == "generation" and "gen_ai.tool.name" in attributes)
        assert not {"input.value", "output.value"} & set(attributes)
        for name in ("cost_details", "usage_details"):
            details = json.loads(own.get(f"observation.{name}", "{}"))
            assert all(type(amount) in (int, float) for amount in details.values()), details
        usage = json.loads(own.get("observation.usage_details", "{}"))
        if {"input", "output"} <= set(usage):
            assert sum(v for k, v in usage.items() if k != "total") == usage["total"]
        began = own.get("observation.completion_start_time")
        began = began and began.strip('"')  # as Langfuse's own SDK writes it
        assert began is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", began)
        assert re.fullmatch(r"(?!langfuse)[a-z0-9_-]{1,40}", own.get("environment", "default"))
        assert own.get("observation.level", "DEFAULT") in ("DEFAULT", "WARNING", "ERROR", "DEBUG")
        assert span.status.code != 2 or own["observation.status_message"]
        assert isinstance(own.get("trace.tags", []), list)
        assert ("observation.prompt.name" in own) == ("observation.prompt.version" in own)
        for name in ("input", "output"):
            self._messages(own.get(f"observation.{name}"))

    def _messages(self, text: str | None) -> None:
        if text is None:
            return
        value = json.loads(text)
        messages = value.get("messages", [value]) if isinstance(value, dict) else value
        for message in messages:
            assert "parts" not in message
            for call in message.get("tool_calls", ()):
                assert set(call) == {"id", "type", "function"}
                assert isinstance(call["function"]["arguments"], str)


class DatadogOtlp(Otlp):
    """The OTLP intake for LLM Observability.

    Rules: https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation/
    """

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("dd-api-key") != SECRET:
            return Reply(403)
        assert request.path == self.PATH
        assert request.headers["dd-otlp-source"] == "llmobs"
        assert len(request.body) <= 15 * 1024 * 1024
        return super().__call__(request)

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        assert resource["dd_llmobs_enabled"] == "true"
        assert {"gen_ai.operation.name", "gen_ai.provider.name"} & set(attributes)
        assert span.status.code != 1
        metadata = json.loads(attributes["_dd.ml_obs.metadata"])
        assert isinstance(metadata, dict)
        assert not {"model_name", "model_provider"} & set(metadata)
        assert attributes.get("gen_ai.cost.estimated_total", 0.0) >= 0


class Logfire(Otlp):
    """Rules: https://logfire.pydantic.dev/docs/reference/limits/ and its page on LLM calls."""

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("authorization") != SECRET:  # without "Bearer"
            return Reply(401)
        assert request.path == self.PATH
        return super().__call__(request)

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        assert span.ByteSize() <= 10_000_000
        assert len(span.name.encode()) <= 512
        assert len(attributes["logfire.msg"].encode()) <= 512
        assert attributes["logfire.level_num"] in (9, 13, 17)
        assert (attributes["logfire.level_num"] == 17) == (span.status.code == 2)
        assert isinstance(attributes.get("operation.cost", 0.0), float)
        if isinstance(provider := attributes.get("gen_ai.provider.name"), str):
            assert attributes["gen_ai.system"] == provider
        assert isinstance(attributes.get("gen_ai.response.finish_reasons", []), list)
        schema = json.loads(attributes.get("logfire.json_schema", '{"properties":{}}'))
        assert all(name in attributes for name in schema["properties"])


class Traceloop(Otlp):
    """Rules: https://github.com/traceloop/openllmetry, semantic conventions 0.5.1."""

    TYPES = ("completion", "chat", "rerank", "embedding", "unknown")

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return Reply(401)
        assert request.path == self.PATH
        return super().__call__(request)

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        assert attributes.get("llm.request.type", "chat") in self.TYPES
        used: list[Any] = [
            attributes.get(f"gen_ai.usage.{name}_tokens") for name in ("input", "output")
        ]
        if all(type(tokens) is int and tokens >= 0 for tokens in used):
            assert attributes["gen_ai.usage.total_tokens"] == used[0] + used[1]
            assert attributes["llm.usage.total_tokens"] == used[0] + used[1]
