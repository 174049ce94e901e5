"""Real LiteLLM calls through the base configuration: what is kept, counted and reported."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.sdk.trace import ReadableSpan

from litespan.export import GenAISpan
from litespan.testing import LoopbackProvider
from tests import cases
from tests.collector.running import BASE, Collector, collector, get, json_of, validate, wait_for
from tests.collector.spans import by_id, call
from tests.support.program import run

PROGRAM = """
    import sys

    import litellm

    hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": sys.argv[1]}]}
    for _ in range(3):
        litellm.completion(**hi, user="ann@example.com")
    for chunk in litellm.completion(**hi, stream=True):
        pass
    litellm.embedding("openai/text-embedding-3-small", ["a"])
    try:
        litellm.completion(**hi, api_base="http://127.0.0.1:9", max_retries=0)
    except litellm.InternalServerError:
        print("refused")
"""
SECRET = "write to bob@example.com\nwith sk-" + "aB3x" * 6


@pytest.fixture(scope="module")
def program(
    loopback: LoopbackProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """A collector that an instrumented LiteLLM program has sent to."""
    with collector(tmp_path_factory.mktemp("program")) as running:
        env = {
            "OPENAI_BASE_URL": loopback.url,
            "OPENAI_API_KEY": "sk-loopback",
            "OTEL_EXPORTER_OTLP_ENDPOINT": running.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
            "OTEL_SERVICE_NAME": "help-desk",
        }
        ran = run(PROGRAM, SECRET, env=env, instrument=True)
        assert (ran.code, "refused" in ran.stdout) == (0, True), ran.stderr
        running.wait_spans(6)
        yield running


def views(spans: list[ReadableSpan]) -> list[GenAISpan]:
    """The GenAI spans among them."""
    return [view for span in spans if (view := GenAISpan.read(span)) is not None]


def test_the_calls_arrive_completely(program: Collector) -> None:
    """Every call of the program, with tokens, cost, user and error."""
    calls = views(program.spans())
    assert sorted(call.operation for call in calls) == ["chat"] * 5 + ["embeddings"]
    assert [call.error.type for call in calls if call.error] == ["InternalServerError"]
    answered = [call for call in calls if call.operation == "chat" and not call.error]
    assert all((call.usage.input or 0) > 0 and (call.cost.total or 0) > 0 for call in answered)
    assert {call.identity.user for call in answered} == {"ann@example.com", None}


def test_messages_are_masked(program: Collector) -> None:
    """The user's message has neither the address nor the key, and is still JSON."""
    chats = [span for span in program.spans() if span.name.startswith("chat")]
    texts = {json_of(span, "gen_ai.input.messages")[0]["parts"][0]["content"] for span in chats}
    assert texts == {"write to ****\nwith ****"}


def test_metrics_by_model_provider_operation_and_team(program: Collector) -> None:
    """Counters of calls, tokens and cost have these labels, and equal the spans' values."""
    labels = {"model": "gpt-4o-mini", "provider": "openai", "operation": "chat"}
    answered = [call for call in views(program.spans()) if call.operation == "chat"]
    wait_for(lambda: program.total("genai_calls_total", **labels) == 5, "the metrics")
    assert program.total("genai_calls_total", error="InternalServerError", team="none") == 1
    assert program.total("genai_duration_seconds_count", **labels) == 5
    assert program.total("genai_input_tokens_total", **labels) == sum(
        call.usage.input or 0 for call in answered
    )
    assert program.total("genai_cost_usd_total", **labels) == pytest.approx(
        sum(call.cost.total or 0 for call in answered)
    )
    assert program.total("genai_first_chunk_seconds_count", **labels) == 1


def test_labels_are_bounded(program: Collector) -> None:
    """No user, session, call, key or text in a model's name becomes a label."""
    labels = {name for found, has, _ in program.samples() if "genai_" in found for name in has}
    assert labels - {"le", "job", "instance"} <= {
        *("operation", "provider", "model", "team", "error", "stream", "status_code"),
        *("service_name", "gen_ai_operation_name", "gen_ai_provider_name"),
        *("gen_ai_request_model", "gen_ai_response_model", "gen_ai_token_type"),
        *("server_address", "server_port", "error_type"),
    }


