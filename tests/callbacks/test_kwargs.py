"""The arguments of handlers: `kwargs`, `response_obj` and times, at every stage."""

import asyncio
import json
from datetime import datetime
from typing import Any

import litellm
import pytest

import litespan
from tests.callbacks.conftest import Delivery, Keeper
from tests.support.calls import KEY, MESSAGES, Traced

SECRET = "sk-TELLTALE-0123456789"


def delivery(keeper: Keeper) -> dict[str, Delivery]:
    """What the handler received at each stage of the last call."""
    assert litespan.flush(10)
    return {each.method: each for each in keeper.deliveries}


async def test_every_stage_has_the_facts_of_the_call(traced: Traced, keeper: Keeper) -> None:
    """The call's arguments and ids are in the keywords from the first stage to the last."""
    metadata = {"feature": "search", "release": 7}
    litellm.completion(
        **traced.chat(
            user="alice",
            metadata=dict(metadata),
            temperature=0.5,
            extra_body={"mine": {"deep": [1]}},
            litellm_call_id="call-1",
        )
    )
    stages = delivery(keeper)
    assert list(stages) == ["pre", "post", "success"]
    for each in stages.values():
        kwargs = each.kwargs
        assert kwargs["model"] == "gpt-4o-mini"
        assert kwargs["messages"] == MESSAGES
        assert kwargs["user"] == "alice"
        assert kwargs["litellm_call_id"] == "call-1"
        assert kwargs["litellm_params"]["metadata"] == metadata
        assert kwargs["optional_params"] == {
            "temperature": 0.5,
            "user": "alice",
            "extra_body": {"mine": {"deep": [1]}},
            "max_retries": 0,
        }
        assert kwargs["extra_body"] == {"mine": {"deep": [1]}}
        assert kwargs["temperature"] == 0.5
        assert kwargs["call_type"] == "completion"
        assert kwargs["custom_llm_provider"] == "openai"
        assert kwargs["stream"] is False
        json.dumps(kwargs["litellm_params"]["metadata"])
    assert (stages["pre"].model, stages["pre"].messages) == ("gpt-4o-mini", MESSAGES)
    assert [each.kwargs["log_event_type"] for each in stages.values()] == [
        "pre_api_call",
        "post_api_call",
        "successful_api_call",
    ]


async def test_the_first_stage_has_the_request(traced: Traced, keeper: Keeper) -> None:
    """`input` and `additional_args` are in the keywords of the first stage, as in LiteLLM."""
    litellm.completion(**traced.chat())
    litellm.embedding("openai/text-embedding-3-small", input=["a"], **traced.to())
    assert litespan.flush(10)
    first, second = (each.kwargs for each in keeper.deliveries if each.method == "pre")
    assert first["input"] == MESSAGES
    assert first["additional_args"]["complete_input_dict"]["messages"] == MESSAGES
    assert second["input"] == ["a"]


async def test_success_has_the_response_its_cost_and_the_logging_object(
    traced: Traced, keeper: Keeper
) -> None:
    """The real response, its cost as a number, and LiteLLM's own logging object."""
    response = litellm.completion(**traced.chat(user="alice", metadata={"feature": "search"}))
    success = delivery(keeper)["success"]
    assert success.response_obj is response
    assert f"{success.kwargs['response_cost']:.6f}" == "0.000009"
    slo = success.kwargs["standard_logging_object"]
    assert slo["id"] == response.id
    assert slo["status"] == "success"
    assert slo["total_tokens"] == 30
    assert slo["response_cost"] == pytest.approx(9e-06)
    assert slo["messages"] == MESSAGES
    assert (
        slo["response"]["choices"][0]["message"]["content"] == response.choices[0].message.content
    )
    assert slo["startTime"] == pytest.approx(success.start_time.timestamp(), abs=1e-3)
    assert success.kwargs["response_headers"]["x-request-id"] == "req_loopback"
    assert json.loads(success.kwargs["original_response"])["id"] == response.id


