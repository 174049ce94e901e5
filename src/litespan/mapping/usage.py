"""Converts token counts from every shape that LiteLLM returns to one `Usage`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from litespan import semconv as s
from litespan.objects import as_cost, as_int, as_list, as_tokens, contents, get


@dataclass(slots=True)  # not frozen, which would slow down every call
class Usage:
    """Token counts of one call; None is unknown.

    Attributes:
        input: tokens sent, cached ones included.
        output: tokens received, reasoning included.
        cache_read, cache_creation: parts of `input`.
        reasoning: part of `output`.
        source: `provider`, `litellm` (counted by LiteLLM) or `estimated`.
        cost: USD, if the provider's usage contains it.
        audio_input, audio_output: parts of `input` and `output`.
        cache_creation_5m, cache_creation_1h: parts of `cache_creation`, by time to live.
        raw: the original usage, with all fields that LiteLLM's pricing may need.
        excludes_cache: whether the input count in `raw` excludes cached tokens, as for Anthropic.
        partly_split: whether `raw` states the time to live of only a part of `cache_creation`.
    """

    input: int | None
    output: int | None
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None
    source: str = "provider"
    cost: float | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    cache_creation_5m: int | None = None
    cache_creation_1h: int | None = None
    raw: Any = None
    excludes_cache: bool = False
    partly_split: bool = False

    @property
    def known(self) -> bool:
        """Whether any count is above zero."""
        return bool(self.input or self.output)


# Field → attribute.
_DETAILS: Final = {
    "cache_read": s.CACHE_READ_TOKENS,
    "cache_creation": s.CACHE_CREATION_TOKENS,
    "reasoning": s.REASONING_TOKENS,
    "audio_input": s.AUDIO_INPUT_TOKENS,
    "audio_output": s.AUDIO_OUTPUT_TOKENS,
    "cache_creation_5m": s.CACHE_CREATION_5M_TOKENS,
    "cache_creation_1h": s.CACHE_CREATION_1H_TOKENS,
}
_details: Final = attrgetter(*_DETAILS)


def read_usage(raw: Any, *, input_excludes_cache: bool = False) -> Usage | None:
    """Convert the `usage` of a response; return None if it has no counts.

    In Anthropic's shape, `input_tokens` excludes cached tokens (`input_excludes_cache`); all other
    shapes include them. If a count is implausible, the result has no counts.
    """
    if raw is None:
        return None
    stated = _with_compaction(contents(raw)) if input_excludes_cache else contents(raw)
    inputs = _count(stated, "prompt_tokens", "input_tokens")
    outputs = _count(stated, "completion_tokens", "output_tokens")
    usage = Usage(inputs, outputs, raw=raw, excludes_cache=input_excludes_cache)
    if "cache_read_input_tokens" in stated:
        usage.cache_read = as_tokens(stated["cache_read_input_tokens"])
    if "cache_creation_input_tokens" in stated:
        usage.cache_creation = as_tokens(stated["cache_creation_input_tokens"])
    sent = (
        stated.get("prompt_tokens_details")
        or stated.get("input_tokens_details")
        or stated.get("input_token_details")  # transcriptions
    )
    kept = stated.get("cache_creation")  # by time to live
    if sent:
        usage.cache_read = as_tokens(get(sent, "cached_tokens")) or usage.cache_read
        created = usage.cache_creation or as_tokens(get(sent, "cache_creation_tokens"))
        usage.cache_creation = created
        usage.audio_input = as_tokens(get(sent, "audio_tokens"))
        kept = kept or get(sent, "cache_creation_token_details")
    if kept:
        usage.cache_creation_5m = as_tokens(get(kept, "ephemeral_5m_input_tokens"))
        usage.cache_creation_1h = as_tokens(get(kept, "ephemeral_1h_input_tokens"))
        _complete_split(usage)
    if input_excludes_cache and inputs is not None:
        usage.input = inputs + (usage.cache_read or 0) + (usage.cache_creation or 0)
    received = (
        stated.get("completion_tokens_details")
        or stated.get("output_tokens_details")
        or stated.get("output_token_details")  # realtime
    )
    if received:
        reasoning = get(received, "reasoning_tokens")
        usage.reasoning = as_tokens(reasoning or get(received, "thinking_tokens"))  # Anthropic
        usage.audio_output = as_tokens(get(received, "audio_tokens"))
    charged = stated.get("cost", stated.get("estimated_cost"))  # the latter is DeepInfra's
    if charged is not None:
        usage.cost = _stated_cost(charged, stated)
    detailed = sent or kept or received or usage.cache_read or usage.cache_creation
    if inputs == -1 or outputs == -1 or (detailed and -1 in _details(usage)):
        return Usage(None, None, cost=usage.cost, raw=raw, excludes_cache=input_excludes_cache)
    return usage if inputs or outputs else None


def _with_compaction(stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add up the parts of an answer of Anthropic, whose total leaves out those of a compaction."""
    parts = as_list(stated.get("iterations"))
    if not parts:
        return stated
    sums = {name: sum([as_int(get(each, name)) or 0 for each in parts]) for name in _SUMMED}
    return {**stated, **sums}


