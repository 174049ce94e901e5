"""OTEL_CONFIG_FILE: each example works, and a mistake is one line while the program goes on."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import litellm
import pytest
from opentelemetry.configuration import load_config_file
from opentelemetry.configuration._meter_provider import create_meter_provider
from opentelemetry.configuration._resource import create_resource
from opentelemetry.configuration._tracer_provider import create_tracer_provider
from opentelemetry.configuration.models import MeterProvider as MeterConfig

from litespan import LiteLLMInstrumentor, errors, flush
from litespan.config_file import problems
from litespan.settings import Settings
from litespan.testing import LoopbackProvider, OtlpReceiver
from litespan_exporters.helicone import HeliconeExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.support.program import Ran, run
from tests.support.server import Reply, running
from tests.support.vendors import SECRET, Langfuse

EXAMPLES = Path(__file__).parents[1] / "examples" / "config-file"
CALL = """
    import litellm

    answer = litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
    print("answer:", answer.choices[0].message.content)
"""
ANSWER = "answer: Hello! How can I help you today?"
HANDLERS = """
from litellm.integrations.custom_logger import CustomLogger


class Handler(CustomLogger):
    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        print("handled:", kwargs["model"])


handler = Handler()
"""


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, loopback: LoopbackProvider) -> Any:
    """LiteLLM as a file configures it, by the SDK's own functions; used as a context manager."""

    @contextmanager
    def configuring(name: str, **env: str) -> Iterator[Callable[..., Any]]:
        for variable, value in env.items():
            monkeypatch.setenv(variable, value)
        config = load_config_file(EXAMPLES / name)
        resource = create_resource(config.resource)
        tracers = create_tracer_provider(config.tracer_provider, resource)
        meters = create_meter_provider(config.meter_provider or MeterConfig(readers=[]), resource)
        section = config.instrumentation_development
        given = (section.python or {})["litespan"] if section is not None else {}
        instrumentor = LiteLLMInstrumentor()
        instrumentor.instrument(tracer_provider=tracers, meter_provider=meters, **given)
        try:
            yield lambda **how: litellm.completion(
                "openai/gpt-4o-mini",
                [{"role": "user", "content": "Hi"}],
                api_base=loopback.url_for(**how),
                api_key="sk-loopback",
                max_retries=0,
            )
            tracers.force_flush()
        finally:
            instrumentor.uninstrument()
            tracers.shutdown()
            meters.shutdown()

    return configuring


def log_lines(ran: Ran) -> list[str]:
    """The lines about the configuration, without the SDK's own."""
    lines = (line for line in ran.stderr.splitlines() if "litespan" in line or "OTEL_" in line)
    return [line for line in lines if "configurator kwargs" not in line]


def test_a_service_and_a_collector_receive_the_calls(
    configured: Any, receiver: OtlpReceiver
) -> None:
    """Langfuse with arguments, secrets from the environment, and both generations of names."""
    with running(Langfuse()) as langfuse:
        env = {
            "COLLECTOR": receiver.env["OTEL_EXPORTER_OTLP_ENDPOINT"],
            "LANGFUSE_PUBLIC_KEY": SECRET,
            "LANGFUSE_SECRET_KEY": SECRET,
            "LANGFUSE_BASE_URL": langfuse.url,
        }
        with configured("service.yaml", **env) as call:
            call()
        assert langfuse.received
        assert langfuse.wrong == []
    assert [span["name"] for span in receiver.spans] == ["chat gpt-4o-mini"]
    assert receiver.resources[0]["service.name"] == "help-desk"
    names = {point["name"] for point in receiver.metrics}
    assert {"gen_ai.client.operation.duration", "gen_ai.client.inference.duration"} <= names


def test_a_store_receives_the_calls_with_content(configured: Any, tmp_path: Path) -> None:
    """Settings of the instrumentation are in the file, too."""
    calls = tmp_path / "calls.db"
    with configured("store.yaml", CALLS_FILE=str(calls)) as call:
        call()
    with sqlite3.connect(calls) as database:
        ((model, messages),) = database.execute("select request_model, input_messages from calls")
    assert model == "gpt-4o-mini"
    assert json.loads(messages)[0]["parts"][0]["content"] == "Hi"


