"""The response that handlers receive where only a span is known, built from its attributes."""

from typing import Any

from litespan.genai import openai
from litespan.genai.span import GenAISpan


class Fields(dict[str, Any]):
    """A dict whose items are attributes, too, as in LiteLLM's own objects."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def json(self) -> dict[str, Any]:
        """The same as plain dicts and lists."""
        return {name: _plain(value) for name, value in self.items()}

    model_dump = json


def response_of(span: GenAISpan) -> Fields:
    """A chat completion in OpenAI's format.

    It supports `.model`, `["choices"][0]["message"]["content"]`, `.usage.get(…)` and `.json()`.
    Content and tokens are there if the span has them; there is always at least one choice.
    """
    usage = span.usage
    counts = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    messages: list[Any] = openai.received(span) or [{"role": "assistant", "content": None}]
    response: Fields = _fields(
        {
            "id": span.response.id,
            "model": span.model,
            "object": "chat.completion",
            "created": span.start_ns // 10**9,
            "choices": [
                {
                    "index": index,
                    "finish_reason": openai.finish_reason(span, index),
                    "message": message,
                }
                for index, message in enumerate(messages)
            ],
            "usage": {name: number for name, number in counts.items() if number is not None},
        }
    )
    return response


def _fields(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields({name: _fields(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return [_fields(inner) for inner in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return value.json()
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
