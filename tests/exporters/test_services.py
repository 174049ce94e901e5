"""Real LiteLLM calls under `opentelemetry-instrument`, to eight services on loopback at once."""

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from typing import Any

import pytest

from litespan.testing import LoopbackProvider
from tests.support.program import run
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, VENDORS

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
    litellm.text_completion("Once", model="gpt-3.5-turbo-instruct")
    try:
        litellm.completion(**hi, api_base="http://127.0.0.1:9", max_retries=0)
    except litellm.InternalServerError:
        print("refused")
"""
CALLS = 6
SERVICES = (
    "athina",
    "logfire",
    "loki",
    "lunary",
    "posthog",
    "sentry",
    "supabase",
    "traceloop",
)


@pytest.fixture(scope="module")
def services(loopback: LoopbackProvider) -> Iterator[dict[str, Vendor]]:
    """What each got of one run of the program."""
    with ExitStack() as stack:
        vendors = {name: stack.enter_context(running(VENDORS[name]())) for name in SERVICES}
        variables: dict[str, str] = {}
        for found in entry_points(group="opentelemetry_traces_exporter"):
            if found.name in vendors:
                variables |= found.load().variables_for(vendors[found.name].url, SECRET)
        ran = run(
            PROGRAM,
            instrument=True,
            env={
                **variables,
                "OTEL_TRACES_EXPORTER": ",".join(SERVICES),
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "OTEL_SERVICE_NAME": "shop",
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging",
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
                "OPENAI_BASE_URL": loopback.url,
                "OPENAI_API_KEY": "sk-loopback",
            },
        )
        assert ran.stdout.endswith("refused\n")
        assert (ran.code, ran.stderr) == (0, "")
        yield vendors


def records(services: dict[str, Vendor], name: str) -> list[Any]:
    """What arrived."""
    found: list[Any] = list(services[name].accept.records.values())  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_each_call_follows_the_services_rules(services: dict[str, Vendor], name: str) -> None:
    """One record per call, and Sentry's event; none of them has a key."""
    vendor = services[name]
    assert vendor.wrong == []
    assert len(records(services, name)) == (CALLS + 1 if name == "sentry" else CALLS)
    assert all(b"sk-loopback" not in request.body for request in vendor.received)
    bodies = b"".join(request.body for request in vendor.received)
    shown = (b"user-42", b"sess-7", b"checkout", b"refund", b"Say hello", b"staging")
    assert [word for word in shown if word not in bodies] == []


def test_sentry_has_the_failure_as_an_issue(services: dict[str, Vendor]) -> None:
    """One event, linked to the span of the failed call."""
    (event,) = [record for record in records(services, "sentry") if "exception" in record]
    assert event["tags"]["error.type"] == "InternalServerError"
    sent = services["sentry"].accept.records  # type: ignore[attr-defined]
    assert sent[event["contexts"]["trace"]["span_id"]]["status"]["code"] == 2
    assert event["environment"] == "staging"


def test_posthog_has_costs_and_event_types(services: dict[str, Vendor]) -> None:
    """All three costs of each successful call; text completions are generations."""
    shown = [record["attributes"] for record in records(services, "posthog")]
    assert sorted(a["gen_ai.operation.name"] for a in shown) == ["chat"] * 5 + ["embeddings"]
    good = [a for a in shown if "error.type" not in a]
    assert all(a["$ai_input_cost_usd"] > 0 and "$ai_output_cost_usd" in a for a in good)
    assert len([a for a in shown if a.get("$ai_time_to_first_token")]) == 1


def test_supabase_has_litellms_columns(services: dict[str, Vendor]) -> None:
    """Five successes and a failure, with cost and tokens."""
    rows = records(services, "supabase")
    assert sorted(row["status"] for row in rows) == ["failure"] + ["success"] * 5
    good = [row for row in rows if row["status"] == "success"]
    assert all(row["total_cost"] > 0 for row in good)
    assert all(row["additional_details"]["input_tokens"] > 0 for row in good)


def test_loki_has_readable_lines(services: dict[str, Vendor]) -> None:
    """Severity, text and figures."""
    lines = [line for line, _ in records(services, "loki")]
    assert [line["status"] for line in lines].count("failure") == 1
    assert any("gpt-4o-mini success" in line["message"] for line in lines)


INPUTS = ("sentry", "supabase", "loki", "lunary")
FAILING = """
    import litellm

    hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello"}]}
    litellm.completion(**hi)
    try:
        litellm.completion(**hi, api_base="http://127.0.0.1:9", max_retries=0)
    except litellm.InternalServerError:
        print("refused")
"""


def test_exporters_in_the_input_list_send_each_call_when_it_starts(
    loopback: LoopbackProvider,
) -> None:
    """A breadcrumb, a row, a record, a start event."""
    with ExitStack() as stack:
        vendors = {name: stack.enter_context(running(VENDORS[name]())) for name in INPUTS}
        variables: dict[str, str] = {}
        for found in entry_points(group="opentelemetry_traces_exporter"):
            if found.name in vendors:
                variables |= found.load().variables_for(vendors[found.name].url, SECRET)
        ran = run(
            FAILING,
            instrument=True,
            env={
                **variables,
                "OTEL_TRACES_EXPORTER": "none",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "LITESPAN_INPUT": ",".join((*INPUTS, "posthog")),
                "LITESPAN_FAILURE": "sentry",
                "OPENAI_BASE_URL": loopback.url,
                "OPENAI_API_KEY": "sk-loopback",
            },
        )
        assert (ran.code, ran.stdout.endswith("refused\n")) == (0, True)
        assert [vendor.wrong for vendor in vendors.values()] == [[], [], [], []]
        (event,) = [record for record in records(vendors, "sentry") if "exception" in record]
        assert event["breadcrumbs"]["values"][0]["category"] == "litellm.input"
        assert [row["status"] for row in records(vendors, "supabase")] == ["initiated"] * 2
        assert [line["status"] for line, _ in records(vendors, "loki")] == ["started"] * 2
        assert [run["event"] for run in records(vendors, "lunary")] == ["start"] * 2
        assert "posthog cannot record calls that have only started" in ran.stderr