def test_the_applications_own_metrics_pass(program: Collector) -> None:
    """The histograms that litespan records are available for Prometheus, too."""
    names = {name for name, _, _ in program.samples()}
    assert "gen_ai_client_operation_duration_seconds_count" in names


def test_failed_calls_go_to_the_alerts_file(program: Collector) -> None:
    """The file has the failed call and nothing else, regardless of sampling."""
    (alert,) = views(program.wait_spans(1, "alerts"))
    assert alert.error is not None
    assert alert.error.type == "InternalServerError"


def test_the_health_check_answers_and_spans_are_counted(program: Collector) -> None:
    """The collector counts received and sent spans."""
    assert "Server available" in (get(program.health) or "")
    wait_for(lambda: _own(program, "otelcol_receiver_accepted_spans") >= 6, "its own metrics")
    assert _own(program, "otelcol_receiver_refused_spans") == 0


def _own(running: Collector, name: str) -> float:
    return sum(
        value
        for found, _, value in running.samples(running.self_metrics)
        if found.removesuffix("_total").removesuffix("__spans_") == name
    )


def test_the_configuration_is_valid_without_variables() -> None:
    """It needs no account and no environment."""
    assert validate(BASE) == ""


def test_the_collector_starts_without_a_warning(program: Collector) -> None:
    """With the repository's files."""
    lines = program.log.read_text().splitlines()
    assert [line for line in lines if "\twarn\t" in line or "deprecated" in line] == []


@pytest.mark.parametrize("name", [name for name in cases.CASES if name != "surrogate"])
def test_litespans_own_spans_are_unchanged(running: Collector, name: str) -> None:
    """A span without secrets keeps every field."""
    sent = cases.CASES[name]
    running.send([sent])
    span_id = sent.context.span_id if sent.context else 0
    got = wait_for(lambda: by_id(running.spans()).get(span_id), name)
    assert got is not None
    assert _read(sent) == _read(got)


