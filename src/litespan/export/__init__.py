"""From a finished OpenTelemetry span to what a vendor or a store wants to know of it."""

from litespan.genai.groups import (
    Call,
    Cost,
    Error,
    Identity,
    Request,
    Response,
    Service,
    Stage,
    Usage,
)
from litespan.genai.messages import Message, Part, ToolDefinition
from litespan.genai.span import GenAISpan, is_genai, is_router, key_of

__all__ = [
    "Call",
    "Cost",
    "Error",
    "GenAISpan",
    "Identity",
    "Message",
    "Part",
    "Request",
    "Response",
    "Service",
    "Stage",
    "ToolDefinition",
    "Usage",
    "is_genai",
    "is_router",
    "key_of",
]
