"""PostHog on loopback: the OTLP endpoint for AI spans, and the capture API."""

import json
import re
import uuid
from datetime import datetime
from typing import Any, ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, strict
from tests.support.vendors.otlp import Otlp


class Posthog(Otlp):
    """A project. Rules: https://github.com/PostHog/posthog, `rust/capture/src/otel`."""

    PATH = "/i/v0/ai/otel"
    ACCEPTED = ("gen_ai.", "ai.", "eve.", "traceloop.", "pydantic_ai.", "llm.request.type")
    EVENTS: ClassVar = ("$ai_generation", "$ai_embedding", "$ai_span")
    COSTS: ClassVar = ("$ai_input_cost_usd", "$ai_output_cost_usd", "$ai_total_cost_usd")

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return Reply(401)
        if request.path == "/batch/":
            return self.batch(strict(request.body))
        assert request.path == self.PATH
        assert len(request.body) <= 4 << 20
        sent = ExportTraceServiceRequest.FromString(request.body)
        spans = [s for r in sent.resource_spans for sc in r.scope_spans for s in sc.spans]
        assert len(spans) <= 100
        super().__call__(request)
        return Reply(200, b"{}")

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        self.size({**resource, **attributes})
        assert any(name.startswith(self.ACCEPTED) for name in attributes)
        foreign = [name for name in attributes if name.startswith(self.ACCEPTED[1:])]
        assert foreign == [], "another classifier would read the span"
        assert attributes["gen_ai.operation.name"] not in ("text_completion", "generate_content")
        self.money(attributes)

    def size(self, properties: dict[str, Any]) -> None:
        """Of the event that it makes, in which text stays text, be it JSON or not."""
        ids = {"$ai_trace_id": "0" * 32, "$ai_span_id": "0" * 16, "$lib": "posthog-otel"}
        event = json.dumps({**properties, **ids}, ensure_ascii=False, separators=(",", ":"))
        assert len(event.encode()) <= 900_000

    def money(self, properties: dict[str, Any]) -> None:
        """Numbers, and all three of them if two are known."""
        found = [properties[name] for name in self.COSTS if name in properties]
        assert all(type(usd) in (int, float) and usd >= 0 for usd in found)
        assert len(found) != 2

    def batch(self, body: dict[str, Any]) -> Reply:
        """The capture API. It answers 200 to events that it then loses: here they are wrong."""
        assert body["api_key"] == SECRET
        for event in body["batch"]:
            assert event["event"] in self.EVENTS
            assert 0 < len(event["distinct_id"]) <= 200
            assert str(uuid.UUID(event["uuid"])) == event["uuid"]
            assert re.fullmatch(r".*Z", event["timestamp"])
            datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
            shown = event["properties"]
            assert re.fullmatch("[0-9a-f]{32}", shown["$ai_trace_id"])
            assert all(shown[name] is not None for name in shown)
            assert shown["$ai_is_error"] is ("$ai_error" in shown)
            self.money(shown)
            self.size(shown)
            self.take(event["uuid"], event)
        return Reply(200, b'{"status":"Ok"}')