def _read(span: ReadableSpan) -> dict[str, Any]:
    view = GenAISpan.read(span)
    assert view is not None
    events = [(event.name, dict(event.attributes or {}), event.timestamp) for event in span.events]
    empty = {name for name, value in view.attributes.items() if value == ()}
    return {
        "attributes": {k: v for k, v in view.attributes.items() if k not in empty},
        "events": events,
        "times": (view.start_ns, view.end_ns),
        "status": (span.status.status_code, span.status.description),
        "service": view.service,
    }


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that keeps 20 % of ordinary traces, with 403 calls sent to it."""
    env = {"OTELCOL_SHARE_PERCENT": "20"}
    with collector(tmp_path_factory.mktemp("sampled"), env=env) as running:
        spent = {"gen_ai.usage.cost": 0.001, "gen_ai.usage.input_tokens": 10}
        running.send([call(spent) for _ in range(400)])
        running.send(
            [
                call({**spent, "litellm.call_id": "failed"}, error="boom"),
                call({**spent, "litellm.call_id": "slow"}, seconds=11),
                call({**spent, "gen_ai.usage.cost": 2.5, "litellm.call_id": "dear"}),
            ]
        )
        yield running


def test_errors_slow_and_expensive_are_kept(sampled: Collector) -> None:
    """All three, although four of five ordinary calls are not kept."""
    wait_for(lambda: {"failed", "slow", "dear"} <= _call_ids(sampled), "the kept ones")


def test_a_share_of_the_rest_is_kept(sampled: Collector) -> None:
    """About a fifth of 400, within five standard deviations."""
    wait_for(lambda: len(sampled.spans()) > 43, "the share")
    assert 40 < len(sampled.spans()) - 3 < 120


def test_totals_include_every_call(sampled: Collector) -> None:
    """Including those that sampling drops."""
    wait_for(lambda: sampled.total("genai_calls_total", team="none") == 403, "the metrics")
    assert sampled.total("genai_cost_usd_total") == pytest.approx(402 * 0.001 + 2.5)
    assert sampled.total("genai_input_tokens_total", team="none") == 4030


def test_all_spans_of_a_trace_are_kept_or_dropped_together(sampled: Collector) -> None:
    """Successful calls are kept if another call of their trace failed. The team is a label."""
    who = {"litellm.team.id": "team-1", "litellm.team.alias": "payments"}
    fine = [call({**who, "litellm.call_id": f"t{n}"}, trace_id=0xABC) for n in range(5)]
    failed = call({**who, "litellm.call_id": "t5"}, trace_id=0xABC, error="boom")
    sampled.send([*fine, failed])
    wait_for(lambda: {f"t{n}" for n in range(6)} <= _call_ids(sampled), "the trace")
    wait_for(lambda: sampled.total("genai_calls_total", team="payments") == 6, "the metrics")


def test_numbers_as_text_count(sampled: Collector) -> None:
    """Costs and tokens as text are in the totals; a NaN does not affect them."""
    texts = {"gen_ai.usage.cost": "0.9", "gen_ai.usage.input_tokens": "10"}
    team = {"litellm.team.id": "texts", "gen_ai.request.stream": "True"}
    shown = [call({**team, **texts, "litellm.call_id": f"n{n}"}, scope="other") for n in range(20)]
    sampled.send([*shown, call({**team, "gen_ai.usage.cost": float("nan")}, scope="other")])
    wait_for(lambda: {f"n{n}" for n in range(20)} <= _call_ids(sampled), "all of them")
    labels = {"team": "texts", "stream": "true"}
    wait_for(lambda: sampled.total("genai_calls_total", **labels) == 21, "the metrics")
    assert sampled.total("genai_calls_total", team="texts") == 21
    assert sampled.total("genai_cost_usd_total", team="texts") == pytest.approx(18)
    assert sampled.total("genai_input_tokens_total", team="texts") == 200


def test_idle_series_are_removed_together() -> None:
    """After a day, not before: otherwise a series would start again at zero too early."""
    config = yaml.safe_load(BASE.read_text())
    idle = {
        config["processors"]["delta_to_cumulative"]["max_stale"],
        config["connectors"]["span_metrics"]["metrics_expiration"],
        config["exporters"]["prometheus"]["metric_expiration"],
    }
    assert idle == {"${env:OTELCOL_SERIES_IDLE:-24h}"}


def _call_ids(running: Collector) -> set[Any]:
    return {(span.attributes or {}).get("litellm.call_id") for span in running.spans()}


def test_an_agents_span_does_not_count_twice(running: Collector) -> None:
    """Tokens of spans above calls are in no total, because the calls have them."""
    team = {"litellm.team.id": "agents", "gen_ai.usage.input_tokens": 7}
    running.send([call({**team, "gen_ai.operation.name": "invoke_agent"}), call(team)])
    wait_for(lambda: running.total("genai_calls_total", team="agents"), "the metrics")
    assert running.total("genai_calls_total", team="agents") == 1
    assert running.total("genai_input_tokens_total", team="agents") == 7


def test_stopping_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM right after an answer: spans that wait for their decision are written."""
    with collector(tmp_path, env={"OTELCOL_DECISION_WAIT": "60s"}) as running:
        running.send([call() for _ in range(50)])
        assert running.stop() == 0
        assert len(running.spans()) == 50
        assert running.process is not None
        assert running.process.returncode != -signal.SIGKILL


def test_an_invalid_variable_stops_the_start(tmp_path: Path) -> None:
    """The error has the name of the setting."""
    running = Collector(tmp_path, env={"OTELCOL_SHARE_PERCENT": "lots"})
    done = subprocess.run(
        running.command, env=running.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "sampling_percentage" in done.stderr
