"""LiteLLM's price list: the cost of an answer, and whether there is a price."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from litespan.errors import record_error
from litespan.mapping.request import Request
from litespan.mapping.response import Answer, hidden_params
from litespan.mapping.usage import Usage, read_usage
from litespan.objects import as_float, as_text, contents, get, to_float

# Token counts that LiteLLM charges for: equal counts have equal cost.
_CHARGED_FIGURES: Final = (
    "input",
    "output",
    "cache_read",
    "cache_creation",
    "cache_creation_1h",
    "audio_input",
    "audio_output",
)
_PER_TOKEN: Final = ("input_cost_per_token", "output_cost_per_token")


def list_price(request: Request, answer: Answer, logging: Any) -> float | None:
    """Return the cost of `answer` in USD by LiteLLM's price list; None if it has no price.

    Includes the call's own prices, discounts and margins. Ignores a cost in the provider's usage
    and hits in the response cache.
    """
    try:
        result = _result(request, answer, logging)
        calculate = getattr(logging, "_response_cost_calculator", None)
        figure = None if calculate is None else as_float(calculate(result=result, cache_hit=False))
        if figure is None and (calculate is None or answer.cache_hit):
            # The provider of a text completion is corrected only during LiteLLM's own call.
            text = request.target.operation.name == "text_completion"
            litellm: Any = sys.modules["litellm"]
            figure = as_float(
                litellm.completion_cost(
                    completion_response=result,
                    model=_model(request, answer),
                    custom_llm_provider=None if text else request.provider or None,
                )
            )
        return figure
    except Exception as error:  # noqa: BLE001 - LiteLLM raises if the model has no price
        if not type(error).__module__.startswith("litellm") and type(error) is not Exception:
            record_error("pricing an answer", error)
        return None


def price_of_whole(usage: Usage, whole: Any) -> float | None:
    """Return the cost that LiteLLM has calculated for the same tokens; repeating it is slow."""
    figure = as_float(hidden_params(whole).get("response_cost"))
    if not figure or usage.partly_split:
        return None
    counted = read_usage(get(whole, "usage"))
    same = counted is not None and all(
        getattr(counted, name) == getattr(usage, name) for name in _CHARGED_FIGURES
    )
    return figure if same else None


def custom_prices(request: Request) -> Mapping[str, Any]:
    """Return the prices in the call's arguments or the router's deployment."""
    given: dict[Any, Any] = {**contents(request.metadata.get("model_info")), **request.arguments}
    return {
        name: value
        for name, value in given.items()
        if isinstance(name, str) and ("cost_per_" in name or name.endswith("_cost"))
        if to_float(value) is not None
    }


def prices(request: Request, answer: Answer) -> Mapping[str, Any] | None:
    """Return the price list entry of the model that ran, or None if it has no price.

    LiteLLM's own lookups return 0 for a model without prices, and may call a server.
    """
    custom = custom_prices(request)
    if custom:
        return custom
    table: Any = getattr(sys.modules["litellm"], "model_cost", {})
    provider = request.provider
    for name in _names(request, answer):
        entry = table.get(name)
        if isinstance(entry, Mapping) and any(True for _ in _amounts(entry)):
            owner = entry.get("litellm_provider")
            if not provider or not owner or str(owner).startswith(provider):
                return entry
    return None


def is_free(entry: Mapping[str, Any]) -> bool:
    """Whether the token prices of `entry`, or without them all its prices, are 0."""
    per_token = [to_float(entry.get(name)) for name in _PER_TOKEN]
    if None not in per_token:
        return not any(per_token)
    return not any(_amounts(entry))


def _names(request: Request, answer: Answer) -> Iterator[str]:
    """Yield the names under which LiteLLM looks for a price, in its order."""
    info = request.metadata.get("model_info") or request.arguments.get("model_info")
    deployment = answer.hidden.get("model_id") or get(info, "id")
    if isinstance(deployment, str):
        yield deployment
    models = (
        get(info, "base_model") or request.arguments.get("base_model"),
        answer.fields.get("model"),
        answer.hidden.get("provider_response_model"),
        answer.hidden.get("litellm_model_name"),
        request.model,
    )
    for model in models:
        if model and isinstance(model, str):
            yield f"{request.provider}/{model}"
            yield model


def _amounts(entry: Mapping[str, Any], *, inside: bool = False) -> Iterator[float]:
    """Yield every price in `entry`, including tiers and search contexts."""
    for name, value in entry.items():
        if not inside and "cost" not in name and "pricing" not in name:
            continue
        for one in value if isinstance(value, (list, tuple)) and not inside else (value,):
            if isinstance(one, Mapping) and not inside:
                yield from _amounts(one, inside=True)
            elif (amount := to_float(one)) is not None:
                yield amount


def _result(request: Request, answer: Answer, logging: Any) -> Any:
    """Return the object for LiteLLM to price: the answer, or a minimal one with its usage."""
    litellm: Any = sys.modules["litellm"]
    usage = answer.usage
    raw = answer.raw
    bridged = getattr(logging, "bridged_model_response", None)
    if bridged is not None and usage is not None and usage.source == "provider":
        raw = bridged  # the answer before LiteLLM translated it for `anthropic_messages`
    elif usage is not None and (
        usage.raw is None or usage.raw is not get(raw, "usage") or usage.partly_split
    ):
        raw = None  # from a stream, estimated, or priced in part
    if hasattr(type(raw), "model_copy"):
        return _unpriced(raw)
    result = litellm.ModelResponse(
        model=_model(request, answer), usage=_litellm_usage(litellm, usage)
    )
    # A translated answer has no tier, but LiteLLM has kept it with the cost.
    tier = answer.fields.get("service_tier") or get(
        getattr(logging, "cost_breakdown", None), "service_tier"
    )
    if isinstance(tier, str):
        result.service_tier = tier
    result._hidden_params = {  # noqa: SLF001
        name: value for name in ("model_id",) if (value := answer.hidden.get(name)) is not None
    }
    traffic = get(answer.fields.get("usageMetadata"), "trafficType")  # Google's service tier
    if traffic:
        result._hidden_params["provider_specific_fields"] = {"traffic_type": traffic}  # noqa: SLF001
    return result


def _model(request: Request, answer: Answer) -> str:
    return as_text(answer.fields.get("model")) or request.model


def _unpriced(raw: Any) -> Any:
    """Copy LiteLLM's result `raw` without the cost that it contains."""
    copy = raw.model_copy()
    copy._hidden_params = {  # noqa: SLF001
        name: value
        for name, value in hidden_params(raw).items()
        # For transcriptions, LiteLLM states the provider whose API it used: OpenAI for Groq's.
        if name not in ("response_cost", "additional_headers", "cache_hit", "custom_llm_provider")
    }
    usage = get(raw, "usage")
    if get(usage, "cost") is not None and hasattr(usage, "model_copy"):
        copy.usage = usage.model_copy(update={"cost": None})
    return copy


