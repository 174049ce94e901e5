"""Copies of spans without content have none, also where it cannot be read."""

from typing import Any

import pytest

from litespan.export import GenAISpan
from litespan.genai.copying import has_content, stripped
from tests.cases import CHAT, span

DEEP = "[" * 2000 + '"secret"' + "]" * 2000
TEMPLATE = "llm.prompt_template.variables"


@pytest.mark.parametrize("scope", ["litespan", "somebody.else"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "secr'},
        {"gen_ai.output.messages": "secret"},
        {
            "gen_ai.input.messages": '[{"role": "tool", "parts": '
            f'[{{"type": "tool_call_response", "id": "a", "response": {DEEP}}}]}}]'
        },
    ],
    ids=["truncated", "no JSON", "deep"],
)
def test_unusual_content_is_removed(scope: str, attributes: dict[str, Any]) -> None:
    """JSON that an attribute limit has truncated, and values beyond Python's stack."""
    finished = span(5, "chat", {**CHAT, **attributes}, scope=scope)
    view = GenAISpan.read(finished)
    assert view is not None
    assert has_content(view)
    copy = stripped(finished, view)
    assert "secr" not in copy.to_json()
    assert (copy.attributes or {})["gen_ai.request.model"] == "gpt-4o-mini"


def test_values_of_a_prompt_template_are_content() -> None:
    """OpenInference records them besides the messages."""
    finished = span(5, "chat", {**CHAT, TEMPLATE: '{"name": "Ann"}'}, scope="openinference")
    view = GenAISpan.read(finished)
    assert view is not None
    assert has_content(view)
    assert TEMPLATE not in (stripped(finished, view).attributes or {})


@pytest.mark.parametrize("scope", ["litespan", "somebody.else"])
def test_a_span_without_content_has_none(scope: str) -> None:
    """Its attributes have models and numbers only."""
    view = GenAISpan.read(span(5, "chat", CHAT, scope=scope))
    assert view is not None
    assert not has_content(view)
