"""Real LiteLLM calls under `opentelemetry-instrument`, to three vendors on loopback at once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from litespan.testing import LoopbackProvider
from tests.support.program import run
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, Datadog, Helicone, Langfuse

pytestmark = pytest.mark.slow

PROGRAM = """
    import litellm

    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
    metadata = {"tags": ["checkout"], "feature": "refund", "session_id": "sess-7"}
    hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello"}]}
    litellm.completion(**hi, user="user-42", metadata=metadata, temperature=0.2)
    for chunk in litellm.completion(**hi, stream=True, stream_options={"include_usage": True}):
        pass
    litellm.completion(**hi, tools=tools)
    litellm.embedding("openai/text-embedding-3-small", ["a text"])
    try:
        litellm.completion(**hi, api_base="http://127.0.0.1:9", max_retries=0)
    except litellm.InternalServerError:
        print("refused")
"""

Vendors = dict[str, Vendor]


@pytest.fixture(scope="module")
def vendors(loopback: LoopbackProvider) -> Iterator[Vendors]:
    """What the three vendors got of one run of the program."""
    with (
        running(Helicone()) as helicone,
        running(Langfuse()) as langfuse,
        running(Datadog()) as datadog,
    ):
        ran = run(
            PROGRAM,
            instrument=True,
            env={
                "OTEL_TRACES_EXPORTER": "helicone,langfuse,datadog",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "OTEL_SERVICE_NAME": "shop",
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging",
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
                "OPENAI_BASE_URL": loopback.url,
                "OPENAI_API_KEY": "sk-loopback",
                "HELICONE_API_KEY": SECRET,
                "HELICONE_API_BASE": helicone.url,
                "LANGFUSE_PUBLIC_KEY": SECRET,
                "LANGFUSE_SECRET_KEY": SECRET,
                "LANGFUSE_BASE_URL": langfuse.url,
                "DD_API_KEY": SECRET,
                "DD_LLMOBS_OVERRIDE_ORIGIN": datadog.url,
            },
        )
        assert ran.stdout.endswith("refused\n")
        assert (ran.code, ran.stderr) == (0, "")
        yield {"helicone": helicone, "langfuse": langfuse, "datadog": datadog}


def records(vendor: Vendor) -> list[Any]:
    """What arrived."""
    found: list[Any] = list(vendor.accept.records.values())  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", ["helicone", "langfuse", "datadog"])
def test_each_call_arrives_once_within_the_vendors_rules(vendors: Vendors, name: str) -> None:
    """Five calls are five records, and none has a key."""
    vendor = vendors[name]
    assert vendor.wrong == []
    assert len(records(vendor)) == 5
    assert set(vendor.accept.taken.values()) == {1}  # type: ignore[attr-defined]
    assert all(b"sk-loopback" not in request.body for request in vendor.received)


def test_helicone_has_every_fact_of_a_call(vendors: Vendors) -> None:
    """User, messages, tokens, cost, time, failure."""
    logs = records(vendors["helicone"])
    (chat,) = [log for log in logs if "user-42" in str(log["providerRequest"]["meta"])]
    meta, asked = chat["providerRequest"]["meta"], chat["providerRequest"]["json"]
    assert meta["Helicone-User-Id"] == "user-42"
    assert meta["Helicone-Property-tags"] == "checkout"
    assert meta["Helicone-Property-environment"] == "staging"
    assert float(meta["Helicone-Property-cost_usd"]) > 0
    assert asked["messages"] == [{"role": "user", "content": "Say hello"}]
    assert asked["temperature"] == 0.2
    assert chat["providerResponse"]["json"]["choices"][0]["message"]["content"]
    assert chat["providerResponse"]["json"]["usage"]["prompt_tokens"] > 0
    assert [log for log in logs if "timeToFirstToken" in log["timing"]]
    assert sorted(log["providerResponse"]["status"] for log in logs) == [200, 200, 200, 200, 500]


def test_langfuse_has_every_fact_of_a_call(vendors: Vendors) -> None:
    """User, messages, tokens, cost, time, failure."""
    spans = [record["attributes"] for record in records(vendors["langfuse"])]
    (chat,) = [a for a in spans if a.get("user.id") == "user-42"]
    assert chat["langfuse.trace.tags"] == ["checkout"]
    assert chat["langfuse.trace.metadata.feature"] == "refund"
    assert chat["langfuse.environment"] == "staging"
    assert json.loads(chat["langfuse.observation.cost_details"])["total"] > 0
    assert json.loads(chat["langfuse.observation.usage_details"])["input"] > 0
    assert json.loads(chat["langfuse.observation.input"])[0]["content"] == "Say hello"
    assert json.loads(chat["langfuse.observation.output"])["content"]
    assert [a for a in spans if "langfuse.observation.completion_start_time" in a]
    assert [a["langfuse.observation.type"] for a in spans].count("embedding") == 1
    assert [a.get("langfuse.observation.level") for a in spans].count("ERROR") == 1


def test_datadog_has_every_fact_of_a_call(vendors: Vendors) -> None:
    """User, messages, tokens, cost, time, failure."""
    spans = records(vendors["datadog"])
    (chat,) = [span for span in spans if "user_id:user-42" in span["tags"]]
    assert {"env:staging", "service:shop", "tag:checkout"} <= set(chat["tags"])
    assert chat["ml_app"] == "shop"
    assert chat["metrics"]["total_cost"] > 0
    assert chat["metrics"]["input_tokens"] > 0
    assert chat["meta"]["input"]["messages"] == [{"role": "user", "content": "Say hello"}]
    assert chat["meta"]["output"]["messages"][0]["content"]
    assert chat["meta"]["metadata"]["feature"] == "refund"
    assert len([span for span in spans if "time_to_first_token" in span["metrics"]]) == 1
    assert [span["meta"]["kind"] for span in spans].count("embedding") == 1
    assert [span["status"] for span in spans].count("error") == 1


def test_each_vendor_gets_the_session_of_litellms_metadata(vendors: Vendors) -> None:
    """In the vendor's own field."""
    assert "sess-7" in {
        log["providerRequest"]["meta"].get("Helicone-Session-Id")
        for log in records(vendors["helicone"])
    }
    assert "sess-7" in {r["attributes"].get("session.id") for r in records(vendors["langfuse"])}
    assert "sess-7" in {span.get("session_id") for span in records(vendors["datadog"])}
