"""The attributes of failed calls, and unchanged exceptions."""

import asyncio
import inspect
import json
from typing import Any

import httpx
import litellm
import pytest
from pydantic import BaseModel

import litespan
from litespan.mapping import a2a
from litespan.mapping.failures import read_failure
from litespan.mapping.request import Request
from litespan.mapping.targets import CHAT, Target
from tests.mapping.answers import answering
from tests.support.calls import Traced
from tests.support.server import Reply, running

SECRET = "sk-proj-ABCDEFGHIJKLMNOP0123456789"
PROMPT = "My mother's maiden name is Featherstonehaugh-Cholmondeley."
ANSWER = "The patient is called Jane Roe and lives in Elm Street 5."
OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
FAILURES = [
    pytest.param({"status": 401}, {}, "AuthenticationError", 401, id="401"),
    pytest.param({"status": 429}, {}, "RateLimitError", 429, id="429"),
    pytest.param({"status": 500}, {}, "InternalServerError", 500, id="500"),
    pytest.param({"delay": 5.0}, {"timeout": 0.2}, "Timeout", None, id="timeout"),
    pytest.param({}, {"api_base": "http://127.0.0.1:9/v1"}, None, None, id="refused"),
    pytest.param({}, {"model": "nobody/nothing"}, "BadRequestError", None, id="unknown model"),
    pytest.param({}, {"messages": 7}, None, None, id="bad arguments"),
]


class Person(BaseModel):
    """A structured answer."""

    name: str


@pytest.mark.parametrize("function", ["completion", "acompletion"])
@pytest.mark.parametrize(("behaviour", "given", "kind", "code"), FAILURES)
async def test_a_failure_has_status_error_type_and_one_exception_event(
    function: str,
    behaviour: dict[str, Any],
    given: dict[str, Any],
    kind: str | None,
    code: int | None,
    traced: Traced,
) -> None:
    """Status ERROR, the exception's class as `error.type`, and the HTTP status."""
    with pytest.raises(Exception) as caught:
        result = getattr(litellm, function)(**traced.chat(provider=behaviour, **given))
        if inspect.isawaitable(result):
            await result
    span = traced.span
    attributes = span["attributes"]
    assert (span["status"], attributes["litellm.outcome"]) == ("ERROR", "failure")
    assert attributes["error.type"] == type(caught.value).__name__
    assert kind in (None, attributes["error.type"])
    assert code is None or attributes["litellm.provider.error.code"] == code
    assert [event["name"] for event in span["events"]].count("exception") == 1
    assert 0 < len(span["description"]) <= 1024


@pytest.mark.recent_litellm
@pytest.mark.parametrize("status", [402, 413, 498, 502, 529])
@pytest.mark.parametrize(
    "model", ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
)
def test_the_status_code_is_the_providers(model: str, status: int, traced: Traced) -> None:
    """Not the one that LiteLLM derives from it; on the span and on the event after the answer."""
    base = traced.provider.url_for(status=status)
    base = base if model.startswith("openai") else base.removesuffix("/v1")
    with pytest.raises(Exception):  # noqa: B017 - of several classes
        litellm.completion(**{**traced.chat(model=model), "api_base": base})
    span = traced.span
    assert span["attributes"]["litellm.provider.error.code"] == status
    (post,) = [event for event in span["events"] if event["name"] == "litellm.post_api_call"]
    assert post["attributes"]["http.response.status_code"] == status


def test_a_status_that_the_application_handles_is_not_the_providers(traced: Traced) -> None:
    """The application calls LiteLLM in an `except` block: its exception is a `__context__`."""
    response = httpx.Response(404, headers={"a": "b"}, request=httpx.Request("GET", "http://x"))
    try:
        response.raise_for_status()
    except httpx.HTTPStatusError:
        with pytest.raises(litellm.InternalServerError):
            litellm.completion(**{**traced.chat(), "api_base": "http://127.0.0.1:9/v1"})
    assert "litellm.provider.error.code" not in traced.span["attributes"]


@pytest.mark.recent_litellm
@pytest.mark.parametrize(
    ("function", "model"),
    [
        ("acompletion", "openai/gpt-4o-mini"),
        ("acompletion", "hosted_vllm/my-model"),
        ("acompletion", "anthropic/claude-sonnet-4-5"),
        ("anthropic_messages", "anthropic/claude-sonnet-4-5"),
        ("aresponses", "openai/gpt-4o-mini"),
    ],
)
async def test_an_error_has_no_quote_of_an_answer_that_litellm_cannot_read(
    function: str, model: str, traced: Traced
) -> None:
    """The answer is content; the message says that LiteLLM could not read it."""
    with running(lambda _: Reply(200, ANSWER.encode())) as provider:
        given = {**traced.chat(model=model), "api_base": provider.url, "max_tokens": 9}
        if function == "aresponses":
            given = {"model": model, "input": "hi", "api_base": provider.url, "api_key": "k"}
        with pytest.raises(Exception, match="Jane Roe"):
            await getattr(litellm, function)(**given)
    span = traced.span
    assert "[content]" in span["description"]
    assert "Jane Roe" not in str(span)


@pytest.mark.recent_litellm
@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("anthropic/claude-sonnet-4-5", {"type": "error", "error": OVERLOADED}),
        ("openai/responses/gpt-5-mini", {"error": OVERLOADED}),
    ],
)
def test_an_error_with_status_200_has_the_providers_message(
    model: str, body: dict[str, Any], traced: Traced
) -> None:
    """It is no answer."""
    with running(lambda _: Reply(200, json.dumps(body).encode())) as provider:
        given = {**traced.chat(model=model), "api_base": provider.url}
        with pytest.raises(Exception, match="Overloaded"):
            litellm.completion(**given)
    assert "Overloaded" in traced.span["description"]


