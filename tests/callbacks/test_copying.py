"""Copies for handlers: shared containers are copied once, and the work is bounded."""

import json
from typing import Any

import litellm

import litespan
from litespan.callbacks.copying import copied, copied_arguments, jsonable, keywords
from tests.callbacks.conftest import Keeper
from tests.support.calls import Traced


def shared(levels: int) -> dict[str, Any]:
    """A tree of nested dicts, each of which stands twice in its parent."""
    tree: dict[str, Any] = {"api_key": "k-0123456789", "note": "leaf"}
    for _ in range(levels):
        tree = {"left": tree, "right": tree}
    return tree


def containers(value: Any) -> int:
    """How many dicts and lists there are, each counted once."""
    seen: dict[int, Any] = {}
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, (dict, list)) and id(found) not in seen:
            seen[id(found)] = found
            stack += found.values() if isinstance(found, dict) else found
    return len(seen)


def test_shared_branches_are_copied_once() -> None:
    """The work grows with the number of containers, not with the number of references to them."""
    tree = shared(24)
    copy = copied(tree)
    assert copy == tree
    assert copy is not tree
    assert copy["left"] is copy["right"]
    assert containers(copy) == 25


def test_cycles_are_copied_as_cycles() -> None:
    """A container that contains itself has a copy that contains itself."""
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    copy = copied(value)
    assert copy is not value
    assert copy["list"][0] is copy


def arguments() -> dict[str, Any]:
    """Arguments of all shapes: flat, nested, empty."""
    part = {"type": "text", "text": "Hi"}
    return {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}],
        "parts": [{"role": "user", "content": [part, part]}, {"role": "user", "content": "Hi"}],
        "tools": ({"function": {"parameters": {"required": ["a"]}}},),
        "metadata": {"feature": "search"},
        "nested": {"tags": ["a"], "of": {"a": {1}}},
        "input": ["a", "b"],
        "tokens": [[1, 2], [3]],
        "stop": [],
        "seed": 7,
    }


def test_arguments_are_copied_at_every_depth() -> None:
    """Whatever the caller changes in its own dicts and lists, the copies stay as they were."""
    given = arguments()
    copies = copied_arguments(given)
    stack: list[Any] = [given[name] for name in copies]
    for value in stack:  # spoils all of it, innermost last
        if isinstance(value, dict):
            stack += value.values()
            value["spoilt"] = True
        elif isinstance(value, list):
            stack += value
            value.append("spoilt")
        elif isinstance(value, tuple):
            stack += value
        elif isinstance(value, set):
            value.add("spoilt")
    assert {**given, **copies} == arguments()
    assert given["metadata"]["spoilt"]
    assert not {"model", "seed"} & copies.keys()


def test_keywords_lose_credentials_in_every_branch() -> None:
    """Credentials are removed everywhere except in the application's own text."""
    kept = keywords({"metadata": shared(24), "messages": [{"content": shared(24)}]})
    assert containers(kept["metadata"]) == 25
    assert "k-0123456789" not in repr(keywords({"metadata": shared(4)}))
    assert "k-0123456789" in repr(keywords({"messages": shared(4)}))


def test_values_beyond_the_copying_limits_are_left_out() -> None:
    """Values beyond the depth and size limits are left out, not passed on unchecked."""
    deep = shared(0)
    for _ in range(100):
        deep = {"inner": deep}
    many = [[shared(0)] for _ in range(30_000)]
    kept = repr(keywords({"metadata": deep, "extra": many}))
    assert "k-0123456789" not in kept


def test_values_for_json_are_bounded() -> None:
    """JSON repeats shared branches, so each reference counts."""
    tree = shared(60)
    tree["itself"] = tree
    assert len(json.dumps(jsonable({"tree": tree, "numbers": list(range(10**6))}))) < 10**6


def test_a_handler_costs_no_more_for_shared_metadata(traced: Traced, keeper: Keeper) -> None:
    """The caller gets its answer, and the handler its call."""
    tree = shared(60)
    tree["itself"] = tree
    assert litellm.completion(**traced.chat(metadata={"tree": tree, "feature": "search"})).choices
    assert litespan.flush(30)
    delivery = {each.method: each for each in keeper.deliveries}
    assert delivery["success"].kwargs["litellm_params"]["metadata"]["feature"] == "search"
