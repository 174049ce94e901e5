"""The cost of a call in USD and its source. An unknown cost is left out, never 0."""

import math
from typing import Any, Final

from litespan import semconv as s
from litespan.mapping import price
from litespan.mapping.request import Attributes, Request
from litespan.mapping.response import Answer
from litespan.mapping.targets import AGENT, TRANSCRIPT
from litespan.objects import MOST_USD, as_cost, as_float, get

# Key in LiteLLM's cost breakdown → attribute.
_PARTS: Final = (
    ("input_cost", s.COST_INPUT),
    ("output_cost", s.COST_OUTPUT),
    ("cache_read_cost", s.COST_CACHE_READ),
    ("cache_creation_cost", s.COST_CACHE_CREATION),
    ("reasoning_cost", s.COST_REASONING),
    ("tool_usage_cost", s.COST_TOOL_USAGE),
)
_ALWAYS: Final = frozenset({"input_cost", "output_cost"})
# Response header in which a remote LiteLLM proxy reports the cost.
_HEADER: Final = "llm_provider-x-litellm-response-cost"
_UNKNOWN: Final = {s.COST_SOURCE: "unknown"}


def cost_attributes(
    request: Request, answer: Answer, logging: Any, *, stream: bool = False, whole: Any = None
) -> Attributes:
    """Return the cost of a finished call in USD, its breakdown and its source.

    LiteLLM's hidden cost of a stream is always 0.0, so it is ignored. `whole` is the answer that
    LiteLLM assembled from a stream; newer versions set its cost.

    A hit in the response cache costs 0, and `litellm.cost.saved` is what the call would have
    cost.
    """
    usage, hidden = answer.usage, answer.hidden
    if answer.cache_hit:
        full = hidden.get("response_cost") or (usage.cost if usage is not None else None)
        full = as_cost(full or price.list_price(request, answer, logging))
        return {**_cost(0.0, "litellm", None), **({s.COST_SAVED: full} if full else {})}
    source = "litellm"
    if usage is not None and usage.cost is not None and not price.custom_prices(request):
        figure: float | None = usage.cost
        # LiteLLM also writes its own figure there.
        listed = price.list_price(request, answer, logging)
        source = source if figure == listed else "provider"
    elif usage is not None and not usage.known:
        return {**_UNKNOWN}  # the reported usage is implausible
    elif (
        not stream
        and ("litellm_model_name" in hidden or "response_cost" in hidden)
        and not (usage is not None and usage.partly_split)
    ):
        figure = _stated(request, answer, logging)
        # LiteLLM states its own price of a container in the same header.
        own = not request.target.operation.model
        if not own and _HEADER in (hidden.get("additional_headers") or ()):
            source = "provider"
    elif request.target.operation is AGENT:  # LiteLLM keeps the cost of its streams here
        figure = as_cost(get(getattr(logging, "model_call_details", None), "response_cost"))
    elif usage is None and not request.target.operation.detailed:
        return {**_UNKNOWN}
    else:
        counted = None if usage is None else price.price_of_whole(usage, whole)
        figure = as_cost(counted or price.list_price(request, answer, logging))
        if usage is not None and usage.source == "estimated":
            source = "estimated"
    if figure is None:
        return {**_UNKNOWN}
    attributes = _cost(figure, source, logging)
    known = source == "provider" or _priced(request, answer, attributes)
    return attributes if known else {**_UNKNOWN}


def _stated(request: Request, answer: Answer, logging: Any) -> float | None:
    """Return LiteLLM's cost of a plain answer; for some transcriptions, it states none."""
    figure = as_cost(answer.hidden.get("response_cost"))
    if figure is None and request.target.operation is TRANSCRIPT:
        figure = as_cost(price.list_price(request, answer, logging))
    return figure


def saved_attributes(
    request: Request, combined: Answer, logging: Any, paid: Attributes
) -> Attributes:
    """Return the saving if the response cache had part of the answer; `paid` is the rest."""
    full, cost = as_cost(price.list_price(request, combined, logging)), paid.get(s.COST)
    return {} if full is None or cost is None else {s.COST_SAVED: max(full - cost, 0.0)}


def _priced(request: Request, answer: Answer, attributes: Attributes) -> bool:
    """Whether LiteLLM's price list has a price for this cost.

    Without one, LiteLLM calculates 0 for tokens and adds only tools and margins.
    """
    parts = attributes.get(s.COST_INPUT), attributes.get(s.COST_OUTPUT)
    if attributes[s.COST] and parts != (0.0, 0.0):
        return True
    entry = price.prices(request, answer)
    return entry is not None and (attributes[s.COST] > 0.0 or price.is_free(entry))


def _cost(total: float, source: str, logging: Any) -> Attributes:
    """Return cost, source and LiteLLM's breakdown, if its total matches."""
    attributes: Attributes = {s.COST_SOURCE: source, s.COST: total, s.COST_TOTAL: total}
    breakdown = getattr(logging, "cost_breakdown", None)
    if not breakdown or not isinstance(breakdown, dict) or source == "provider":
        return attributes
    stated = breakdown.get("total_cost")
    if stated != total and not _close(as_float(stated), total):
        return attributes
    for name, attribute in _PARTS:
        if name in breakdown:
            value = breakdown[name]
            if type(value) is not float or not 0.0 <= value <= MOST_USD:
                value = as_cost(value)
            if value or (value is not None and name in _ALWAYS):
                attributes[attribute] = value
    return attributes


def _close(stated: float | None, total: float) -> bool:
    return stated is not None and math.isclose(stated, total, rel_tol=1e-9, abs_tol=1e-12)
