"""Copies what the attributes of an answer are read from, so that they can be read later.

The caller and LiteLLM may change the answer once the caller has it.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from litespan.mapping.request import Request
from litespan.objects import contents, get

OPENAI: Final = frozenset({"openai", "azure"})
"""Providers whose finish reasons LiteLLM keeps."""

_CHAT: Final = frozenset({"completion", "acompletion"})
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")
_OWN: Final = "provider_specific_fields"  # of a choice, with the provider's finish reason
_LONGEST: Final = 16 * 1024  # characters of a raw answer that may wait


AnswerCopy = tuple[dict[str, Any], dict[str, Any], Any]
"""(fields by name for `read_answer`, `_hidden_params`, what is read of LiteLLM's logging object)"""


def copy_answer(
    request: Request, raw: Any, hidden: Mapping[str, Any], logging: Any
) -> AnswerCopy | None:
    """Copy a chat answer of LiteLLM's `ModelResponse`, without its messages.

    Return None if it is another answer, or if its cost must be looked up, which LiteLLM can do only
    with its own objects.
    """
    if request.target.call_type not in _CHAT or type(raw).__name__ != "ModelResponse":
        return None
    fields, extra = raw.__dict__, raw.__pydantic_extra__ or {}
    breakdown = getattr(logging, "cost_breakdown", None)
    if "status" in extra or "type" in extra or not _has_cost(hidden, breakdown):
        return None
    usage = _copied_usage(extra.get("usage") or fields.get("usage"))
    if usage is None:
        return None
    details: dict[str, Any] = {}
    if request.called.provider not in OPENAI:
        stated = getattr(logging, "model_call_details", None)
        details["custom_llm_provider"] = get(stated, "custom_llm_provider")
        native = get(stated, "original_response")
        if type(native) is str:
            if len(native) > _LONGEST:
                return None
            details["original_response"] = native
    copied = {
        "id": fields.get("id"),
        "model": fields.get("model"),
        "system_fingerprint": fields.get("system_fingerprint"),
        "service_tier": extra.get("service_tier") or fields.get("service_tier"),
        "choices": [
            {
                "finish_reason": choice.finish_reason,
                _OWN: {**(choice.__dict__.get(_OWN) or {})},
            }
            for choice in raw.choices
        ],
        "usage": usage,
    }
    kept = {**hidden}
    headers = hidden.get("additional_headers")
    if headers:
        kept["additional_headers"] = {**headers}
    seen = SimpleNamespace(
        litellm_call_id=getattr(logging, "litellm_call_id", None)
        or request.arguments.get("litellm_call_id"),
        cost_breakdown=breakdown and {**breakdown},
        model_call_details=details,
    )
    return copied, kept, seen


def _has_cost(hidden: Mapping[str, Any], breakdown: Any) -> bool:
    """Whether LiteLLM has calculated a cost that cannot be due to a missing price."""
    cost = hidden.get("response_cost")
    if type(cost) is not float or cost <= 0.0 or hidden.get("cache_hit"):
        return False
    return not breakdown or bool(breakdown.get("input_cost") or breakdown.get("output_cost"))


def _copied_usage(usage: Any) -> dict[str, Any] | None:
    """Copy a usage; return None if the provider states a cost or the time to live of caches."""
    if usage is None:
        return None
    copied = {**usage.__dict__, **(usage.__pydantic_extra__ or {})}
    for name in _DETAILS:
        if copied.get(name) is not None:
            copied[name] = {**contents(copied[name])}
    sent = copied.get("prompt_tokens_details")
    if (
        copied.get("cost") is not None
        or "cache_creation" in copied
        or (sent and sent.get("cache_creation_token_details") is not None)
    ):
        return None
    return copied
