"""What a call cost, in USD, and who says so. No figure at all rather than a wrong 0."""

import math
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from litespan import semconv as s
from litespan.mapping.usage import Usage
from litespan.mapping.values import as_float, get
from litespan.quiet import swallowed

# LiteLLM's cost breakdown → the name of the part.
_PARTS: Final[Mapping[str, str]] = {
    "input_cost": s.COST_INPUT,
    "output_cost": s.COST_OUTPUT,
    "cache_read_cost": s.COST_CACHE_READ,
    "cache_creation_cost": s.COST_CACHE_CREATION,
    "reasoning_cost": s.COST_REASONING,
    "tool_usage_cost": s.COST_TOOL_USAGE,
}
NO_PARTS: Final[Mapping[str, float]] = MappingProxyType({})
_ALWAYS: Final = frozenset({"input_cost", "output_cost"})


class Cost(NamedTuple):
    """USD. `total` is None where nobody knows the price; `source` says who knew it."""

    total: float | None
    source: str
    parts: Mapping[str, float] = NO_PARTS


UNKNOWN: Final = Cost(None, "unknown")


def cost_of_response(
    hidden: Mapping[str, Any], usage: Usage | None, logging: Any, model: str, provider: str
) -> Cost:
    """The cost of a complete answer, from what LiteLLM hid in it.

    On a hit in LiteLLM's response cache the call cost nothing, and what it would have cost
    is told as saved.
    """
    figure = as_float(hidden.get("response_cost"))
    if hidden.get("cache_hit") is True:
        return Cost(0.0, "litellm", {s.COST_SAVED: figure} if figure else NO_PARTS)
    if usage is not None and usage.cost is not None:
        return Cost(usage.cost, "provider", _parts(logging, usage.cost))
    if figure is None and hidden.get("litellm_model_name") is None:
        return cost_of_usage(usage, logging, model, provider)  # a result without hidden figures
    if figure is None or (figure == 0.0 and not _free(usage, model, provider)):
        return UNKNOWN
    return Cost(figure, "litellm", _parts(logging, figure))


def cost_of_usage(usage: Usage | None, logging: Any, model: str, provider: str) -> Cost:
    """The cost of a stream, from its usage: LiteLLM's figure for streams is always 0.0."""
    if usage is None or not usage.known:
        return UNKNOWN
    if usage.cost is not None:
        return Cost(usage.cost, "provider")
    try:
        figure = _price(usage, logging, model, provider)
    except Exception as error:  # noqa: BLE001 - LiteLLM raises for a model it has no price for
        if type(error).__module__.startswith("litellm") or type(error) is Exception:
            return UNKNOWN
        swallowed("pricing a stream", error)
        return UNKNOWN
    if figure is None or (figure == 0.0 and not _free(usage, model, provider)):
        return UNKNOWN
    source = "estimated" if usage.source == "estimated" else "litellm"
    return Cost(figure, source, _parts(logging, figure))


def cost_attributes(cost: Cost) -> dict[str, Any]:
    """`gen_ai.usage.cost`, its parts, and the source."""
    attributes: dict[str, Any] = {s.COST_SOURCE: cost.source}
    if cost.total is not None:
        attributes[s.COST] = attributes[s.COST_TOTAL] = cost.total
        attributes.update(cost.parts)
    return attributes


def _parts(logging: Any, total: float) -> Mapping[str, float]:
    """LiteLLM's breakdown, if it is the breakdown of this very figure."""
    breakdown = getattr(logging, "cost_breakdown", None)
    if not breakdown or not isinstance(breakdown, dict):
        return NO_PARTS
    stated = as_float(breakdown.get("total_cost"))
    if stated is None or not math.isclose(stated, total, rel_tol=1e-9, abs_tol=1e-12):
        return NO_PARTS
    parts: dict[str, float] = {}
    for name, attribute in _PARTS.items():
        given = breakdown.get(name)
        if given is not None:
            value = as_float(given)
            if value or (value is not None and name in _ALWAYS):
                parts[attribute] = value
    return parts


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
