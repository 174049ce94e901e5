"""Athina on loopback: the log of inferences."""

from typing import Any, ClassVar

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, Anyone, strict, validate

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}


class Athina(Anyone):
    """Rules: the fields of athina-logger 1.3.0, `InferenceLogger.log_inference`."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["external_reference_id", "environment", "custom_attributes"],
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": ["string", "array", "object"]},
            "response": {},
            "function_call_response": {},
            "tools": {"type": "array"},
            "tool_calls": {"type": "array"},
            "functions": {"type": "array"},
            "context": {"type": ["object", "string"]},
            **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), COUNT),
            "response_time": COUNT,
            "cost": {"type": "number", "minimum": 0},
            "model_options": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "temperature": {"type": "number"},
                    "max_completion_tokens": {"type": "integer"},
                    "stop": {"type": ["string", "array"]},
                    "top_p": {"type": "number"},
                    "extra_options": {"type": "object"},
                },
            },
            "custom_attributes": {
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
            "custom_eval_metrics": {"type": "object"},
            **dict.fromkeys(
                ("prompt_slug", "language_model_id", "environment", "external_reference_id"), TEXT
            ),
            **dict.fromkeys(("customer_id", "customer_user_id", "session_id"), TEXT),
            **dict.fromkeys(("user_query", "expected_response"), TEXT),
        },
    }

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("athina-api-key") != SECRET:
            return Reply(401, b'{"error":"Unauthorized","details":{"message":"bad key"}}')
        assert request.path == "/api/v1/log/inference"
        body = strict(request.body)
        validate(body, self.SCHEMA)
        failed = body["custom_attributes"].get("status") == "error"
        if failed:
            assert "response" not in body
            assert "total_tokens" not in body
        self.take(body["custom_attributes"]["key"], body)
        return Reply(200, b'{"status":"success"}')
