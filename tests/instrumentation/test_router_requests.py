"""Router methods other than chats: one call span below one router span."""

from typing import Any

import litellm
import pytest

from tests.support.calls import KEY, Traced, call, read

pytestmark = pytest.mark.recent_litellm

CONTENTS = [{"role": "user", "parts": [{"text": "Say hello"}]}]
GENERATED = "generate_content gemini-2.5-flash"
CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "generate_content": ({"model": "gemini", "contents": CONTENTS}, GENERATED),
    "agenerate_content": ({"model": "gemini", "contents": CONTENTS}, GENERATED),
    "generate_content_stream": ({"model": "gemini", "contents": CONTENTS}, GENERATED),
    "agenerate_content_stream": ({"model": "gemini", "contents": CONTENTS}, GENERATED),
    "acreate_interaction": ({"model": "gemini", "input": "Say hello"}, GENERATED),
    "aocr": (
        {"model": "ocr", "document": {"type": "document_url", "document_url": "https://x.com/a"}},
        "litellm.ocr mistral-ocr-latest",
    ),
    "asearch": ({"query": "What is a span?", "search_tool_name": "web"}, "litellm.search"),
    "video_generation": (
        {"model": "video", "prompt": "a cat", "seconds": "4"},
        "generate_content sora-2",
    ),
    "avideo_generation": (
        {"model": "video", "prompt": "a cat", "seconds": "4"},
        "generate_content sora-2",
    ),
    "acompact_responses": ({"model": "chat", "input": "Say hello"}, "chat gpt-4o-mini"),
    "acreate_file": (
        {"model": "chat", "file": ("a.jsonl", b"{}"), "purpose": "batch"},
        "litellm.create_file gpt-4o-mini",
    ),
}


def router(traced: Traced) -> litellm.Router:
    """A router with a deployment for each kind of call."""
    url, root = traced.provider.url, traced.provider.root
    models = {
        "gemini": ("gemini/gemini-2.5-flash", root),
        "ocr": ("mistral/mistral-ocr-latest", url),
        "video": ("openai/sora-2", url),
        "chat": ("openai/gpt-4o-mini", url),
    }
    search = {"search_provider": "perplexity", "api_key": KEY, "api_base": f"{url}/search"}
    return litellm.Router(
        model_list=[
            {
                "model_name": name,
                "litellm_params": {"model": model, "api_base": base, "api_key": KEY},
            }
            for name, (model, base) in models.items()
        ],
        search_tools=[{"search_tool_name": "web", "litellm_params": search}],
        num_retries=0,
    )


@pytest.mark.parametrize("method", CALLS)
async def test_a_method_has_a_call_below_its_router_span(method: str, traced: Traced) -> None:
    """The router span has no tokens and no cost; the call below it has them."""
    given, name = CALLS[method]
    result = await call(getattr(router(traced), method), **given)
    if method.endswith("_stream"):
        await read(result)
    above, below = traced.spans
    assert above["name"].split()[0] == "litellm.router"
    assert (below["name"], below["parent"]) == (name, above["span_id"])
    assert "gen_ai.usage.cost" not in above["attributes"]
    assert below["attributes"]["litellm.attempt"] == 1
    charged = below["attributes"].get("gen_ai.usage.cost", 0.0)
    assert (charged > 0) == ("create_file" not in method)


async def test_requests_of_a_router_created_before_instrumentation_are_traced(
    traced: Traced,
) -> None:
    """It holds LiteLLM's original functions; the steps below them are traced instead."""
    import litespan

    instrumentor = litespan.LiteLLMInstrumentor()
    instrumentor.uninstrument()
    old = router(traced)
    instrumentor.instrument(**traced.telemetry.providers)
    await old.asearch(query="What is a span?", search_tool_name="web")
    above, below = traced.spans
    assert below["parent"] == above["span_id"]
    assert below["attributes"]["gen_ai.usage.cost"] == pytest.approx(0.005)
