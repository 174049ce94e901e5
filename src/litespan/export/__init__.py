"""Everything an exporter for a vendor needs: span views, base classes, transport and JSON."""

from typing import TYPE_CHECKING, Any, Final

from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export.batching import Batch, Item, shrink
from litespan.export.policy import TRANSIENT, Policy, Refusal
from litespan.export.vendor_attributes import (
    known,
    renamed_attributes,
    scalar_attributes,
    to_scalar,
    without_content,
)
from litespan.genai import anthropic, openai
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
from litespan.genai.keys import key_of
from litespan.genai.messages import Message, Part, ToolDefinition
from litespan.genai.span import GenAISpan, is_genai, is_router
from litespan.genai.times import iso
from litespan.genai.values import parse
from litespan.objects import JSON, plain
from litespan.objects import encoded as to_text
from litespan.objects import json_bytes as dumps
from litespan.version import VERSION

if TYPE_CHECKING:
    from litespan.export.client import Answer, Secret, origin
    from litespan.export.encodable import copy_of
    from litespan.export.http import HttpExporter
    from litespan.export.otlp import CONTENT_TYPE, OtlpExporter, is_valid, item_of
    from litespan.export.safe_urls import url_problem
    from litespan.export.vendor import Variables

__all__ = [
    "CONTENT_TYPE",
    "JSON",
    "TRANSIENT",
    "VERSION",
    "Answer",
    "Batch",
    "Call",
    "Cost",
    "Error",
    "GenAISpan",
    "HttpExporter",
    "Identity",
    "Item",
    "Message",
    "OtlpExporter",
    "Part",
    "Policy",
    "Refusal",
    "Request",
    "Response",
    "Secret",
    "Service",
    "Stage",
    "ToolDefinition",
    "Usage",
    "Variables",
    "anthropic",
    "copy_of",
    "count",
    "dumps",
    "is_genai",
    "is_router",
    "is_valid",
    "iso",
    "item_of",
    "key_of",
    "known",
    "log_once",
    "openai",
    "origin",
    "parse",
    "plain",
    "renamed_attributes",
    "scalar_attributes",
    "shrink",
    "suppress_errors",
    "to_scalar",
    "to_text",
    "url_problem",
    "without_content",
]

# Imported on first use: these modules import httpx or protobuf, which stores do not need.
_LAZY: Final = {
    **dict.fromkeys(("Answer", "Secret", "origin"), "client"),
    "HttpExporter": "http",
    "Variables": "vendor",
    "copy_of": "encodable",
    "url_problem": "safe_urls",
    **dict.fromkeys(("CONTENT_TYPE", "OtlpExporter", "is_valid", "item_of"), "otlp"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
