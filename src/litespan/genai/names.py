"""Names of message parts and their fields in provider APIs: tables only."""

from typing import Final

FINISH_REASONS: Final = {"tool_calls": "tool_call", "tool_use": "tool_call"}
"""Finish reasons that the conventions rename in messages."""

KEPT: Final = (
    *("blob", "uri", "tool_call", "tool_call_response"),
    *("server_tool_call", "server_tool_call_response"),
)
"""Types that already have the form of the conventions."""

TEXTS: Final = ("text", "input_text", "output_text", "summary_text", "refusal")
THOUGHTS: Final = ("thinking", "reasoning", "reasoning_text")
MEDIA: Final = (
    *("image", "image_url", "input_image", "image_file", "computer_screenshot"),
    *("audio", "audio_url", "input_audio", "video", "video_url", "input_video"),
    *("file", "input_file", "document", "container_upload", "media"),
    *("resource", "resource_link"),
)
CALLS: Final = ("_call", "-call", "_use", "_request")
"""Suffixes of types that call a tool: `tool_use`, `web_search_call`, `mcp_approval_request`."""

RESULTS: Final = ("_output", "_result", "-result", "_response", "_list_tools")
"""Suffixes of types that hold a tool result."""

MODALITIES: Final = ("image", "audio", "video")
SOURCES: Final = (
    *("source", "file", "input_audio", "audio", "image_url", "video_url", "audio_url"),
    *("image_file", "image", "video", "document", "resource"),
)
"""Fields with an object that describes the bytes."""

HELD: Final = (
    *("data", "file_data", "base64", "bytes", "blob", "b64_json", "url", "uri", "file_url"),
    *("file_uri", "fileUri", "image_url", "video_url", "audio_url"),
    *("image", "audio", "video", "content"),
)
"""Fields with bytes or a URL."""

MIME: Final = ("media_type", "mediaType", "mimeType", "mime_type")

CALL_IDS: Final = ("call_id", "toolCallId", "tool_call_id", "toolUseId", "tool_use_id", "id")
NAMES: Final = ("toolName", "name")
ARGUMENTS: Final = (
    *("arguments", "input", "args", "action", "operation"),
    *("code", "queries", "parameters"),
)
ANSWERS: Final = ("output", "outputs", "result", "results", "content", "response", "tools")
BOOKKEEPING: Final = frozenset(
    {*CALL_IDS, *NAMES, *ANSWERS, "type", "status", "index", "caller", "cache_control", "error"}
)
"""Fields of a tool call that are not arguments."""

OPAQUE: Final = frozenset({"data", "encrypted_content", "signature", "cache_control"})
"""Encrypted data of the provider: not content, and often long."""

UNTYPED: Final = {
    "text": "text",
    "json": "text",
    "function_call": "call",
    "functionCall": "call",
    "toolUse": "call",
    "toolCall": "call",
    "executable_code": "call",
    "executableCode": "call",
    "function_response": "answer",
    "functionResponse": "answer",
    "toolResult": "answer",
    "toolResponse": "answer",
    "code_execution_result": "answer",
    "codeExecutionResult": "answer",
    "reasoningContent": "thought",
    "inline_data": "file",
    "inlineData": "file",
    "file_data": "file",
    "fileData": "file",
    "image": "image",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "content": "text",
}
"""Field → kind, for parts of Google and Bedrock, which have no `type`."""
