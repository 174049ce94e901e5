"""Requests other than chats, embeddings and media: one span each, with LiteLLM's cost or none."""

import sys
from dataclasses import dataclass, field
from typing import Any

import litellm
import pytest
from litellm.types.utils import CallTypes

from litespan.mapping.chunks import read_stream
from litespan.mapping.estimate import with_estimate
from litespan.mapping.request import Request
from litespan.mapping.targets import TARGETS, Target
from litespan.testing import LoopbackProvider
from tests.support.calls import KEY, Traced, call, read

pytestmark = pytest.mark.recent_litellm

OPENAI = {"custom_llm_provider": "openai"}
ANTHROPIC = {"custom_llm_provider": "anthropic"}
CONTENTS = [{"role": "user", "parts": [{"text": "Say hello"}]}]
GEMINI = "gemini/gemini-2.5-flash"
DOCUMENT = {"type": "document_url", "document_url": "https://example.com/a.pdf"}


@dataclass(frozen=True)
class Row:
    """One function, and what its span says beside its operation."""

    call_type: str
    given: dict[str, Any]
    said: dict[str, Any] = field(default_factory=dict)
    base: str = "{url}"
    name: str = ""
    functions: tuple[str, ...] = ()


USAGE = {
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 10,
    "litellm.usage.source": "provider",
}
GOOGLE = {
    "gen_ai.provider.name": "gcp.gemini",
    "gen_ai.request.model": "gemini-2.5-flash",
    "gen_ai.response.model": "gemini-2.5-flash",
    **USAGE,
}
CONTENT = {
    **GOOGLE,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 64,
    "gen_ai.response.id": "gemini-loopback",
    "gen_ai.response.finish_reasons": ["STOP"],
}
CONFIGURED = {
    "model": GEMINI,
    "contents": CONTENTS,
    "config": {"temperature": 0.5, "maxOutputTokens": 64},
}
INTERACTION = {
    **GOOGLE,
    "gen_ai.response.id": "interaction_loopback",
    "gen_ai.response.finish_reasons": ["completed"],
    "litellm.result.status": "completed",
}
STREAMED = {"gen_ai.request.stream": True, "litellm.stream.end": "complete"}
VIDEO = {
    "gen_ai.provider.name": "openai",
    "gen_ai.output.type": "video",
    "gen_ai.response.model": "sora-2",
    "litellm.video.seconds": 4.0,
    "litellm.result.status": "queued",
}
ASKED = {"model": GEMINI, "input": "Say hello"}
PRICED = [
    Row("generate_content", CONFIGURED, CONTENT, "{root}", "generate_content gemini-2.5-flash"),
    Row(
        "generate_content_stream",
        CONFIGURED,
        {**CONTENT, **STREAMED},
        "{root}",
        "generate_content gemini-2.5-flash",
    ),
    Row("create_interaction", ASKED, INTERACTION, "{root}", "generate_content gemini-2.5-flash"),
    Row(
        "create_interaction",
        {**ASKED, "stream": True},
        {**INTERACTION, **STREAMED},
        "{root}",
        "generate_content gemini-2.5-flash",
    ),
    Row(
        "ocr",
        {"model": "mistral/mistral-ocr-latest", "document": DOCUMENT},
        {
            "gen_ai.provider.name": "mistral_ai",
            "gen_ai.request.model": "mistral-ocr-latest",
            "gen_ai.response.model": "mistral-ocr-latest",
            "gen_ai.output.type": "text",
            "litellm.ocr.pages": 3,
        },
        name="litellm.ocr mistral-ocr-latest",
    ),
    Row(
        "search",
        {"query": "What is OpenTelemetry?", "search_provider": "perplexity"},
        {
            "gen_ai.provider.name": "perplexity",
            "litellm.search.queries": 1,
            "litellm.result.count": 2,
        },
        "{url}/search",
        "litellm.search",
    ),
    Row(
        "video_generation",
        {"model": "openai/sora-2", "prompt": "a cat", "seconds": "4"},
        {**VIDEO, "gen_ai.request.model": "sora-2"},
        name="generate_content sora-2",
    ),
    Row("video_remix", {"video_id": "video_1", "prompt": "a cat"}, VIDEO, name="generate_content"),
    Row(
        "compact_responses",
        {"model": "openai/gpt-4o-mini", "input": "Say hello"},
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.finish_reasons": ["completed"],
            "openai.response.service_tier": "default",
            **USAGE,
        },
        name="chat gpt-4o-mini",
    ),
    Row(
        "systemone",
        {
            "model": "typesafe/jev-latest",
            "state": "Buy now!",
            "questions": {"spam": {"type": "noul", "instructions": "Is it spam?"}},
        },
        {
            "gen_ai.provider.name": "typesafe",
            "gen_ai.request.model": "jev-latest",
            "gen_ai.response.model": "jev-latest",
            **USAGE,
        },
        name="litellm.decisions jev-latest",
    ),
    Row(
        "create_container",
        {"name": "box"},
        {"gen_ai.provider.name": "openai", "litellm.result.status": "running"},
    ),
]


