"""Maps LiteLLM's provider names to `gen_ai.provider.name`, and API bases to server attributes."""

import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from litespan import semconv as s
from litespan.objects import utf8

# https://github.com/open-telemetry/semantic-conventions-genai: the well-known values.
PROVIDERS: Final = MappingProxyType(
    {
        "openai": "openai",
        "text-completion-openai": "openai",
        "azure": "azure.ai.openai",
        "azure_text": "azure.ai.openai",
        "azure_ai": "azure.ai.inference",
        "anthropic": "anthropic",
        "anthropic_text": "anthropic",
        "bedrock": "aws.bedrock",
        "bedrock_converse": "aws.bedrock",
        "vertex_ai": "gcp.vertex_ai",
        "vertex_ai_beta": "gcp.vertex_ai",
        "gemini": "gcp.gemini",
        "cohere": "cohere",
        "cohere_chat": "cohere",
        "mistral": "mistral_ai",
        "codestral": "mistral_ai",
        "text-completion-codestral": "mistral_ai",
        "deepseek": "deepseek",
        "groq": "groq",
        "perplexity": "perplexity",
        "xai": "x_ai",
        "watsonx": "ibm.watsonx.ai",
        "watsonx_text": "ibm.watsonx.ai",
        "moonshot": "moonshot_ai",
        # Not in the conventions; LiteLLM has one name for each API of these.
        "ollama_chat": "ollama",
        "sagemaker_chat": "sagemaker",
        "sagemaker_nova": "sagemaker",
    }
)

# LiteLLM's routes between provider and model: which API and region to use.
# https://docs.litellm.ai/docs/providers/bedrock, …/azure, …/openai/responses_api
_ROUTES: Final[Mapping[str, str]] = {
    "bedrock": (
        r"(?:(?:converse|converse_like|invoke|async_invoke|mantle|openai|chat_completions"
        r"|responses|[a-z]{2}(?:-[a-z]+)+-\d|\d+-month-commitment)/)+"
    ),
    "azure": r"(?:(?:responses|chat|o_series|gpt5_series)/)+",
    "": r"(?:responses/)+",  # all others
}


# LiteLLM signs in when it looks up one of these: the user confirms a code in a browser.
_SIGN_IN: Final = frozenset({"github_copilot", "chatgpt"})


@lru_cache(maxsize=512)
def _route(provider: str) -> "re.Pattern[str]":
    """Compiled on first use, because that takes more time than anything else at the start."""
    return re.compile(_ROUTES.get(provider.removesuffix("_converse"), _ROUTES[""]))


def without_route(model: str, provider: str) -> str:
    """Return the model name without LiteLLM's routes."""
    route = _route(provider).match(model)
    return model[route.end() :] or model if route else model


def provider_name(provider: str) -> str:
    """Return the convention's name of a LiteLLM provider; unknown names are unchanged."""
    return PROVIDERS.get(provider, provider)


def resolve(model: str, provider: str | None, api_base: str | None) -> tuple[str, str]:
    """Return (model without provider and route, LiteLLM's provider name or "")."""
    litellm: Any = sys.modules.get("litellm")
    model = without_route(model, "")
    prefix, slash, rest = model.partition("/")
    stated = provider or (prefix if slash else "")
    if stated in _SIGN_IN:
        return model.removeprefix(f"{stated}/"), stated
    try:
        name, found, _, _ = litellm.get_llm_provider(
            model=model, custom_llm_provider=provider, api_base=api_base
        )
    except Exception:  # noqa: BLE001 - BadRequestError for an unknown model
        return (rest, prefix) if slash and not provider else (model, stated)
    return without_route(str(name), str(found or "")), str(found or "")


@lru_cache(maxsize=1024)
def server_attributes(api_base: str) -> Mapping[str, Any]:
    """Return `server.address` and `server.port` of an API base URL, and no other part of it."""
    try:
        parts = urlsplit(api_base if "//" in api_base else f"//{api_base}")
        host = parts.hostname
        port = parts.port or (80 if parts.scheme in ("http", "ws") else 443)
    except ValueError:  # not a URL, which LiteLLM reports to the caller
        return {}
    return {s.SERVER_ADDRESS: utf8(host), s.SERVER_PORT: port} if host else {}