async def test_an_unknown_price_has_no_cost(traced: Traced, keeper: Keeper) -> None:
    """If the price is unknown, there is no cost: neither None nor 0."""
    litellm.completion(**traced.chat(model="openai/my-own-model"))
    assert "response_cost" not in delivery(keeper)["success"].kwargs


async def test_failure_has_the_exception_its_traceback_and_no_response(
    traced: Traced, keeper: Keeper
) -> None:
    """It has the exception, its traceback as text, a cost of 0.0 and no response."""
    with pytest.raises(litellm.AuthenticationError) as raised:
        litellm.completion(**traced.chat(provider={"status": 401}))
    failure = delivery(keeper)["failure"]
    assert failure.kwargs["exception"] is raised.value
    assert failure.kwargs["traceback_exception"].startswith("Traceback (most recent call last):")
    assert "AuthenticationError" in failure.kwargs["traceback_exception"]
    assert (failure.kwargs["response_cost"], failure.response_obj) == (0.0, None)
    assert isinstance(failure.kwargs["response_cost"], float)
    assert failure.kwargs["standard_logging_object"]["status"] == "failure"


async def test_a_failure_before_the_provider_call_has_the_same_keywords(
    traced: Traced, keeper: Keeper
) -> None:
    """Even if LiteLLM knows no provider: the same keys, and each stage once."""
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**traced.chat(model="no-such-provider/model"))
    stages = delivery(keeper)
    assert [each.method for each in keeper.deliveries] == ["pre", "failure"]
    for each in stages.values():
        assert each.kwargs["model"] == "no-such-provider/model"
        assert each.kwargs["messages"] == MESSAGES
        assert each.kwargs["litellm_call_id"]
        assert each.kwargs["litellm_params"]["metadata"] == {}
        assert each.kwargs["optional_params"] == {}


async def test_times_are_naive_local_datetimes_around_the_call(
    traced: Traced, keeper: Keeper
) -> None:
    """Every stage with times has naive local datetimes, including the stage after the call."""
    before = datetime.now()  # noqa: DTZ005 - as LiteLLM has them
    litellm.completion(**traced.chat(provider={"delay": 0.2}))
    stages = delivery(keeper)
    for name in ("post", "success"):
        each = stages[name]
        assert (each.start_time.tzinfo, each.end_time.tzinfo) == (None, None)
        assert before <= each.start_time < each.end_time <= datetime.now()  # noqa: DTZ005
        assert (each.end_time - each.start_time).total_seconds() > 0.19
        assert each.kwargs["start_time"] == each.start_time
    assert stages["post"].end_time <= stages["success"].end_time


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_stream_event_has_the_chunk_and_success_the_whole_response(
    traced: Traced, keeper: Keeper, asynchronous: bool
) -> None:
    """The chunk is the caller's own object; success has the complete response."""
    given = traced.chat(stream=True)
    if asynchronous:
        chunks = [chunk async for chunk in await litellm.acompletion(**given)]
    else:
        chunks = list(litellm.completion(**given))
    assert litespan.flush(10)
    deliveries = keeper.deliveries
    assert deliveries.methods == ["pre", "post", *["stream"] * len(chunks), "success"]
    assert all(a.response_obj is b for a, b in zip(deliveries[2:-1], chunks, strict=True))
    success = deliveries[-1]
    assert type(success.response_obj).__name__ == "ModelResponse"
    assert success.response_obj["choices"][0]["message"]["content"] == (
        "Hello! How can I help you today?"
    )
    assert success.kwargs["complete_streaming_response"] is success.response_obj
    assert success.kwargs["async_complete_streaming_response"] is success.response_obj
    first = success.kwargs["completion_start_time"]
    assert success.start_time < first <= success.end_time
    assert success.kwargs["response_cost"] > 0


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_abandoned_stream_is_a_success_with_the_part_that_was_read(
    traced: Traced, keeper: Keeper, asynchronous: bool
) -> None:
    """The response has the part that the caller has read."""
    given = traced.chat(stream=True)
    if asynchronous:
        stream = await litellm.acompletion(**given)
        chunks = [await anext(stream) for _ in range(3)]
    else:
        stream = litellm.completion(**given)
        chunks = [next(stream) for _ in range(3)]
    read = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    del stream
    success = delivery(keeper)["success"]
    assert type(success.response_obj).__name__ == "ModelResponse"
    assert success.response_obj.choices[0].message.content == read
    assert read.startswith("Hello! How")
    assert success.response_obj.usage.completion_tokens > 0