def test_handlers_receive_the_calls(
    configured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """The file has a handler as `module.instance`."""
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(tmp_path)
    with configured("handlers.yaml") as call:
        call()
        assert flush(30)
    assert "handled: gpt-4o-mini" in capfd.readouterr().out.splitlines()


def test_an_alert_destination_in_the_file_sends_alerts(configured: Any, tmp_path: Path) -> None:
    """With thresholds."""
    with running(lambda _: Reply(200)) as destination:
        env = {
            "ALERT_URL": f"{destination.url}/hook",
            "ALERT_SECRET": SECRET,
            "LITESPAN_ALERTS_STATE": str(tmp_path / "state"),
        }
        with configured("alerts.yaml", **env) as call, pytest.raises(litellm.AuthenticationError):
            call(status=401)
        assert {request.path for request in destination.received} == {"/hook"}


@pytest.mark.slow
def test_each_mistake_is_one_line_and_the_call_is_recorded(
    loopback: LoopbackProvider, tmp_path: Path
) -> None:
    """Unknown options and settings, and a setting with two values."""
    file, calls = tmp_path / "otel.yaml", tmp_path / "calls.db"
    file.write_text(
        f"""
file_format: "1.0"
tracer_provider:
  processors:
    - simple: {{exporter: {{sqlite: {{paht: x, path: {calls}}}}}}}
instrumentation/development:
  python:
    litespan: {{content: SPAN_ONLY, contents: ALL, content_limit: none}}
"""
    )
    env = {
        "OPENAI_BASE_URL": loopback.url,
        "OPENAI_API_KEY": "sk-loopback",
        "OTEL_CONFIG_FILE": str(file),
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY",
        "OTEL_TRACES_EXPORTER": "console",
    }
    ran = run(CALL, instrument=True, env=env)
    assert (ran.code, ran.stdout.splitlines()[-1]) == (0, ANSWER)
    twice = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=EVENT_ONLY is ignored"
    assert log_lines(ran) == [
        "litespan: OTEL_CONFIG_FILE: the file replaces OTEL_TRACES_EXPORTER, which is ignored",
        (
            "litespan: OTEL_CONFIG_FILE: sqlite has no option 'paht', so it is ignored "
            "(did you mean path?)"
        ),
        "litespan has no setting 'contents', so it is ignored (did you mean content?)",
        f"litespan.content=SPAN_ONLY is used, and {twice}: remove one of them",
        "litespan.content_limit='none' is not a whole number above 0: using the default, 65536",
    ]
    with sqlite3.connect(calls) as database:
        ((content,),) = database.execute("select input_messages from calls")
    assert "Hi" in content


@pytest.mark.slow
def test_the_proxy_reads_the_file(tmp_path: Path) -> None:
    """Its own set-up applies the settings of the file; a later `instrument()` changes nothing."""
    program = """
        from opentelemetry import trace
        from litespan import LiteLLMInstrumentor
        from litespan.export import provider
        from litespan.instrumentation.signals import Live
        print(provider.set_up())
        processor = trace.get_tracer_provider()._active_span_processor._span_processors[0]
        print(type(processor.span_exporter).__name__)
        LiteLLMInstrumentor().instrument()
        print(Live.signals.settings.content)
    """
    env = {"OTEL_CONFIG_FILE": str(EXAMPLES / "store.yaml"), "CALLS_FILE": str(tmp_path / "c.db")}
    ran = run(program, env=env)
    assert ran.stdout.splitlines() == [
        *("those of OTEL_CONFIG_FILE", "SQLiteExporter", "SPAN_ONLY"),
    ], ran.stderr
    assert log_lines(ran) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["cannot be read", "correct the path"]),
        ("a: [", ["is not valid YAML", "line 1", "nothing is exported"]),
        ("a: 2026-99-99", ["is not valid YAML", "month must be in 1..12"]),
        ("tracer_provider: {processors: 7}", []),
        (
            "tracer_provider: {processors: [{batch: {exporter: {langfus: {}}}}]}",
            ["there is no exporter 'langfus'", "did you mean langfuse?"],
        ),
    ],
)
def test_a_file_that_the_sdk_rejects_is_explained_in_one_line(
    text: str | None, words: list[str], tmp_path: Path
) -> None:
    """The line also says that nothing is exported."""
    file = tmp_path / "otel.yaml"
    if text is not None:
        file.write_text(text)
    lines = problems({"OTEL_CONFIG_FILE": str(file)})
    assert len(lines) == bool(words)
    assert all(word in lines[0] for word in words)


def test_an_unknown_option_is_an_error_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """In code it is a TypeError; in a file it is one line, so that the rest still works."""
    monkeypatch.setattr(errors, "_seen", set())
    for cls in (SQLiteExporter, HeliconeExporter):
        monkeypatch.delenv("OTEL_CONFIG_FILE", raising=False)
        with pytest.raises(TypeError):
            cls(api_kye="x")
        monkeypatch.setenv("OTEL_CONFIG_FILE", "otel.yaml")
        cls(api_kye="x")


def test_settings_accept_values_of_yaml() -> None:
    """Lists, booleans, numbers and maps, as well as text."""
    settings = Settings.from_env(
        {},
        {
            "content_limit": 100,
            "adopt": True,
            "baggage": ["user.id", "tenant"],
            "exporter_content": {"langfuse": False, "datadog": 0.5, "loki": True},
            "redact": None,
        },
    )
    assert settings.content_limit == 100
    assert settings.adopt is True
    assert settings.baggage == ("user.id", "tenant")
    assert settings.exporter_content == (("langfuse", 0.0), ("datadog", 0.5), ("loki", 1.0))
    assert settings.redact == ""
