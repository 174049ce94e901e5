"""Guardrails of the operator's own, as LiteLLM documents them; copied beside the config."""

from typing import Any

from litellm.exceptions import GuardrailRaisedException
from litellm.integrations.custom_guardrail import CustomGuardrail


class NoMoon(CustomGuardrail):
    """Refuses to talk about the moon."""

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str
    ) -> Any:
        """Look at the request."""
        if "moon" in str(data.get("messages")):
            raise GuardrailRaisedException("no-moon", "the moon is not to be talked about")
        return data


class NoSun(CustomGuardrail):
    """Refuses to talk about the sun, in the way of LiteLLM's documented example."""

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str
    ) -> Any:
        """Look at the request."""
        if "sunshine" in str(data):
            raise ValueError("the sun is not to be talked about")
        return data

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> Any:
        """Read the stream that the client is given."""
        async for chunk in response:
            yield chunk


class NoHello(CustomGuardrail):
    """Lets no greeting out."""

    async def async_post_call_success_hook(
        self, data: Any, user_api_key_dict: Any, response: Any
    ) -> Any:
        """Look at the answer."""
        if "Hello" in str(response):
            raise GuardrailRaisedException("no-hello", "nobody is to be greeted")
        return response
