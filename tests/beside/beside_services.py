"""Services' own SDKs beside an exporter for the same service are reported with the fix."""

from collections.abc import Iterator

import litellm
import logfire
import pytest
import sentry_sdk
from openinference.instrumentation.litellm import LiteLLMInstrumentor as OpenInferenceLiteLLM
from opentelemetry import trace
from opentelemetry.instrumentation.litellm import LiteLLMInstrumentor as OpenLLMetryLiteLLM
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.litellm import LiteLLMIntegration
from sentry_sdk.integrations.otlp import OTLPIntegration
from traceloop.sdk import Traceloop
from traceloop.sdk.instruments import Instruments

from litespan_exporters.sentry import SentryExporter
from tests.beside.conftest import Beside
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, Sentry

LISTS = ("input_callback", "success_callback", "failure_callback")


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A Sentry; LiteLLM's lists are afterwards what they were."""
    for name in LISTS:
        monkeypatch.setattr(litellm, name, [*getattr(litellm, name)])
    with running(Sentry()) as vendor:
        yield vendor
        sentry_sdk.get_client().close(0)
        sentry_sdk.get_global_scope().set_client(None)
        # OTLPIntegration adds a processor for good.
        if isinstance(provider := trace.get_tracer_provider(), TracerProvider):
            provider._active_span_processor.shutdown()


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that litespan has logged."""
    return [record.getMessage() for record in caplog.records if record.name == "litespan"]


@pytest.mark.parametrize(
    ("integration", "fix"),
    [
        (LiteLLMIntegration(), "disabled_integrations=[LiteLLMIntegration()]"),
        (OTLPIntegration(setup_propagator=False), "setup_otlp_traces_exporter=False"),
        (OTLPIntegration(setup_otlp_traces_exporter=False, setup_propagator=False), ""),
    ],
    ids=["LiteLLMIntegration", "OTLPIntegration", "linked only"],
)
def test_active_sentry_integrations_are_reported_once_with_the_fix(
    integration: sentry_sdk.integrations.Integration,
    fix: str,
    vendor: Vendor,
    beside: Beside,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only if they are active."""
    dsn = vendor.url.replace("//", f"//{SECRET}@") + "/1"
    sentry_sdk.init(dsn, integrations=[integration], auto_enabling_integrations=False)
    exporter = SimpleSpanProcessor(SentryExporter(dsn))
    beside.telemetry.tracer_provider.add_span_processor(exporter)
    beside.start()
    for _ in range(2):
        litellm.completion(**beside.chat())
    lines = warned(caplog)
    assert [fix in line for line in lines] == ([True] if fix else [])


@pytest.mark.parametrize("name", ["sentry", "helicone"])
def test_a_callback_of_the_exporters_service_is_reported(
    name: str,
    vendor: Vendor,
    beside: Beside,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """LiteLLM then sends to the same service."""
    dsn = vendor.url.replace("//", f"//{SECRET}@") + "/1"
    exporter = SimpleSpanProcessor(SentryExporter(dsn))
    beside.telemetry.tracer_provider.add_span_processor(exporter)
    beside.start()
    span = beside.telemetry.tracer_provider.get_tracer("shop").start_span("shop")
    litellm.failure_callback.append(name)
    span.end()  # an export; LiteLLM does not come to see the list
    lines = warned(caplog)
    assert ["from litellm.failure_callback" in line for line in lines] == (
        [True] if name == "sentry" else []
    )


def test_logfires_litellm_instrumentation_is_reported_with_its_fix(
    beside: Beside, caplog: pytest.LogCaptureFixture
) -> None:
    """It is OpenInference's instrumentation, but the fix is Logfire's."""
    logfire.configure(send_to_logfire=False, console=False)
    try:
        logfire.instrument_litellm()
        beside.start()
        litellm.completion(**beside.chat())
    finally:
        OpenInferenceLiteLLM().uninstrument()
    (line,) = warned(caplog)
    assert line.endswith("Turn it off: remove logfire.instrument_litellm()")


@pytest.mark.parametrize("blocked", [False, True])
def test_traceloops_instrumentation_is_reported_and_the_fix_prevents_it(
    blocked: bool, beside: Beside, caplog: pytest.LogCaptureFixture
) -> None:
    """Its SDK turns on OpenLLMetry's instrumentation; the line in the message prevents this."""
    Traceloop.init(
        exporter=InMemorySpanExporter(),
        disable_batch=True,
        telemetry_enabled=False,
        instruments={Instruments.LITELLM},
        block_instruments={Instruments.LITELLM} if blocked else None,
    )
    try:
        beside.start()
        litellm.completion(**beside.chat())
    finally:
        OpenLLMetryLiteLLM().uninstrument()
    assert [
        "Traceloop.init(block_instruments={Instruments.LITELLM})" in line for line in warned(caplog)
    ] == ([] if blocked else [True])
