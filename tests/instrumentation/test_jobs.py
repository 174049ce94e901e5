"""Responses, interactions and batches in the background: linked, and charged once."""

import asyncio
from typing import Any

import litellm
import pytest

from litespan.instrumentation import jobs
from litespan.testing import LoopbackProvider
from tests.support.calls import KEY, Traced

pytestmark = pytest.mark.recent_litellm

OPENAI = {"custom_llm_provider": "openai"}
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]


@pytest.fixture(autouse=True)
def no_jobs(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the jobs of other tests; LiteLLM reads a batch's result from the environment's URL."""
    monkeypatch.setattr(jobs, "JOBS", jobs.Jobs())
    monkeypatch.setenv("OPENAI_BASE_URL", loopback.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def named(traced: Traced, name: str) -> list[dict[str, Any]]:
    """The spans of a name."""
    return [span for span in traced.spans if span["name"].split()[0] == name]


def links(traced: Traced, name: str) -> list[list[str]]:
    """The ids of the spans that the spans of a name link to."""
    return [span["links"] for span in named(traced, name)]


def costs(spans: list[dict[str, Any]]) -> list[float]:
    """The costs on spans that have one."""
    found = [span["attributes"].get("gen_ai.usage.cost") for span in spans]
    return [cost for cost in found if cost is not None]


def test_a_background_response_is_charged_once(traced: Traced) -> None:
    """Its cost is on the first poll of the finished response, without tokens."""
    created = litellm.responses(
        model="openai/gpt-4o-mini", input="hi", background=True, **traced.to()
    )
    waiting = traced.to(finish="in_progress")
    litellm.get_responses(response_id=created.id, **waiting, **OPENAI)
    fetched = [
        litellm.get_responses(response_id=created.id, **traced.to(), **OPENAI) for _ in range(3)
    ]
    (create,), polls = named(traced, "chat"), named(traced, "fetch_response")
    assert [poll["attributes"].get("gen_ai.usage.cost") for poll in polls] == [
        None,
        pytest.approx(fetched[0]._hidden_params["response_cost"]),
        None,
        None,
    ]
    assert not [name for poll in polls for name in poll["attributes"] if "tokens" in name]
    assert links(traced, "fetch_response") == [[create["span_id"]]] * 4
    assert costs([create]) == []


def test_a_stored_response_that_was_charged_is_not_charged_again(traced: Traced) -> None:
    """The call that created it has its cost; the provider reports that it ran in the foreground."""
    created = litellm.responses(model="openai/gpt-4o-mini", input="hi", **traced.to())
    litellm.delete_responses(response_id=created.id, **traced.to(), **OPENAI)
    litellm.cancel_responses(response_id=created.id, **traced.to(), **OPENAI)
    assert len(costs(traced.spans)) == 1


def test_a_background_interaction_is_charged_once(traced: Traced) -> None:
    """Google's polls do not show how an interaction ran: only known ones are charged."""
    to = {"api_base": traced.provider.root, "api_key": KEY}
    created = litellm.interactions.create(
        model="gemini/gemini-2.5-flash", input="hi", background=True, **to
    )
    for identifier in (created.id, created.id, "unknown"):
        litellm.interactions.get(interaction_id=identifier, **to)
    assert costs(named(traced, "fetch_response")) == [pytest.approx(3.1e-05)]


async def _settled(traced: Traced, count: int) -> list[dict[str, Any]]:
    """The results of batches, which LiteLLM reads in the background."""
    for _ in range(200):
        found = named(traced, "litellm.batch_result")
        if len(found) >= count:
            return found
        await asyncio.sleep(0.05)
    return named(traced, "litellm.batch_result")


async def test_a_batch_is_charged_once_when_its_result_is_known(traced: Traced) -> None:
    """The result has its own span, with LiteLLM's cost and tokens, linked to the creation."""
    to = traced.to()
    created = await litellm.acreate_batch(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id="file-1", **to
    )
    await litellm.aretrieve_batch(batch_id=created.id, **traced.to(finish="in_progress"))
    polled = await litellm.aretrieve_batch(batch_id=created.id, **to)
    await _settled(traced, 1)
    for _ in range(2):
        again = await litellm.aretrieve_batch(batch_id=created.id, **to)
        for _ in range(200):  # until LiteLLM has priced it, too
            if "response_cost" in again._hidden_params:
                break
            await asyncio.sleep(0.05)
    (result,) = await _settled(traced, 1)
    attributes = result["attributes"]
    assert attributes["gen_ai.usage.cost"] == pytest.approx(polled._hidden_params["response_cost"])
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        4.5e-06
    )  # half of 20 and 10 tokens' price
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        20,
        10,
    )
    assert attributes["gen_ai.response.model"] == "gpt-4o-mini"
    assert attributes["litellm.batch.id"] == created.id
    creation = named(traced, "litellm.create_batch")[0]["span_id"]
    assert links(traced, "litellm.batch_result") == [[creation]]
    assert links(traced, "litellm.retrieve_batch") == [[creation]] * 4
    assert costs(traced.spans) == [attributes["gen_ai.usage.cost"]]


def test_a_poll_of_an_unknown_id_reaches_the_caller_unchanged(traced: Traced) -> None:
    """The caller gets LiteLLM's exception for the provider's 404."""
    with pytest.raises(litellm.NotFoundError):
        litellm.get_responses(response_id="resp_none", **traced.to(status=404), **OPENAI)
    assert traced.span["attributes"]["litellm.outcome"] == "failure"


def test_the_number_of_remembered_jobs_is_bounded() -> None:
    """The oldest job is removed first."""
    known = jobs.Jobs(most=2)
    for identifier in ("a", "b", "c"):
        assert known.charge(identifier)
    assert [known.charge(identifier) for identifier in ("b", "c", "a")] == [False, False, True]


@pytest.mark.parametrize(
    "place",
    [
        "instrumentation.jobs.job_id",
        "instrumentation.jobs.job_attributes",
        "instrumentation.hooks.record_batch",
        "mapping.request.read_by",
        "mapping.response.result_attributes",
        "mapping.response.google_answer",
        "mapping.chunks.google_answer",
        "mapping.output_content.documents",
    ],
)
async def test_a_fault_changes_no_outcome(
    place: str, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results, chunks and exceptions are the same, whichever of litespan's functions raises."""

    def broken(*_args: Any, **_kwargs: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(f"litespan.{place}", broken)
    google = {"api_base": traced.provider.root, "api_key": KEY, "model": "gemini/gemini-2.5-flash"}
    to = traced.to()
    answer = await litellm.agenerate_content(contents=CONTENTS, **google)
    stream = await litellm.google_genai.agenerate_content_stream(contents=CONTENTS, **google)
    chunks = [chunk async for chunk in stream]
    batch = await litellm.aretrieve_batch(batch_id="batch_1", **to)
    found = await litellm.vector_stores.asearch(vector_store_id="vs_1", query="q", **to)
    assert answer.candidates[0]["content"]["parts"][0]["text"].startswith("Hello!")
    assert b"STOP" in chunks[-1]
    assert (batch.status, len(found["data"])) == ("completed", 2)