def openai(**said: Any) -> dict[str, Any]:
    """What the span of a request to OpenAI says; `__` stands for a dot."""
    return {
        "gen_ai.provider.name": "openai",
        **{name.replace("__", "."): value for name, value in said.items()},
    }


LISTED = {"litellm__result__count": 1}
FILE = {
    "litellm__file__bytes": 120,
    "litellm__file__purpose": "batch",
    "litellm__result__status": "processed",
}
BATCH = {
    "litellm__batch__id": "batch_loopback",
    "litellm__batch__requests": 1,
    "litellm__batch__completed_requests": 1,
    "litellm__batch__failed_requests": 0,
    "litellm__result__status": "completed",
}
CREATED_BATCH = {
    **BATCH,
    "litellm__batch__completed_requests": 0,
    "litellm__result__status": "validating",
}
STORE = {"gen_ai__data_source__id": "vs_1", "litellm__result__status": "completed"}
RUN = {"litellm__evaluation__id": "eval_1", "litellm__run__id": "run_1"}
THREAD = {"gen_ai__conversation__id": "thread_1"}
IN_STORE = {"vector_store_id": "vs_1", "file_id": "file-1"}
FREE = [
    Row("create_file", {"file": ("a.jsonl", b"{}"), "purpose": "batch", **OPENAI}, openai(**FILE)),
    Row("file_retrieve", {"file_id": "file-1"}, openai(**FILE, litellm__file__id="file-1")),
    Row("file_list", {}, openai(**LISTED)),
    Row(
        "file_content",
        {"file_id": "file-1", **OPENAI},
        openai(litellm__file__id="file-1", litellm__file__bytes=442),
    ),
    Row("file_delete", {"file_id": "file-1"}, openai(litellm__file__id="file-1")),
    Row(
        "create_batch",
        {
            "completion_window": "24h",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "file-1",
        },
        openai(
            **CREATED_BATCH,
            litellm__batch__endpoint="/v1/chat/completions",
            litellm__file__id="file-1",
        ),
    ),
    Row("list_batches", {}, openai(**LISTED)),
    Row("cancel_batch", {"batch_id": "batch_loopback"}, openai(**BATCH)),
    Row(
        "create_fine_tuning_job",
        {"model": "gpt-4o-mini", "training_file": "file-1"},
        openai(
            gen_ai__request__model="gpt-4o-mini",
            litellm__file__id="file-1",
            litellm__result__status="queued",
        ),
        name="litellm.create_fine_tuning_job gpt-4o-mini",
    ),
    Row(
        "retrieve_fine_tuning_job",
        {"fine_tuning_job_id": "ftjob-1"},
        openai(litellm__fine_tuning__id="ftjob-1", litellm__result__status="queued"),
    ),
    Row("list_fine_tuning_jobs", {}, openai(**LISTED)),
    Row(
        "vector_store_search",
        {"vector_store_id": "vs_1", "query": "What is a span?", "max_num_results": 3},
        openai(
            gen_ai__data_source__id="vs_1",
            gen_ai__retrieval__top_k=3,
            litellm__search__queries=1,
            litellm__result__count=2,
        ),
        name="retrieval",
    ),
    Row("vector_store_create", {"name": "docs"}, openai(litellm__result__status="completed")),
    Row("vector_store_retrieve", {"vector_store_id": "vs_1"}, openai(**STORE)),
    Row("vector_store_list", {}, openai(**LISTED)),
    Row("vector_store_update", {"vector_store_id": "vs_1", "name": "docs"}, openai(**STORE)),
    Row("vector_store_delete", {"vector_store_id": "vs_1"}, openai(gen_ai__data_source__id="vs_1")),
    Row("vector_store_file_create", IN_STORE, openai(**STORE)),
    Row(
        "vector_store_file_list",
        {"vector_store_id": "vs_1"},
        openai(**LISTED, gen_ai__data_source__id="vs_1"),
    ),
    Row("vector_store_file_retrieve", IN_STORE, openai(**STORE, litellm__file__id="file-1")),
    Row("list_containers", {}, openai(**LISTED)),
    Row("retrieve_container", {"container_id": "c1"}, openai(litellm__result__status="running")),
    Row("delete_container", {"container_id": "c1"}, openai()),
    Row(
        "list_input_items",
        {"response_id": "resp_1", **OPENAI},
        openai(**LISTED, gen_ai__response__id="resp_1"),
    ),
    Row(
        "create_skill",
        {"display_title": "Skill", "files": [("SKILL.md", b"x")], **ANTHROPIC},
        {"gen_ai.provider.name": "anthropic"},
        "{root}",
    ),
    Row(
        "get_skill",
        {"skill_id": "skill_1", **ANTHROPIC},
        {"gen_ai.provider.name": "anthropic", "litellm.skill.id": "skill_1"},
        "{root}",
    ),
    Row("get_eval", {"eval_id": "eval_1"}, openai(litellm__evaluation__id="eval_1")),
    Row(
        "get_run",
        {"eval_id": "eval_1", "run_id": "run_1"},
        openai(**RUN, litellm__result__status="queued"),
    ),
    Row("get_assistants", OPENAI, openai(**LISTED)),
    Row("get_thread", {"thread_id": "thread_1", **OPENAI}, openai(**THREAD)),
    Row(
        "add_message",
        {"thread_id": "thread_1", "role": "user", "content": "hi", **OPENAI},
        openai(**THREAD, litellm__result__status="completed"),
        functions=("add_message", "a_add_message"),
    ),
    Row(
        "run_thread",
        {"thread_id": "thread_1", "assistant_id": "asst_1", **OPENAI},
        openai(
            **THREAD,
            gen_ai__agent__id="asst_1",
            litellm__result__status="completed",
        ),
    ),
    Row(
        "count_tokens",
        {"model": "anthropic/claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]},
        {
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "litellm.counted_tokens": 20,
        },
        "{root}",
        "litellm.count_tokens claude-sonnet-4-5",
        ("acount_tokens",),
    ),
]
# Varies with the run, is tested elsewhere, or was made by the provider.
PASSING = {
    "gen_ai.operation.name",
    "gen_ai.response.time_to_first_chunk",
    "litellm.call_id",
    "litellm.outcome",
    "litellm.provider.model",
    "litellm.provider.request_id",
    "litellm.stream.chunks",
    "server.address",
    "server.port",
}


def rows(table: list[Row]) -> list[Any]:
    """Each row in its sync and its async form."""
    return [
        pytest.param(row, name, id=f"{name}-stream" if row.given.get("stream") else name)
        for row in table
        for name in row.functions or (row.call_type, f"a{row.call_type}")
    ]


def function(call_type: str) -> Any:
    """LiteLLM's function, instrumented."""
    target: Target = next(each for each in TARGETS if each.call_type == call_type)
    found = (getattr(sys.modules.get(name), target.name, None) for name in target.modules)
    return next(each for each in found if callable(each))


def arguments(row: Row, traced: Traced, **behaviour: Any) -> dict[str, Any]:
    """The arguments of a call of this row."""
    base = traced.provider.url_for(**behaviour)
    url = row.base.format(url=base, root=base.removesuffix("/v1"))
    return {**row.given, "api_base": url, "api_key": KEY}


@pytest.fixture(autouse=True)
def bases(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some functions read only the environment."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, loopback.url)
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)


@pytest.mark.parametrize(("row", "name"), rows(PRICED))
async def test_a_priced_request_has_litellms_cost(row: Row, name: str, traced: Traced) -> None:
    """The span has LiteLLM's exact cost, and the counts that it depends on."""
    result = await call(function(name), **arguments(row, traced))
    streams = row.given.get("stream") or name.endswith("_stream")
    if streams:
        await read(result)
    span = traced.span
    attributes = {k: v for k, v in span["attributes"].items() if k not in PASSING}
    costs = {k: attributes.pop(k) for k in list(attributes) if "cost" in k}
    for made in ("litellm.video.id", "litellm.container.id"):
        attributes.pop(made, None)
    if name.endswith("compact_responses"):
        attributes.pop("gen_ai.response.id")
    assert span["kind"] == "CLIENT"
    assert span["name"] == (row.name or f"litellm.{row.call_type}")
    assert attributes == {**row.said, "litellm.call_type": name}
    # 20 and 10 tokens of gemini-2.5-flash: 0.30 and 2.50 USD per million
    expected = 3.1e-05 if streams else result._hidden_params["response_cost"]
    assert expected > 0
    assert costs["gen_ai.usage.cost"] == costs["litellm.cost.total"] == pytest.approx(expected)
    assert costs["litellm.cost.source"] == "litellm"


@pytest.mark.parametrize(("row", "name"), rows(FREE))
async def test_a_request_without_a_model_has_ids_and_counts(
    row: Row, name: str, traced: Traced
) -> None:
    """The span has ids and counts, but neither tokens nor cost."""
    await call(function(name), **arguments(row, traced))
    span = traced.span
    attributes = {k: v for k, v in span["attributes"].items() if k not in PASSING}
    assert span["kind"] == "CLIENT"
    assert span["name"] == (row.name or f"litellm.{row.call_type}")
    assert {
        k: v for k, v in attributes.items() if not (k.endswith(".id") and k not in row.said)
    } == {
        **row.said,
        "litellm.call_type": name,
    }


@pytest.mark.parametrize("name", ["file_content", "run_thread"])
def test_a_stream_without_a_model_has_no_tokens(name: str) -> None:
    """The bytes of a file and the events of an assistant are not counted as tokens."""
    target = next(each for each in TARGETS if each.call_type == name)
    request = Request(target, {"stream": True})
    chunks = [b"some bytes", b"and more"]
    streamed = with_estimate(request, read_stream(request, None, chunks), chunks)
    assert (streamed.finished, streamed.answer.usage) == (True, None)


def test_litellms_call_types_are_those_of_the_spans() -> None:
    """A span's call type is LiteLLM's name, even if the function has another name."""
    known = {str(each.value) for each in CallTypes}
    assert {"create_interaction", "avector_store_search", "a_add_message"} <= known


@pytest.mark.parametrize("name", ["create_file", "vector_store_search", "ocr", "video_generation"])
def test_a_rejected_request_is_a_failure(name: str, traced: Traced) -> None:
    """The caller gets LiteLLM's exception, and the span has the provider's status."""
    row = next(row for row in (*PRICED, *FREE) if row.call_type == name)
    with pytest.raises(Exception, match="Incorrect API key") as caught:
        function(name)(**arguments(row, traced, status=401))
    attributes = traced.span["attributes"]
    assert attributes["litellm.outcome"] == "failure"
    assert attributes["error.type"] == type(caught.value).__name__
    assert "gen_ai.usage.cost" not in attributes


def test_a_google_api_served_by_another_provider_is_one_call(traced: Traced) -> None:
    """LiteLLM runs `completion` for it, which is an inner step."""
    target = function("generate_content")
    target(model="openai/gpt-4o-mini", contents=CONTENTS, **traced.to())
    attributes = traced.span["attributes"]
    assert attributes["gen_ai.operation.name"] == "generate_content"
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        20,
        10,
    )
    assert attributes["gen_ai.usage.cost"] == pytest.approx(9e-06)


async def test_a_model_call_from_a_hook_has_its_own_span(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler calls another model during `generate_content`."""

    class Asks(litellm.integrations.custom_logger.CustomLogger):
        async def async_pre_call_deployment_hook(self, kwargs: Any, call_type: Any) -> None:
            if "generate_content" in str(call_type):
                await litellm.acompletion(**traced.chat())

    monkeypatch.setattr(litellm, "callbacks", [Asks()])
    row = PRICED[0]
    await function("agenerate_content")(**arguments(row, traced))
    assert {span["name"] for span in traced.spans} == {
        "chat gpt-4o-mini",
        "generate_content gemini-2.5-flash",
    }
