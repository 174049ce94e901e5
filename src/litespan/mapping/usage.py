"""Token counts in every shape that LiteLLM returns → one `Usage`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litespan import semconv as s
from litespan.objects import as_float, as_int, contents, get

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
    """

    input: int | None
    output: int | None
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None
    source: str = "provider"
    cost: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is any figure above zero."""
        return bool(self.input or self.output)


def read_usage(raw: Any, *, input_excludes_cache: bool = False) -> Usage | None:
    """The `usage` of a response, or None if it states no figure.

    Anthropic's own shape counts cached tokens apart from `input_tokens`
    (`input_excludes_cache`); every other shape includes them.
    """
    if raw is None:
        return None
    stated = contents(raw)
    inputs = _count(stated, "prompt_tokens", "input_tokens")
    outputs = _count(stated, "completion_tokens", "output_tokens")
    read = created = reasoning = cost = None
    if "cache_read_input_tokens" in stated:
        read = as_int(stated["cache_read_input_tokens"])
    if "cache_creation_input_tokens" in stated:
        created = as_int(stated["cache_creation_input_tokens"])
    sent = stated.get("prompt_tokens_details") or stated.get("input_tokens_details")
    if sent:
        read = as_int(get(sent, "cached_tokens")) or read
        created = created or as_int(get(sent, "cache_creation_tokens"))
    if input_excludes_cache and inputs is not None:
        inputs += (read or 0) + (created or 0)
    if not inputs and not outputs:
        return None
    received = stated.get("completion_tokens_details") or stated.get("output_tokens_details")
    if received:
        reasoning = as_int(get(received, "reasoning_tokens"))
    charged = stated.get("cost")
    if charged is not None:
        cost = as_float(charged.get("total_cost") if isinstance(charged, Mapping) else charged)
    return Usage(inputs, outputs, read, created, reasoning, "provider", cost)


def _count(stated: Mapping[str, Any], chat: str, other: str) -> int | None:
    """A count under either API's name. LiteLLM states an image edit's under both, once as 0."""
    count = as_int(stated.get(chat))
    return count if count or other not in stated else as_int(stated[other])


def most(stated: Sequence[Usage]) -> Usage:
    """One usage of several that one stream stated: figures grow, or come in parts."""
    if len(stated) == 1:
        return stated[0]
    figures: dict[str, Any] = {
        name: max((n for usage in stated if (n := getattr(usage, name)) is not None), default=None)
        for name in ("input", "output", "cache_read", "cache_creation", "reasoning")
    }
    return Usage(**figures, cost=stated[-1].cost)


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
    if usage.cache_read:
        attributes[s.CACHE_READ_TOKENS] = usage.cache_read
    if usage.cache_creation:
        attributes[s.CACHE_CREATION_TOKENS] = usage.cache_creation
    if usage.reasoning:
        attributes[s.REASONING_TOKENS] = usage.reasoning
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
