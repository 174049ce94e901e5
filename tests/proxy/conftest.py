"""One proxy for most tests: its start costs more than all they do with it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.running import HERE, Proxy, model, proxy
from tests.support import passed
from tests.support.agent_server import agent_server
from tests.support.mcp_server import mcp_server
from tests.support.realtime import RealtimeProvider, realtime_provider
from tests.support.server import Received, Reply
from tests.support.server import running as serving
from tests.support.tls import server_context


@pytest.fixture(scope="session")
def collector() -> Iterator[OtlpReceiver]:
    """What all proxies of the run export to; tests tell their spans apart by trace id."""
    with OtlpReceiver() as receiver:
        yield receiver


BREAKS = {"error_after": 4, "status": 200, "message": "the machine is too hot"}


def talkers(speaking: RealtimeProvider) -> list[dict[str, Any]]:
    """Models that are used over a WebSocket."""
    at = {"api_base": speaking.url, "api_key": "sk-provider-secret-0123456789"}
    return [
        {"model_name": name, "litellm_params": {"model": model, **at}}
        for name, model in (("talk", "openai/gpt-realtime"), ("respond", "openai/gpt-4o-mini"))
    ]


def mcp_servers(url: str) -> dict[str, Any]:
    """The servers of the MCP gateway: one whose tools cost something."""
    costs = {"mcp_server_cost_info": {"default_cost_per_query": 0.02}}
    weather = {"url": url, "transport": "http", "allow_all_keys": True, "mcp_info": costs}
    return {"weather": weather}


def agents(url: str) -> list[dict[str, Any]]:
    """The agents of the A2A gateway: one that costs something."""
    card = {"name": "forecaster", "url": url}
    prices = {"cost_per_query": 0.05}
    return [{"agent_name": "weather", "agent_card_params": card, "litellm_params": prices}]


def models(provider: LoopbackProvider) -> list[dict[str, Any]]:
    """What the proxy serves: good models, and models that misbehave."""
    slow = {"chunks": 50, "pause": 0.2}
    info = {"owner": "platform", "rank": 2, "api_secret": "s3cret", "base_model": "gpt-4o-mini"}
    return [
        model("openai/gpt-4o-mini", provider, "chat", info=info),
        model("openai/gpt-3.5-turbo-instruct", provider, "text"),
        model("openai/gpt-4o-mini", provider, "slow", behaviour=slow),
        model("openai/gpt-4o-mini", provider, "hangs", behaviour={"delay": 20}),
        model("openai/gpt-4o-mini", provider, "broken", behaviour={"status": 500}, max_retries=0),
        model("openai/text-embedding-3-small", provider, "embed"),
        model("openai/gpt-image-1", provider, "image"),
        model("openai/whisper-1", provider, "hear"),
        model("openai/tts-1", provider, "speak"),
        model("cohere/rerank-english-v3.0", provider, "rank"),
        model("anthropic/claude-3-5-haiku-latest", provider, "claude"),
        model("hosted_vllm/llama", provider, "llama"),
        model("anthropic/claude-3-5-haiku-latest", provider, "claude-breaks", behaviour=BREAKS),
        model("openai/gpt-4o-mini", provider, "chat-breaks", behaviour=BREAKS),
    ]


def config(
    provider: LoopbackProvider, guardrail: str = "http://127.0.0.1:9", **settings: Any
) -> dict[str, Any]:
    """The `config.yaml` of an operator who has custom authentication and guardrails.

    `guardrail` is the address of one that is a service.
    """
    return {
        "model_list": models(provider),
        "litellm_settings": {
            "callbacks": "litespan.proxy.handler",
            "extra_spend_tag_headers": ["X-Cost-Centre", "x-auth-token"],
            **settings,
        },
        "router_settings": {"num_retries": 0, "fallbacks": [{"broken": ["chat"]}]},
        "general_settings": {
            "custom_auth": "auth.authenticate",
            "pass_through_endpoints": [
                {
                    "path": "/own/chat",
                    "target": f"{provider.url}/chat/completions",
                    "headers": {"authorization": "Bearer sk-provider-secret-0123456789"},
                    "cost_per_request": 0.25,
                },
                {"path": "/own/tool", "target": f"{provider.url}/tool"},
                {"path": "/own/breaks", "target": f"{provider.url_for(**BREAKS)}/messages"},
                {
                    "path": "/own/fails",
                    "target": f"{provider.url_for(finish='failed')}/responses",
                },
                {"path": "/own/reset", "target": f"{provider.url_for(reset=True)}/messages"},
            ],
        },
        "guardrails": [
            {
                "guardrail_name": "no-moon",
                "litellm_params": {
                    "guardrail": "guard.NoMoon",
                    "mode": "pre_call",
                    "default_on": True,
                },
            },
            {
                "guardrail_name": "no-sun",
                "litellm_params": {
                    "guardrail": "guard.NoSun",
                    "mode": ["pre_call", "post_call"],
                    "default_on": True,
                },
            },
            {
                "guardrail_name": "remote",
                "litellm_params": {
                    "guardrail": "generic_guardrail_api",
                    "mode": "pre_call",
                    "api_base": guardrail,
                },
            },
            {
                "guardrail_name": "no-hello",
                "litellm_params": {"guardrail": "guard.NoHello", "mode": "post_call"},
            },
        ],
    }


def upstream(url: str) -> dict[str, Any]:
    """A provider whose streams are not server-sent events, as endpoints and as a model."""
    key = "sk-provider-secret-0123456789"
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": key}
    bedrock = {
        "model": "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0",
        "aws_region_name": "us-east-1",
        "aws_bedrock_runtime_endpoint": url,
        **keys,
    }
    return {
        "pass_through_endpoints": [
            {"path": f"/up{path.partition(':')[0]}", "target": f"{url}{path}"}
            for path in passed.ANSWERS
        ],
        "model_list": [{"model_name": "haiku", "litellm_params": bedrock}],
    }


def provider_routes(provider: LoopbackProvider, **behaviour: Any) -> dict[str, str]:
    """Where `/anthropic/…`, `/gemini/…`, `/openai/…` lead, and with which key.

    LiteLLM knows some providers by their hosts: those are reached through an HTTP proxy, which
    is the loopback provider itself.
    """
    path = provider.url_for(**behaviour).removeprefix(provider.root).removesuffix("/v1")
    hosts = {
        "ANTHROPIC": "http://api.anthropic.com",
        "GEMINI": "http://generativelanguage.googleapis.com",
        "OPENAI": "http://api.openai.com",
        "MISTRAL": provider.root,
    }
    bases = {f"{name}_API_BASE": host + path for name, host in hosts.items()}
    keys = {f"{name}_API_KEY": "sk-provider-secret-0123456789" for name in hosts}
    return {**bases, **keys, "HTTP_PROXY": provider.root, "NO_PROXY": "127.0.0.1,localhost"}


FILES = {name: (HERE / name).read_text() for name in ("auth.py", "guard.py")}


@pytest.fixture(scope="session")
def gateway(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """The proxy with one line in its config, in a process of its own."""
    folder = tmp_path_factory.mktemp("gateway")
    tls, trusted = server_context(folder, "localhost")
    env = {
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-feature,authorization",
        "LITESPAN_PROXY_BODY": "temperature,safety_identifier,messages",
        **provider_routes(loopback),
    }
    refusal = {"action": "BLOCKED", "blocked_reason": "not here"}

    def refuse(_: Received) -> Reply:
        return Reply(200, json.dumps(refusal).encode(), {"Content-Type": "application/json"})

    with (
        serving(refuse) as guardrail,
        serving(passed.answer) as foreign,
        realtime_provider(tls) as speaking,
        mcp_server() as weather,
        agent_server() as agent,
    ):
        settings = config(loopback, guardrail.url)
        settings["agent_list"] = agents(agent)
        settings["mcp_servers"] = mcp_servers(weather)
        streams = upstream(foreign.url)
        settings["model_list"] += talkers(speaking) + streams["model_list"]
        endpoints = settings["general_settings"]["pass_through_endpoints"]
        endpoints += streams["pass_through_endpoints"]
        env |= {
            "SSL_CERT_FILE": str(trusted),
            "DEEPGRAM_API_BASE": speaking.url,
            "DEEPGRAM_API_KEY": "sk-provider-secret-0123456789",
        }
        with proxy(folder, settings, loopback, collector, files=FILES, env=env) as running:
            yield running