_SUMMED: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


def _complete_split(usage: Usage) -> None:
    """Count the cache writes without a time to live, if others have one.

    With server tools, a stream of Anthropic states the time to live at its start, and more cache
    writes at its end. They count as one hour only if all others do.
    """
    total = usage.cache_creation or 0
    short, long = usage.cache_creation_5m or 0, usage.cache_creation_1h or 0
    if 0 < short + long < total:
        if short:
            usage.cache_creation_5m = total - long
        else:
            usage.cache_creation_1h = total
        usage.partly_split = True


def _stated_cost(charged: Any, stated: Mapping[str, Any]) -> float | None:
    """Return the cost that the provider reports, in USD.

    If the user's own key is used, OpenRouter's cost is its fee, and the upstream provider charges
    `upstream_inference_cost`. Without `is_byok`, a cost below the upstream cost is such a fee.
    """
    cost = as_cost(charged.get("total_cost") if isinstance(charged, Mapping) else charged)
    upstream = get(stated.get("cost_details"), "upstream_inference_cost")
    if upstream is None or cost is None:
        return cost
    behind = as_cost(upstream) or 0.0
    own_key = stated.get("is_byok")
    return cost + behind if own_key is True or (own_key is None and cost < behind) else cost


def _count(stated: Mapping[str, Any], chat: str, other: str) -> int | None:
    """Return a count under either API's name; image edits have both, one of them 0."""
    count = stated.get(chat)
    if type(count) is int and 0 < count <= s.MOST_TOKENS:
        return count
    count = as_tokens(count)
    return count if count or other not in stated else as_tokens(stated[other])


def stated_usages(chunks: Sequence[Any]) -> list[Any]:
    """Return what the chunks state as usage.

    Most of LiteLLM's chunks state none, and are read without a function call.
    """
    found: list[Any] = []
    for chunk in chunks:
        try:
            if "usage" not in chunk.__pydantic_extra__ and "usage" not in chunk.__dict__:
                continue
        except (AttributeError, TypeError):
            pass  # another kind of chunk
        usage = get(chunk, "usage")
        if usage:
            found.append(usage)
    return found


def most(stated: Sequence[Usage]) -> Usage:
    """Merge the usages of one stream, which grow or are partial, by their maximum."""
    if len(stated) == 1:
        return stated[0]
    figures: dict[str, Any] = {
        name: max((n for usage in stated if (n := getattr(usage, name)) is not None), default=None)
        for name in ("input", "output", *_DETAILS)
    }
    raw = _merged([usage.raw for usage in stated if usage.raw is not None])
    excludes_cache = any(usage.excludes_cache for usage in stated)
    usage = Usage(**figures, cost=stated[-1].cost, raw=raw, excludes_cache=excludes_cache)
    usage.partly_split = any(each.partly_split for each in stated)
    _complete_split(usage)
    return usage


def _merged(stated: Sequence[Any], depth: int = 4) -> dict[str, Any]:
    """Merge original usages: the larger of two numbers, the later of other values."""
    merged: dict[str, Any] = {}
    for raw in stated:
        for name, value in contents(raw).items():
            if value is None:
                continue
            before = merged.get(name)
            if isinstance(value, (str, bool, list)):
                merged[name] = value
            elif isinstance(value, (int, float)):
                merged[name] = max(value, before) if isinstance(before, (int, float)) else value
            elif depth:
                merged[name] = _merged([value] if before is None else [before, value], depth - 1)
    return merged


def usage_attributes(usage: Usage, *, embeddings: bool = False) -> dict[str, Any]:
    """Return the token attributes; details only if they are above zero."""
    attributes: dict[str, Any] = {}
    if usage.input is not None:
        attributes[s.INPUT_TOKENS] = usage.input
    if usage.output is not None and not embeddings:
        attributes[s.OUTPUT_TOKENS] = usage.output
    read, created, reasoning = usage.cache_read, usage.cache_creation, usage.reasoning
    audio_in, audio_out = usage.audio_input, usage.audio_output
    short, long = usage.cache_creation_5m, usage.cache_creation_1h
    if read or created or reasoning or audio_in or audio_out or short or long:
        named = zip(_DETAILS.values(), _details(usage), strict=True)
        attributes.update({attribute: tokens for attribute, tokens in named if tokens})
    if attributes:
        attributes[s.USAGE_SOURCE] = usage.source
    return attributes