@pytest.mark.recent_litellm
def test_an_error_has_no_quote_of_an_answer_that_the_application_refuses(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM quotes an answer that does not match the schema, here in a router's call."""
    monkeypatch.setattr(litellm, "enable_json_schema_validation", True)
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    with answering(usage, text=ANSWER) as url:
        deployment = {"model": "openai/gpt-4o-mini", "api_base": f"{url}/v1", "api_key": "k"}
        router = litellm.Router(
            model_list=[{"model_name": "m", "litellm_params": deployment}], num_retries=0
        )
        with pytest.raises(Exception, match="Jane Roe"):
            router.completion(
                model="m", messages=[{"role": "user", "content": "hi"}], response_format=Person
            )
    assert len(traced.spans) == 2
    for span in traced.spans:
        assert "invalid response=[content]" in span["description"]
        assert "Jane Roe" not in str(span)


@pytest.mark.recent_litellm
async def test_a_failed_response_is_a_failure_also_if_litellm_translates_it(traced: Traced) -> None:
    """Its translation to Anthropic's API is an empty message that has ended normally."""
    where = traced.to(finish="failed", message="The machine is too hot")
    given = {**traced.chat(model="openai/gpt-5-mini"), **where}
    message = await litellm.anthropic_messages(**given, max_tokens=9)
    assert message["stop_reason"] == "end_turn"
    span = traced.span
    assert (span["status"], span["attributes"]["litellm.outcome"]) == ("ERROR", "failure")
    assert "The machine is too hot" in span["description"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_base_exceptions_end_the_span_and_propagate(
    kind: type[BaseException], traced: Traced, monkeypatch: Any
) -> None:
    """Such as KeyboardInterrupt and SystemExit."""

    def interrupted(*_args: Any, **_kwargs: Any) -> None:
        raise kind

    monkeypatch.setattr(litellm.OpenAI, "__init__", interrupted, raising=False)
    monkeypatch.setattr("openai.OpenAI.__init__", interrupted)
    with pytest.raises(kind):
        litellm.completion(**{**traced.chat(), "api_key": f"{kind.__name__}-key"})
    span = traced.span
    assert (span["status"], span["attributes"]["error.type"]) == ("ERROR", kind.__name__)


async def test_a_coroutine_that_is_never_awaited_has_no_span(traced: Traced) -> None:
    """It makes no call."""
    litellm.acompletion(**traced.chat()).close()
    assert traced.spans == []


def test_secrets_and_echoes_are_masked(traced: Traced) -> None:
    """The provider's text is kept, without credentials and quotes of the prompt."""
    url = "https://u:pw12345@api.example/v1?key=AIzaSyA0123456789abcdefghijklmnop"
    message = f"Incorrect key {SECRET} at {url} for: {{prompt}}"
    with pytest.raises((litellm.BadRequestError, litellm.AuthenticationError)):
        litellm.completion(
            **traced.chat(
                messages=[{"role": "user", "content": PROMPT}],
                provider={"status": 401, "message": message},
            )
        )
    text = repr(traced.spans)
    assert "Incorrect key" in text
    for hidden in (SECRET, SECRET[:12], "pw12345", "AIzaSy", "Featherstone", "maiden"):
        assert hidden not in text


class Unusual(Exception):
    """An exception of the application whose attributes and truth value raise."""

    @property
    def response(self) -> Any:
        """As `httpx.RequestError.request` without a request."""
        raise RuntimeError("there is no response")

    headers = status_code = litellm_response_headers = response

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


class Unusable(litellm.CustomLLM):
    """A provider of the application."""

    def completion(self, *_args: Any, **_kwargs: Any) -> Any:
        """Fail in an unusual way."""
        raise Unusual("out of order")


def test_an_exception_whose_attributes_raise_is_recorded(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the message and the class that the caller sees."""
    providers = [{"provider": "own", "custom_handler": Unusable()}]
    monkeypatch.setattr(litellm, "custom_provider_map", providers)
    before = litespan.stats()
    with pytest.raises(RuntimeError) as caught:
        litellm.completion(**traced.chat(model="own/model"))
    span = traced.span
    assert (span["attributes"]["error.type"], span["description"]) == (
        type(caught.value).__name__,
        str(caught.value),
    )
    request = Request(Target("completion", CHAT), {})
    failure = read_failure(request, Unusual("out of order"))
    assert (failure.type, failure.message, failure.code) == ("Unusual", "out of order", None)
    assert litespan.stats().get("errors.reading an error") == before.get("errors.reading an error")


def test_a_failed_task_of_an_agent_may_have_any_text() -> None:
    """Only what is text is in the message."""
    parts = [{"kind": "text", "text": 5}, {"kind": "text", "text": "out of order"}]
    answer = {"result": {"status": {"state": "failed", "message": {"parts": parts}}}}
    assert a2a.error(answer) == {"type": "task_failed", "message": "out of order"}


async def test_the_exception_is_unchanged(traced: Traced) -> None:
    """The caller gets the same object, without added attributes."""
    with pytest.raises(litellm.RateLimitError) as caught:
        await litellm.acompletion(**traced.chat(provider={"status": 429}))
    assert not [name for name in vars(caught.value) if "litespan" in name]


async def test_a_timeout_of_the_caller_is_a_cancelled_call(traced: Traced) -> None:
    """`asyncio.wait_for` cancels the call; this is not an error."""
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(litellm.acompletion(**traced.chat(provider={"delay": 30.0})), 0.4)
    assert traced.span["attributes"]["litellm.outcome"] == "cancelled"
