"""Guardrails that read the stream that a client is given, and those of unusual shapes."""

from collections.abc import AsyncIterator
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_guardrail import CustomGuardrail

from litespan.proxy import guardrail_runs
from tests.support.calls import Traced, quiet_litellm, traced

__all__ = ["quiet_litellm", "traced"]


class Reads(CustomGuardrail):
    """Lets chunks through until it sees a word."""

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> Any:
        """Read the stream."""
        async for chunk in response:
            if str(request_data["word"]) in str(chunk):
                raise ValueError("not this word")
            yield chunk


class Sync(CustomGuardrail):
    """One with a sync method of its own under the name of LiteLLM's async one."""

    def apply_guardrail(self, text: str) -> str:
        """Mask a text."""
        return text.replace("moon", "***")

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any
    ) -> Any:
        """Return an exception, which LiteLLM raises."""
        masked = self.apply_guardrail(data["text"])
        return ValueError(masked) if data["refuse"] else {**data, "text": masked}


def observed(guardrail: CustomGuardrail) -> Any:
    """The guardrail in LiteLLM's list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litellm, "callbacks", [guardrail])
        guardrail_runs.observe()
    return guardrail


@pytest.mark.parametrize(
    ("refuse", "expected"), [(False, ("passed", None)), (True, ("blocked", "ValueError"))]
)
async def test_a_guardrail_with_a_sync_method(
    traced: Traced, refuse: bool, expected: tuple[str, str | None]
) -> None:
    """The method returns what it did before; a returned exception is a refusal."""
    guardrail = observed(Sync(guardrail_name="sync"))
    assert guardrail.apply_guardrail("the moon") == "the ***"
    data = {"text": "the moon", "refuse": refuse}
    result = await guardrail.async_pre_call_hook(None, None, data, "completion")
    assert "the ***" in str(result)
    (span,) = [span for span in traced.spans if span["name"] == "litellm.guardrail sync"]
    said = span["attributes"]
    assert (said["litellm.guardrail.verdict"], said.get("error.type")) == expected


def through(stream: Any, word: str) -> AsyncIterator[Any]:
    """The stream as the client gets it from a proxy with the guardrail."""
    guardrail = observed(Reads(guardrail_name="reads"))
    found: AsyncIterator[Any] = guardrail.async_post_call_streaming_iterator_hook(
        user_api_key_dict=None, response=stream, request_data={"word": word}
    )
    return found


def verdict(traced: Traced) -> tuple[Any, Any, str]:
    """Verdict, error type and status of the guardrail's only span."""
    (span,) = [span for span in traced.spans if span["name"] == "litellm.guardrail reads"]
    said = span["attributes"]
    assert said["litellm.guardrail.mode"] == "post_call"
    return said.get("litellm.guardrail.verdict"), said.get("error.type"), span["status"]


async def test_a_stream_that_passes(traced: Traced) -> None:
    """The span ends after the last chunk."""
    stream = await litellm.acompletion(**traced.chat(stream=True))
    chunks = through(stream, "nowhere")
    assert await anext(chunks)
    assert not [span for span in traced.spans if "guardrail" in span["name"]]
    assert [chunk async for chunk in chunks]
    assert verdict(traced) == ("passed", None, "UNSET")


async def test_a_stream_that_is_refused(traced: Traced) -> None:
    """The client gets the guardrail's exception."""
    stream = await litellm.acompletion(**traced.chat(stream=True))
    with pytest.raises(ValueError, match="not this word"):
        assert [chunk async for chunk in through(stream, "Hello")]
    assert verdict(traced) == ("blocked", "ValueError", "UNSET")


async def test_a_stream_that_breaks(traced: Traced) -> None:
    """The provider's failure is not the guardrail's."""
    behaviour = {"error_after": 2, "message": "the machine is too hot"}
    stream = await litellm.acompletion(**traced.chat(stream=True, provider=behaviour))
    with pytest.raises(Exception, match="too hot"):
        assert [chunk async for chunk in through(stream, "nowhere")]
    assert verdict(traced) == (None, None, "UNSET")


async def test_a_client_that_leaves(traced: Traced) -> None:
    """The guardrail's generator is closed, and there is no verdict."""
    stream = await litellm.acompletion(**traced.chat(stream=True))
    chunks: Any = through(stream, "nowhere")
    await anext(chunks)
    await chunks.aclose()
    assert verdict(traced) == (None, None, "UNSET")
