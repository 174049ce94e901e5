"""The fast path for chunks of plain text gives the same result as the general one."""

from typing import Any

import litellm
import pytest

from litespan.mapping import assembling, estimate
from litespan.mapping.assembling import Assembled, plain_texts
from litespan.mapping.usage import stated_usages
from litespan.objects import get


def chunk(*deltas: Any, **fields: Any) -> Any:
    """A chunk of LiteLLM with a choice for each delta."""
    choices = [
        {"index": index, "delta": {"role": "assistant", "content": None, **delta}}
        for index, delta in enumerate(deltas)
    ]
    return litellm.ModelResponseStream(model="m", choices=choices, **fields)


CALL = {"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
STREAMS: dict[str, list[Any]] = {
    "plain": [chunk({"content": text}) for text in ("Hello", "", " é\ud800", "!")],
    "empty": [chunk({}), chunk({"content": None})],
    "choices": [chunk({"content": "a"}, {"content": "b"}), chunk({"content": "c"})],
    "calls": [chunk({"content": "I call"}), chunk({"tool_calls": [CALL]})],
    "thoughts": [chunk({"reasoning_content": "hm"}), chunk({"content": "so"})],
    "refusal": [chunk({"content": "no", "refusal": "I cannot"})],
    "extra": [chunk({"content": "x", "provider_specific_fields": {"tool_results": [1]}})],
    "none": [litellm.ModelResponseStream(model="m", choices=[])],
    "dicts": [{"choices": [{"index": 0, "delta": {"content": "a dict"}}]}],
    "text": [{"choices": [{"text": "old"}]}, {"choices": None}, object()],
    "usage": [
        chunk({"content": "a"}, usage=litellm.Usage(prompt_tokens=1, completion_tokens=2)),
        {"choices": [], "usage": {"prompt_tokens": 3}},
        chunk({"content": "b"}),
    ],
}
MIXED = [each for stream in STREAMS.values() for each in stream]


@pytest.mark.parametrize("chunks", [*STREAMS.values(), MIXED], ids=[*STREAMS, "mixed"])
def test_the_fast_path_assembles_plain_chunks_like_the_general_one(
    chunks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same messages, number of characters and figures."""

    def seen() -> Any:
        return Assembled(chunks, {0: "stop"}, None).choices, estimate._received_characters(chunks)

    short = seen()
    with monkeypatch.context() as patch:
        for module in (assembling, estimate):
            patch.setattr(module, "plain_texts", list)
        assert short == seen()
    assert stated_usages(chunks) == [usage for each in chunks if (usage := get(each, "usage"))]


def test_plain_chunks_take_the_fast_path() -> None:
    """With the chunks of the installed LiteLLM."""
    assert plain_texts(STREAMS["plain"]) == [(0, t) for t in ("Hello", "", " é\ud800", "!")]
