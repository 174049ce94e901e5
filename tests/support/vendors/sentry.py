"""Sentry on loopback: OTLP traces and envelopes."""

import re
from typing import Any, ClassVar

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, strict, validate
from tests.support.vendors.otlp import Otlp

HEX = {32: {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
TEXT_200 = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\n]*$"}
CRUMB = {
    "type": "object",
    "required": ["timestamp", "category"],
    "properties": {
        "timestamp": {"type": "number", "minimum": 0},
        "type": {"enum": ["default", "error"]},
        "level": {"enum": ["fatal", "error", "warning", "info", "debug"]},
        "message": {"type": "string", "maxLength": 8192},
        "data": {"type": "object"},
    },
}


class Sentry(Otlp):
    """A project of a Sentry that takes OTLP.

    Rules: https://docs.sentry.io/concepts/otlp/, https://develop.sentry.dev/sdk/foundations/
    envelopes/, event payloads, rate limiting. Relay's own code judges the events in
    `tests/exporters/test_sentry.py`.
    """

    PATH = "/api/1/integration/otlp/v1/traces/"
    EVENT: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["event_id", "timestamp", "platform", "level", "exception", "contexts"],
        "properties": {
            "event_id": HEX[32],
            "timestamp": {"type": "number", "minimum": 0},
            "platform": {"const": "python"},
            "level": {"enum": ["fatal", "error", "warning", "info", "debug"]},
            "environment": {"type": "string", "pattern": r"^[^\n\r\f/ ]{1,64}$"},
            "release": {"type": "string", "pattern": r"^[^\n\r\f\t/\\ ]{1,200}$"},
            "transaction": TEXT_200,
            "tags": {
                "type": "object",
                "propertyNames": {"pattern": "^[a-zA-Z0-9_.:-]{1,200}$"},
                "additionalProperties": TEXT_200,
            },
            "user": {"type": "object", "required": ["id"]},
            "fingerprint": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "exception": {
                "type": "object",
                "required": ["values"],
                "properties": {
                    "values": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "required": ["type", "value", "mechanism"],
                            "properties": {
                                "type": {"type": "string", "minLength": 1},
                                "value": {"type": "string", "maxLength": 8192},
                            },
                        },
                    }
                },
            },
            "breadcrumbs": {
                "type": "object",
                "properties": {"values": {"type": "array", "items": CRUMB, "maxItems": 100}},
            },
            "contexts": {
                "type": "object",
                "required": ["trace"],
                "properties": {
                    "trace": {
                        "type": "object",
                        "required": ["trace_id", "span_id", "op", "status"],
                        "properties": {
                            "trace_id": HEX[32],
                            "span_id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                            "parent_span_id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                        },
                    }
                },
            },
        },
    }

    def __call__(self, request: Received) -> Reply:
        auth = request.headers.get("x-sentry-auth", "")
        if not re.fullmatch(
            rf"Sentry sentry_key={SECRET}, sentry_version=7, sentry_client=litespan/\S+", auth
        ):
            return Reply(403)
        if request.path == self.PATH:
            return super().__call__(request)
        assert request.path == "/api/1/envelope/"
        assert request.headers["content-type"] == "application/x-sentry-envelope"
        head, item, payload, *rest = request.body.split(b"\n")
        assert rest in ([], [b""])
        header, event = strict(head), strict(payload)
        assert strict(item) == {
            "type": "event",
            "content_type": "application/json",
            "length": len(payload),
        }
        assert len(payload) <= 1 << 20
        validate(event, self.EVENT)
        assert header["event_id"] == event["event_id"]
        self.take(event["event_id"], event)
        return Reply(200, b'{"id":"%b"}' % event["event_id"].encode())

    def rules(self, span: Any, attributes: dict[str, Any], resource: dict[str, Any]) -> None:
        assert span.ByteSize() <= 1 << 20
        assert attributes["sentry.op"].startswith("gen_ai")
        assert "http.request.method" not in attributes
        for name, value in attributes.items():
            assert isinstance(value, str | bool | int | float), name
            own = name.startswith("litellm.") and not name.startswith("litellm.metadata.")
            assert not (own and re.search("token|api_key|auth|password|secret", name)), name
