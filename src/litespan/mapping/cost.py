"""What a call cost, in USD, and who says so. No figure at all rather than a wrong 0."""

import math
import sys
from collections.abc import Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.errors import swallowed
from litespan.mapping.request import Attributes
from litespan.mapping.response import hidden_params
from litespan.mapping.usage import Usage, read_usage
from litespan.objects import as_float, get

# LiteLLM's cost breakdown → the name of the part.
_PARTS: Final = (
    ("input_cost", s.COST_INPUT),
    ("output_cost", s.COST_OUTPUT),
    ("cache_read_cost", s.COST_CACHE_READ),
    ("cache_creation_cost", s.COST_CACHE_CREATION),
    ("reasoning_cost", s.COST_REASONING),
    ("tool_usage_cost", s.COST_TOOL_USAGE),
)
_ALWAYS: Final = frozenset({"input_cost", "output_cost"})
_CHARGED: Final = ("input", "output", "cache_read", "cache_creation")


def cost_of_response(
    hidden: Mapping[str, Any], usage: Usage | None, logging: Any, model: str, provider: str
) -> Attributes:
    """The cost of a complete answer, its parts and its source, from what LiteLLM hid in it.

    On a hit in LiteLLM's response cache the call cost nothing, and what it would have cost
    is told as saved.
    """
    figure = as_float(hidden.get("response_cost"))
    if hidden.get("cache_hit") is True:
        free = _cost(0.0, "litellm", None)
        return {**free, s.COST_SAVED: figure} if figure else free
    if usage is not None and usage.cost is not None:
        return _cost(usage.cost, "provider", logging)
    if figure is None and hidden.get("litellm_model_name") is None:
        return cost_of_usage(usage, logging, model, provider)  # a result without hidden figures
    if figure is None or (figure == 0.0 and not _free(usage, model, provider)):
        return _unknown()
    return _cost(figure, "litellm", logging)


def cost_of_usage(
    usage: Usage | None, logging: Any, model: str, provider: str, whole: Any = None
) -> Attributes:
    """The cost of a stream, from its usage: the figure in LiteLLM's stream is always 0.0.

    `whole` is what LiteLLM has made of the chunks, and newer ones have priced it.
    """
    if usage is None or not usage.known:
        return _unknown()
    if usage.cost is not None:
        return _cost(usage.cost, "provider", None)
    try:
        figure = _priced(usage, whole) or _price(usage, logging, model, provider)
    except Exception as error:  # noqa: BLE001 - LiteLLM raises for a model it has no price for
        if type(error).__module__.startswith("litellm") or type(error) is Exception:
            return _unknown()
        swallowed("pricing a stream", error)
        return _unknown()
    if figure is None or (figure == 0.0 and not _free(usage, model, provider)):
        return _unknown()
    source = "estimated" if usage.source == "estimated" else "litellm"
    return _cost(figure, source, logging)


def _cost(total: float, source: str, logging: Any) -> Attributes:
    """The figure, who says so, and its parts: LiteLLM's breakdown, if it is one of this figure."""
    attributes: Attributes = {s.COST_SOURCE: source, s.COST: total, s.COST_TOTAL: total}
    breakdown = getattr(logging, "cost_breakdown", None)
    if not breakdown or not isinstance(breakdown, dict):
        return attributes
    stated = as_float(breakdown.get("total_cost"))
    if stated != total and not _close(stated, total):
        return attributes
    for name, attribute in _PARTS:
        if name in breakdown:
            value = as_float(breakdown[name])
            if value or (value is not None and name in _ALWAYS):
                attributes[attribute] = value
    return attributes


def _close(stated: float | None, total: float) -> bool:
    return stated is not None and math.isclose(stated, total, rel_tol=1e-9, abs_tol=1e-12)


def _unknown() -> Attributes:
    return {s.COST_SOURCE: "unknown"}


def _priced(usage: Usage, whole: Any) -> float | None:
    """What LiteLLM has charged for the same tokens; its calculator takes long to do so again."""
    figure = as_float(hidden_params(whole).get("response_cost"))
    if not figure:
        return None
    counted = read_usage(get(whole, "usage"))
    same = counted is not None and all(
        getattr(counted, name) == getattr(usage, name) for name in _CHARGED
    )
    return figure if same else None


def _price(usage: Usage, logging: Any, model: str, provider: str) -> float | None:
    """What LiteLLM charges for `usage`, with the call's own prices and discounts."""
    litellm: Any = sys.modules["litellm"]
    details = {"cached_tokens": usage.cache_read} if usage.cache_read else None
    counted = litellm.Usage(
        prompt_tokens=usage.input or 0,
        completion_tokens=usage.output or 0,
        total_tokens=(usage.input or 0) + (usage.output or 0),
        prompt_tokens_details=details,
        **({"cache_creation_input_tokens": usage.cache_creation} if usage.cache_creation else {}),
    )
    response = litellm.ModelResponse(model=model, usage=counted)
    calculate = getattr(logging, "_response_cost_calculator", None)
    if calculate is not None:
        return as_float(calculate(result=response))
    return as_float(
        litellm.completion_cost(
            completion_response=response, model=model, custom_llm_provider=provider or None
        )
    )


def _free(usage: Usage | None, model: str, provider: str) -> bool:
    """Whether a cost of 0.0 is right: tokens are known and the price list says 0."""
    if usage is None or not usage.known:
        return False
    litellm: Any = sys.modules["litellm"]
    try:
        info = litellm.get_model_info(model=model, custom_llm_provider=provider or None)
    except Exception:  # noqa: BLE001 - LiteLLM raises for a model it does not know
        return False
    prices = (get(info, "input_cost_per_token"), get(info, "output_cost_per_token"))
    return prices == (0, 0)