def _litellm_usage(litellm: Any, usage: Usage | None) -> Any:
    if usage is None:
        return litellm.Usage()
    estimated = usage.source == "estimated"
    split = {
        "ephemeral_5m_input_tokens": usage.cache_creation_5m or 0,
        "ephemeral_1h_input_tokens": usage.cache_creation_1h or 0,
    }
    stated = {name: value for name, value in contents(usage.raw).items() if name != "cost"}
    if usage.excludes_cache:
        if usage.partly_split:
            stated["cache_creation"] = split
        if estimated:
            stated["output_tokens"] = usage.output
        return litellm.AnthropicConfig().calculate_usage(stated, None)
    if "prompt_tokens" not in stated:
        counts = {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_input}
        known = {name: count for name, count in counts.items() if count}
        stated = {"prompt_tokens_details": known or None}
        if usage.cache_creation:
            stated["cache_creation_input_tokens"] = usage.cache_creation
    if usage.partly_split:
        details = contents(stated.get("prompt_tokens_details"))
        stated["prompt_tokens_details"] = {**details, "cache_creation_token_details": split}
    stated["prompt_tokens"] = usage.input or 0
    stated["completion_tokens"] = usage.output or 0
    stated["total_tokens"] = (usage.input or 0) + (usage.output or 0)
    if estimated:
        stated.pop("completion_tokens_details", None)
    return litellm.Usage(**stated)
