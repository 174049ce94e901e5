"""Token counts in every shape that LiteLLM returns → one `Usage`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litespan import semconv as s
from litespan.objects import as_cost, as_tokens, contents, get

CHARACTERS_PER_TOKEN: Final = 4


@dataclass(slots=True)  # not frozen: one is made in every call, and that would be slow
class Usage:
    """Tokens of one call; None is unknown, never a guess in disguise.

    Attributes:
        input: tokens sent, cached ones included.
        output: tokens received, reasoning included.
        cache_read, cache_creation: parts of `input`.
        reasoning: part of `output`.
        source: `provider`, `litellm` (counted by LiteLLM) or `estimated`.
        cost: USD, where the provider states it with the usage.
        audio_input, audio_output: parts of `input` and `output`.
        cache_creation_5m, cache_creation_1h: parts of `cache_creation`, by how long it is kept.
        raw: the usage as it came, with all that LiteLLM's price list may ask for.
        excludes_cache: whether `raw` counts cached tokens apart, as Anthropic does.
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

    @property
    def known(self) -> bool:
        """Whether there is any figure above zero."""
        return bool(self.input or self.output)


_DETAILS: Final = (
    "cache_read",
    "cache_creation",
    "reasoning",
    "audio_input",
    "audio_output",
    "cache_creation_5m",
    "cache_creation_1h",
)


def read_usage(raw: Any, *, input_excludes_cache: bool = False) -> Usage | None:
    """The `usage` of a response, or None if it states no figure.

    Anthropic's own shape counts cached tokens apart from `input_tokens`
    (`input_excludes_cache`); every other shape includes them. A usage with a figure that no
    call can have becomes one without figures.
    """
    if raw is None:
        return None
    stated = contents(raw)
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
        or stated.get("input_token_details")  # of transcripts
    )
    kept = stated.get("cache_creation")  # for how long
    if sent:
        usage.cache_read = as_tokens(get(sent, "cached_tokens")) or usage.cache_read
        created = usage.cache_creation or as_tokens(get(sent, "cache_creation_tokens"))
        usage.cache_creation = created
        usage.audio_input = as_tokens(get(sent, "audio_tokens"))
        kept = kept or get(sent, "cache_creation_token_details")
    if kept:
        usage.cache_creation_5m = as_tokens(get(kept, "ephemeral_5m_input_tokens"))
        usage.cache_creation_1h = as_tokens(get(kept, "ephemeral_1h_input_tokens"))
    if input_excludes_cache and inputs is not None:
        usage.input = inputs + (usage.cache_read or 0) + (usage.cache_creation or 0)
    received = stated.get("completion_tokens_details") or stated.get("output_tokens_details")
    if received:
        usage.reasoning = as_tokens(get(received, "reasoning_tokens"))
        usage.audio_output = as_tokens(get(received, "audio_tokens"))
    charged = stated.get("cost")
    if charged is not None:
        usage.cost = _stated_cost(charged, stated)
    if -1 in (
        inputs,
        outputs,
        usage.cache_read,
        usage.cache_creation,
        usage.reasoning,
        usage.audio_input,
        usage.audio_output,
        usage.cache_creation_5m,
        usage.cache_creation_1h,
    ):
        return Usage(None, None, cost=usage.cost, raw=raw, excludes_cache=input_excludes_cache)
    return usage if inputs or outputs else None


def _stated_cost(charged: Any, stated: Mapping[str, Any]) -> float | None:
    """What the provider says the call cost, in USD.

    OpenRouter charges a fee where the user's own key is used, and the provider behind it the
    rest: `upstream_inference_cost`. Where it says nothing of the key, a fee is less than that.
    """
    cost = as_cost(charged.get("total_cost") if isinstance(charged, Mapping) else charged)
    upstream = get(stated.get("cost_details"), "upstream_inference_cost")
    if upstream is None or cost is None:
        return cost
    behind = as_cost(upstream) or 0.0
    own_key = stated.get("is_byok")
    return cost + behind if own_key is True or (own_key is None and cost < behind) else cost


def _count(stated: Mapping[str, Any], chat: str, other: str) -> int | None:
    """A count under either API's name. LiteLLM states an image edit's under both, once as 0."""
    count = as_tokens(stated.get(chat))
    return count if count or other not in stated else as_tokens(stated[other])


def most(stated: Sequence[Usage]) -> Usage:
    """One usage of several that one stream stated: figures grow, or come in parts."""
    if len(stated) == 1:
        return stated[0]
    figures: dict[str, Any] = {
        name: max((n for usage in stated if (n := getattr(usage, name)) is not None), default=None)
        for name in ("input", "output", *_DETAILS)
    }
    raw = _merged([usage.raw for usage in stated if usage.raw is not None])
    excludes_cache = any(usage.excludes_cache for usage in stated)
    return Usage(**figures, cost=stated[-1].cost, raw=raw, excludes_cache=excludes_cache)


def _merged(stated: Sequence[Any], depth: int = 4) -> dict[str, Any]:
    """The same of usages as they came: the larger of two numbers, the later of other values."""
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


def estimated_usage(sent: int, received: int) -> Usage:
    """A guess from the number of characters sent and received."""
    return Usage(
        input=-(-sent // CHARACTERS_PER_TOKEN) or None,
        output=-(-received // CHARACTERS_PER_TOKEN),
        source="estimated",
    )


def usage_attributes(usage: Usage, *, embeddings: bool = False) -> dict[str, Any]:
    """The token attributes; details only where they are above zero."""
    attributes: dict[str, Any] = {}
    if usage.input is not None:
        attributes[s.INPUT_TOKENS] = usage.input
    if usage.output is not None and not embeddings:
        attributes[s.OUTPUT_TOKENS] = usage.output
    for attribute, tokens in (
        (s.CACHE_READ_TOKENS, usage.cache_read),
        (s.CACHE_CREATION_TOKENS, usage.cache_creation),
        (s.REASONING_TOKENS, usage.reasoning),
        (s.AUDIO_INPUT_TOKENS, usage.audio_input),
        (s.AUDIO_OUTPUT_TOKENS, usage.audio_output),
        (s.CACHE_CREATION_5M_TOKENS, usage.cache_creation_5m),
        (s.CACHE_CREATION_1H_TOKENS, usage.cache_creation_1h),
    ):
        if tokens:
            attributes[attribute] = tokens  # noqa: PERF403 - a comprehension is one call more
    if attributes:
        attributes[s.USAGE_SOURCE] = usage.source
    return attributes


def characters(values: Iterable[Any]) -> int:
    """How many characters of text stand in `values`: strings, messages or their parts.

    Lengths only: the work grows with the number of messages, not with their text.
    """
    total = 0
    for value in values:
        if isinstance(value, str):
            total += len(value)
        elif value is not None:
            content = get(value, "content") or get(value, "text")
            if isinstance(content, str):
                total += len(content)
            elif isinstance(content, (list, tuple)):
                total += characters(content)
    return total
