"""The GenAI conventions' schemas of content attributes, restated.

https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai, JSON schemas)
"""

from typing import Any

_PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}},
    "allOf": [
        {
            "if": {"properties": {"type": {"enum": kinds}}},
            "then": {"required": required, "properties": properties},
        }
        for kinds, required, properties in (
            (["text", "reasoning"], ["content"], {"content": {"type": "string"}}),
            (["tool_call"], ["name"], {"name": {"type": "string"}, "id": {"type": "string"}}),
            (["tool_call_response"], ["response"], {"id": {"type": "string"}}),
            (
                ["uri"],
                ["modality", "uri"],
                {"modality": {"type": "string"}, "uri": {"type": "string"}},
            ),
            (
                ["file"],
                ["modality", "file_id"],
                {"modality": {"type": "string"}, "file_id": {"type": "string"}},
            ),
            (
                ["blob"],
                ["modality", "content"],
                {"modality": {"type": "string"}, "content": {"type": "string"}},
            ),
        )
    ],
}
_PARTS = {"type": "array", "items": _PART}
_MESSAGE = {
    "type": "object",
    "required": ["role", "parts"],
    "properties": {"role": {"type": "string"}, "parts": _PARTS, "name": {"type": "string"}},
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "gen_ai.input.messages": {"type": "array", "items": _MESSAGE},
    "gen_ai.output.messages": {
        "type": "array",
        "items": {
            **_MESSAGE,
            "properties": {**_MESSAGE["properties"], "finish_reason": {"type": "string"}},  # type: ignore[dict-item]
        },
    },
    "gen_ai.system_instructions": _PARTS,
    "gen_ai.tool.definitions": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["type", "name"],
            "properties": {"type": {"type": "string"}, "name": {"type": "string"}},
        },
    },
}
