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
            (["server_tool_call"], ["name", "server_tool_call"], {"name": {"type": "string"}}),
            (["server_tool_call_response"], ["server_tool_call_response"], {}),
            (["generic"], ["generic_type"], {"generic_type": {"type": "string"}}),
            (["compaction"], [], {"id": {"type": "string"}, "content": {"type": "string"}}),
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


def _only(schema: dict[str, Any], types: list[str]) -> dict[str, Any]:
    """`schema` of parts, with these types alone."""
    return {**schema, "items": {**schema["items"], "properties": {"type": {"enum": types}}}}


_TYPES = [
    *("text", "reasoning", "tool_call", "tool_call_response", "blob", "uri", "file"),
    *("server_tool_call", "server_tool_call_response", "compaction", "generic"),
]
_STRICT: dict[str, Any] = {
    **_MESSAGE,
    "properties": {**_MESSAGE["properties"], "parts": _only(_PARTS, _TYPES)},  # type: ignore[dict-item]
}
RELEASE: dict[str, dict[str, Any]] = {
    "gen_ai.input.messages": {"type": "array", "items": _STRICT},
    "gen_ai.output.messages": {
        "type": "array",
        "items": {**_STRICT, "not": {"required": ["finish_reason"]}},
    },
    "gen_ai.system_instructions": _only(_PARTS, ["text", "generic"]),
    "gen_ai.tool.definitions": SCHEMAS["gen_ai.tool.definitions"],
}
"""What v0.1.0 permits in addition: defined types, and no deprecated field."""