async def test_a_stream_without_a_finish_reason_is_a_failure(
    traced: Traced, keeper: Keeper
) -> None:
    """The exception is LiteLLM's, or one of litespan's."""
    raised = None
    try:
        list(litellm.completion(**traced.chat(stream=True, provider={"drop_after": 3})))
    except litellm.ServiceUnavailableError as error:  # LiteLLM says so itself since 1.110
        raised = error
    failure = delivery(keeper)["failure"]
    exception = failure.kwargs["exception"]
    if raised is None:
        assert isinstance(exception, ConnectionError)
        assert str(exception) == "the stream ended without a finish reason"
    else:
        assert exception is raised
    assert failure.response_obj is None


async def test_a_cancelled_call_is_a_failure_with_its_cancelled_error(
    traced: Traced, keeper: Keeper
) -> None:
    """A cancelled task is a failure with its CancelledError."""
    task = asyncio.create_task(litellm.acompletion(**traced.chat(provider={"delay": 5})))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    failure = delivery(keeper)["failure"]
    assert isinstance(failure.kwargs["exception"], asyncio.CancelledError)


@pytest.mark.parametrize(
    ("name", "given", "model", "messages", "answer"),
    [
        pytest.param(
            "embedding",
            {"model": "openai/text-embedding-3-small", "input": ["a", "b"]},
            "text-embedding-3-small",
            [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
            "EmbeddingResponse",
            id="embedding",
        ),
        pytest.param(
            "text_completion",
            {"model": "text-completion-openai/gpt-3.5-turbo-instruct", "prompt": "Hi"},
            "gpt-3.5-turbo-instruct",
            [{"role": "user", "content": "Hi"}],
            "TextCompletionResponse",
            id="text",
        ),
        pytest.param(
            "responses",
            {"model": "openai/gpt-4o-mini", "input": "Hi"},
            "gpt-4o-mini",
            [{"role": "user", "content": "Hi"}],
            "ResponsesAPIResponse",
            id="responses",
        ),
        pytest.param(
            "image_generation",
            {"model": "openai/dall-e-3", "prompt": "A cat"},
            "dall-e-3",
            [{"role": "user", "content": "A cat"}],
            "ImageResponse",
            id="image",
        ),
    ],
)
async def test_text_of_other_kinds_of_call_is_in_messages(
    traced: Traced,
    keeper: Keeper,
    name: str,
    given: dict[str, Any],
    model: str,
    messages: Any,
    answer: str,
) -> None:
    """The text of calls without messages is in `messages`, as in LiteLLM."""
    where = traced.to()
    del where["max_retries"]
    response = getattr(litellm, name)(**given, **where)
    stages = delivery(keeper)
    assert list(stages) == ["pre", "post", "success"]
    for each in stages.values():
        assert (each.kwargs["model"], each.kwargs["messages"]) == (model, messages)
        assert each.kwargs["call_type"] == name
    assert stages["success"].response_obj is response
    assert type(response).__name__ == answer


async def test_a_responses_stream_has_its_events_and_its_final_response(
    traced: Traced, keeper: Keeper
) -> None:
    """The events are unchanged; the end has the whole response of the last event."""
    where = traced.to()
    del where["max_retries"]
    events = list(litellm.responses("Hi", "openai/gpt-4o-mini", stream=True, **where))
    assert litespan.flush(10)
    assert keeper.deliveries.methods == ["pre", "post", *["stream"] * len(events), "success"]
    assert keeper.deliveries[-1].response_obj is events[-1].response


async def test_kwargs_hold_no_credentials(traced: Traced, keeper: Keeper) -> None:
    """Keys, tokens, authorization headers and credentials are in no keyword."""
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(
            **traced.chat(
                provider={"status": 401},
                extra_headers={
                    "Authorization": f"Bearer {SECRET}",
                    "Ocp-Apim-Subscription-Key": SECRET,  # of Azure API Management
                    "x-key": SECRET,  # of Black Forest Labs
                    "X-Mine": "kept",
                },
                extra_body={"nested": {"api_key": SECRET, "cache_key": "kept"}},
                metadata={
                    "openai_api_key": SECRET,
                    "user_api_key": SECRET,
                    "openaiApiKey": SECRET,
                    "clientSecret": SECRET,
                    "accessToken": SECRET,
                    "awsAccessKeyId": SECRET,
                    "feature": "kept",
                    "maxTokens": 7,
                    "monkey": "kept",
                },
                proxy_server_request={
                    "url": f"http://proxy/v1/chat/completions?key={SECRET}",
                    "method": "POST",
                    "headers": {"authorization": f"Bearer {SECRET}", "user-agent": "kept"},
                    "body": {"model": "m", "api_key": SECRET, "messages": MESSAGES},
                },
                aws_secret_access_key=SECRET,
                langfuse_secret_key=SECRET,
                azure_ad_token=SECRET,
                oci_key=SECRET,
                vertex_credentials=SECRET,
                api_key=SECRET,
            )
        )
    for each in delivery(keeper).values():
        kwargs = dict(each.kwargs)
        kwargs.pop("exception", None)
        assert SECRET not in repr(kwargs)
        assert kwargs["extra_headers"] == {"X-Mine": "kept"}
        assert kwargs["extra_body"] == {"nested": {"cache_key": "kept"}}
        assert kwargs["litellm_params"]["metadata"] == {
            "feature": "kept",
            "maxTokens": 7,
            "monkey": "kept",
        }
        assert kwargs["litellm_params"]["proxy_server_request"] == {
            "url": "http://proxy/v1/chat/completions?[redacted]",
            "method": "POST",
            "headers": {"user-agent": "kept"},
            "body": {"model": "m", "messages": MESSAGES},
        }


async def test_keywords_have_the_proxys_identity_and_deployment(
    traced: Traced, keeper: Keeper
) -> None:
    """Identity comes from either of the proxy's two metadata keywords."""
    litellm.completion(
        **traced.chat(
            litellm_metadata={
                "user_api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
                "user_api_key_team_id": "team-1",
                "user_api_key_auth": object(),
                "seen": datetime(2026, 1, 2),  # noqa: DTZ001
            },
            model_info={"id": "deployment-1", "base_model": None},
        )
    )
    for each in delivery(keeper).values():
        assert each.kwargs["litellm_params"]["metadata"] == {
            "user_api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "user_api_key_team_id": "team-1",
            "seen": "2026-01-02 00:00:00",
        }
        assert each.kwargs["litellm_params"]["model_info"] == {
            "id": "deployment-1",
            "base_model": None,
        }


async def test_keywords_have_the_user_of_litespan_context(traced: Traced, keeper: Keeper) -> None:
    """The user can come from the surrounding block."""
    with litespan.context(user="bob"):
        litellm.completion(**traced.chat())
    assert {each.kwargs["user"] for each in delivery(keeper).values()} == {"bob"}


async def test_kwargs_are_a_snapshot_of_the_callers_arguments(
    traced: Traced, keeper: Keeper
) -> None:
    """Later changes by the caller are not visible to handlers, nor vice versa."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "before"}]}]
    metadata = {"list": [1]}
    given = traced.chat(messages=messages, metadata=metadata)
    slow = Slow()
    added = litespan.add_callback(slow)
    try:
        litellm.completion(**given)
        messages[0]["content"][0]["text"] = "after"  # type: ignore[index]
        messages.append({"role": "user", "content": "more"})
        metadata["list"].append(2)
        assert litespan.flush(10)
    finally:
        added.remove()
    assert slow.seen == [{"role": "user", "content": [{"type": "text", "text": "before"}]}]
    assert slow.metadata == {"list": [1]}
    assert keeper.deliveries[-1].kwargs["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "before"}]}
    ]
    assert messages[-1] == {"role": "user", "content": "more"}


class Slow:
    """A handler that looks late, and then spoils what it was given."""

    seen: Any = None
    metadata: Any = None

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await asyncio.sleep(0.3)
        self.seen = list(kwargs["messages"])
        self.metadata = dict(kwargs["litellm_params"]["metadata"])
        kwargs["messages"].append("spoilt")
        kwargs["litellm_params"]["metadata"]["spoilt"] = True
        kwargs.clear()


async def test_a_handler_can_keep_values_in_its_keywords(traced: Traced) -> None:
    """A handler's `kwargs` are its own for the whole call, so values that it adds remain."""
    found = []

    def before(model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        kwargs["my_note"] = len(messages)

    def after(kwargs: dict[str, Any], response: Any, start: Any, end: Any) -> None:
        found.append(kwargs["my_note"])

    added = litespan.add_callback(pre=before, success=after)
    try:
        litellm.completion(**traced.chat())
        assert litespan.flush(10)
    finally:
        added.remove()
    assert found == [1]


async def test_metadata_of_an_earlier_call_is_not_in_the_next_one(
    traced: Traced, keeper: Keeper
) -> None:
    """LiteLLM writes into the caller's metadata; the next call's handler does not see that."""
    metadata = {"feature": "search"}
    for _ in range(2):
        litellm.completion(**traced.chat(metadata=metadata))
    assert litespan.flush(10)
    assert set(metadata) > {"feature"}
    seen = [each.kwargs["litellm_params"]["metadata"] for each in keeper.deliveries]
    assert seen == [{"feature": "search"}] * 6


async def test_handlers_receive_messages_regardless_of_capture_settings(
    traced: Traced, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler receives the real messages and response, even if content is not recorded."""
    monkeypatch.setattr(litellm, "turn_off_message_logging", True)
    response = litellm.completion(**traced.chat())
    success = delivery(keeper)["success"]
    assert success.kwargs["messages"] == MESSAGES
    assert success.response_obj is response
    assert KEY not in repr(success.kwargs)


async def test_handlers_share_no_mutable_arguments(traced: Traced) -> None:
    """Changes by one handler, even of LiteLLM's logging object, are not visible to others."""
    seen = []

    def spoil(kwargs: dict[str, Any], response: Any, start: Any, end: Any) -> None:
        seen.append(
            (
                kwargs["standard_logging_object"]["metadata"].get("mine"),
                kwargs["litellm_params"]["metadata"].get("mine"),
            )
        )
        kwargs["standard_logging_object"]["metadata"]["mine"] = "spoilt"
        kwargs["litellm_params"]["metadata"]["mine"] = "spoilt"

    added = [litespan.add_callback(success=spoil) for _ in range(2)]
    try:
        litellm.completion(**traced.chat())
        assert litespan.flush(10)
    finally:
        for each in added:
            each.remove()
    assert seen == [(None, None)] * 2


@pytest.mark.recent_litellm
def test_handlers_get_the_stages_of_requests_beside_chats(traced: Traced, keeper: Keeper) -> None:
    """OCR, files and background jobs have the same stages, LiteLLM's call type and its cost."""
    document = {"type": "document_url", "document_url": "https://example.com/a.pdf"}
    to = traced.to()
    read = litellm.ocr(model="mistral/mistral-ocr-latest", document=document, **to)
    stages = delivery(keeper)
    assert list(stages) == ["pre", "post", "success"]
    assert stages["success"].kwargs["call_type"] == "ocr"
    assert stages["success"].kwargs["response_cost"] == read._hidden_params["response_cost"]
    assert stages["success"].response_obj is read
    keeper.deliveries.clear()
    litellm.file_retrieve(file_id="file-1", **to)
    stages = delivery(keeper)
    assert list(stages) == ["pre", "post", "success"]
    assert stages["success"].kwargs["call_type"] == "file_retrieve"
    assert stages["success"].kwargs.get("response_cost") is None
