"""Renames attributes of other instrumentations by the tables in `conventions`."""

from collections.abc import Iterator, Sequence
from itertools import count, takewhile

from opentelemetry.sdk.trace import Event

from litespan import semconv as s
from litespan.genai import conventions as c
from litespan.genai import frameworks
from litespan.genai.values import Attributes, amount, number, parse, string


def is_genai(attributes: Attributes) -> bool:
    """Whether any convention marks these attributes as those of a GenAI span."""
    return (
        string(attributes, s.OPERATION) is not None
        or string(attributes, c.OLD_PROVIDER) is not None
        or any(string(attributes, kind) in c.OPERATIONS for kind in c.KINDS)
    )


def rename(attributes: Attributes, events: Sequence[Event], start_ns: int) -> Attributes:
    """The attributes, with their values and those of the events added under litespan's names."""
    named = dict(attributes)
    for theirs, ours in c.RENAMES:
        if theirs in attributes and ours not in named:
            named[ours] = attributes[theirs]
    for name, value in _invocation(attributes):
        named.setdefault(name, value)
    if (provider := string(named, s.PROVIDER)) is not None:
        named[s.PROVIDER] = _provider(provider.lower())
    if (streamed := string(named, s.REQUEST_STREAM)) is not None:
        named[s.REQUEST_STREAM] = streamed.lower() == "true"  # from LiteLLM's own integration
    model = string(attributes, c.MODEL)
    if model is not None and named.setdefault(s.REQUEST_MODEL, model) != model:
        named.setdefault(s.RESPONSE_MODEL, model)
    has_model = s.REQUEST_MODEL in named or s.RESPONSE_MODEL in named
    counted = has_model or any(name in named for name in (s.INPUT_TOKENS, s.OUTPUT_TOKENS, s.COST))
    operation = string(named, s.OPERATION) or ("chat" if counted else "")
    operation = named[s.OPERATION] = c.OPERATIONS.get(operation, operation)
    if reasons := _finish_reasons(attributes):
        named.setdefault(s.RESPONSE_FINISH_REASONS, reasons)
    if (wait := _first_chunk(attributes, events, start_ns)) is not None:
        named[s.TIME_TO_FIRST_CHUNK] = wait
    _include(named, s.INPUT_TOKENS, s.CACHE_READ_TOKENS, s.CACHE_CREATION_TOKENS)
    _include(named, s.OUTPUT_TOKENS, s.REASONING_TOKENS)
    named |= _metadata(attributes)
    if c.is_call(operation, named=has_model):
        return named
    return {name: value for name, value in named.items() if not name.startswith(c.TOTALS)}


def _first_chunk(attributes: Attributes, events: Sequence[Event], start_ns: int) -> float | None:
    """Seconds to the first chunk, from an event or from an attribute in milliseconds."""
    if s.TIME_TO_FIRST_CHUNK in attributes:
        return None
    for event in events:
        if event.name in c.FIRST_CHUNK_EVENTS:
            return (event.timestamp - start_ns) / 1e9
    strands = frameworks.STRANDS in (attributes.get(s.PROVIDER), attributes.get(c.OLD_PROVIDER))
    name = frameworks.FIRST_TOKEN if strands else frameworks.MILLISECONDS
    wait = number(attributes, name)
    return None if wait is None else wait / 1000


def _provider(name: str) -> str:
    for suffix in frameworks.SUFFIXES:
        name = name.removesuffix(suffix)
    return c.PROVIDERS.get(name, name)


def _include(named: dict[str, object], whole: str, *parts: str) -> None:
    """Add the parts to `whole` if it is less than their sum, so that it cannot include them.

    Some instrumentations exclude cached tokens of Anthropic, or reasoning tokens of Gemini.
    """
    tokens, inner = amount(named, whole), sum(amount(named, part) or 0 for part in parts)
    if tokens is not None and inner > tokens:
        named[whole] = tokens + inner


def _invocation(attributes: Attributes) -> Iterator[tuple[str, object]]:
    for key in c.INVOCATION_KEYS:
        given = parse(attributes[key]) if key in attributes else None
        for theirs, value in given.items() if isinstance(given, dict) else ():
            if theirs in c.INVOCATION:
                yield c.INVOCATION[theirs], value


def _finish_reasons(attributes: Attributes) -> tuple[object, ...]:
    names = map(c.FINISH_REASON.format, count())
    return tuple([attributes[name] for name in takewhile(attributes.__contains__, names)])


def _metadata(attributes: Attributes) -> dict[str, object]:
    found: dict[str, object] = {
        s.METADATA_PREFIX + key[len(prefix) :]: value
        for prefix in c.METADATA_PROPERTIES
        for key, value in attributes.items()
        if key.startswith(prefix)
    }
    given = parse(attributes[c.METADATA_JSON]) if c.METADATA_JSON in attributes else None
    if isinstance(given, dict):
        found |= {s.METADATA_PREFIX + key: value for key, value in given.items()}
    return found
