"""Strategies: values of any type, under the names that litespan reads."""

import ast
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import litellm
from hypothesis import strategies as st

import litespan

TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Lo"]), max_size=5),
    st.sampled_from(
        [
            *("", "\x00", "half \ud83d", "NaN", "[]", "{}", '{"a":', "[" * 2000, "²", "9" * 5000),
            *("data:image/png;base64,AAAA", "https://u:p@example.com/a?key=1", "http://[::1", "=1"),
            *("a b" * 500, "QUJD" * 100, "true", "None", "-1", "1e999", "\u202e", "a\r\nB: c"),
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**30, math.inf, -math.inf, math.nan]),
    st.sampled_from([1e300, 1e-320, 0.1, True, False]),
    st.just(5000).map(lambda digits: 10**digits),  # more than Python formats
)
SCALARS = st.one_of(st.none(), TEXTS, NUMBERS, st.binary(max_size=8))
SOURCE = Path(litespan.__file__).parent
WORDS = sorted(
    {
        node.value
        for folder in ("mapping", "genai")
        for path in (SOURCE / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"[\w.-]{1,40}", node.value) and not node.value.startswith("__")
    }
)
NAMES = st.sampled_from(WORDS)
"""Every word that the readers know: fields, types, roles, reasons, attributes."""


def mappings(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Dicts and objects with the names that readers look for, and others."""
    some = st.dictionaries(st.one_of(NAMES, TEXTS), values, max_size=5)
    typed = st.builds(lambda rest, kind: {**rest, "type": kind}, some, NAMES)
    named = st.dictionaries(NAMES, values, max_size=5).map(lambda held: SimpleNamespace(**held))
    return st.one_of(some, typed, named)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        mappings(inner), st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)
"""Anything."""


def lists_of(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly lists of these, sometimes anything."""
    return st.one_of(st.lists(st.one_of(*strategies), max_size=4), VALUES)


ROLES = st.one_of(st.sampled_from(["user", "assistant", "system", "tool"]), SCALARS)
PARTS = lists_of(mappings(VALUES), TEXTS)
TOOL_CALLS = lists_of(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"name": SCALARS, "arguments": VALUES})},
        optional={"id": SCALARS, "index": SCALARS, "type": NAMES},
    )
)
MESSAGES = st.fixed_dictionaries(
    {"role": ROLES, "content": st.one_of(TEXTS, PARTS)},
    optional={"tool_calls": TOOL_CALLS, "name": SCALARS, "tool_call_id": SCALARS},
)
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "messages": lists_of(MESSAGES),
    "tools": lists_of(mappings(VALUES)),
    "metadata": st.one_of(st.dictionaries(TEXTS, VALUES, max_size=4), VALUES),
    "stop": VALUES,
    "temperature": VALUES,
    "max_tokens": VALUES,
    "n": VALUES,
    "seed": VALUES,
    "user": VALUES,
    "response_format": VALUES,
    "reasoning": VALUES,
    "reasoning_effort": VALUES,
    "prompt_version": VALUES,
    "service_tier": VALUES,
    "api_base": VALUES,
    "custom_llm_provider": VALUES,
    "extra_headers": VALUES,
    "litellm_call_id": VALUES,
    "mock_response": SCALARS,
    "input": VALUES,
    "instructions": VALUES,
    "no-log": st.sampled_from([None, 0, "x"]),
    "input_cost_per_token": VALUES,
    "output_cost_per_token": VALUES,
    "base_model": VALUES,
}
USAGES = st.one_of(
    st.dictionaries(NAMES, st.one_of(NUMBERS, VALUES), max_size=6),
    st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 2**40), "completion_tokens": SCALARS},
        optional={"prompt_tokens_details": VALUES, "cost": VALUES, "cost_details": VALUES},
    ),
    VALUES,
)


def one_choice(name: str) -> st.SearchStrategy[Any]:
    """A choice of an answer (`message`) or of a chunk (`delta`)."""
    return st.fixed_dictionaries(
        {name: st.one_of(MESSAGES, VALUES)},
        optional={"finish_reason": SCALARS, "index": SCALARS, "text": SCALARS},
    )


def answers(name: str) -> st.SearchStrategy[Any]:
    """What a provider may answer: in OpenAI's shape, or in any."""
    shaped = st.fixed_dictionaries(
        {"choices": lists_of(one_choice(name)), "usage": USAGES},
        optional={"id": SCALARS, "model": SCALARS, "service_tier": VALUES, "error": VALUES},
    )
    return st.one_of(shaped, shaped.map(as_litellms), mappings(VALUES), VALUES)


def as_litellms(fields: dict[str, Any]) -> Any:
    """A `ModelResponse` that holds them unchecked, as a custom provider can make one."""
    response = litellm.ModelResponse()
    response.__dict__.update({k: v for k, v in fields.items() if k in ("id", "model", "choices")})
    assert response.__pydantic_extra__ is not None
    response.__pydantic_extra__["usage"] = fields["usage"]
    return response
