"""`LITESPAN_ADOPT` in the proxy takes over the lists of its `config.yaml`."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.conftest import FILES, config
from tests.proxy.running import MASTER, Proxy, proxy, until
from tests.support.server import Reply, Vendor, running
from tests.support.vendors import SECRET, Datadog, Helicone, Langfuse, Posthog, Sentry

LISTS: dict[str, Any] = {
    "input_callback": ["sentry"],
    "success_callback": ["helicone", "langfuse", "datadog"],
    "failure_callback": ["sentry", "slack"],
}
OURS = {"posthog", *(name for names in LISTS.values() for name in names)}
VENDORS = {
    "helicone": Helicone,
    "langfuse": Langfuse,
    "datadog": Datadog,
    "posthog": Posthog,
    "sentry": Sentry,
}


@pytest.fixture(scope="module", params=["the line", "instrumented"])
def moved(
    request: pytest.FixtureRequest,
    loopback: LoopbackProvider,
    collector: OtlpReceiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """What each vendor got of one good and one failing request, what the proxy said and has."""
    instrument = request.param == "instrumented"
    settings = config(loopback, **LISTS)
    del settings["router_settings"]["fallbacks"]
    settings["general_settings"] = {}  # the master key may do everything
    ours = [] if instrument else ["litespan.proxy.handler"]
    settings["litellm_settings"]["callbacks"] = ["posthog", *ours]
    with ExitStack() as stack:
        vendors: dict[str, Vendor] = {
            name: stack.enter_context(running(kind())) for name, kind in VENDORS.items()
        }
        vendors["slack"] = stack.enter_context(running(lambda _: Reply(200, b"ok")))
        folder = tmp_path_factory.mktemp("adopting")
        with proxy(
            folder,
            settings,
            loopback,
            collector,
            files=FILES,
            env={"LITESPAN_ADOPT": "true", **where(vendors)},
            instrument=instrument,
        ) as gateway:
            ask(gateway)
            until(lambda: all(map(received_a_call, vendors.values())), "word from every vendor", 90)
            active = gateway.client(MASTER).get("/active/callbacks").raise_for_status().json()
        yield {"said": gateway, "active": active, **vendors}


def received_a_call(vendor: Vendor) -> bool:
    """Has it taken anything yet?"""
    return bool(getattr(vendor.accept, "taken", vendor.received))


def where(vendors: dict[str, Vendor]) -> dict[str, str]:
    """The variables that the services' users have set: ours, and those of LiteLLM's own."""
    host = vendors["sentry"].url.removeprefix("http://")
    return {
        "HELICONE_API_KEY": SECRET,
        "HELICONE_API_BASE": vendors["helicone"].url,
        "LANGFUSE_PUBLIC_KEY": SECRET,
        "LANGFUSE_SECRET_KEY": SECRET,
        "LANGFUSE_HOST": vendors["langfuse"].url,
        "DD_API_KEY": SECRET,
        "DD_SITE": "datadoghq.com",
        "DD_BASE_URL": vendors["datadog"].url,
        "DD_LLMOBS_AGENTLESS_ENABLED": "true",
        "DD_LLMOBS_OVERRIDE_ORIGIN": vendors["datadog"].url,
        "POSTHOG_API_KEY": SECRET,
        "POSTHOG_API_URL": vendors["posthog"].url,
        "SENTRY_DSN": f"http://{SECRET}@{host}/1",
        "SLACK_WEBHOOK_URL": f"{vendors['slack'].url}/services/T/B/x",
    }


def ask(gateway: Proxy) -> None:
    """One request that goes well, one that fails."""
    client = gateway.client(MASTER)
    for model, status in (("chat", 200), ("broken", 500)):
        body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}]}
        assert client.post("/v1/chat/completions", json=body).status_code == status


def test_one_line_lists_the_entries_that_were_taken_over(moved: dict[str, Any]) -> None:
    """By list, with the variable that turns content on."""
    lines = moved["said"].said("taken over from LiteLLM's lists")
    assert len(lines) == 1
    for name, entries in {**LISTS, "callbacks": ["posthog"]}.items():
        assert f"{name}: {', '.join(entries)}" in lines[0]
    assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" in lines[0]


def test_litellm_no_longer_has_the_entries(moved: dict[str, Any]) -> None:
    """Neither the names nor the loggers that LiteLLM creates from them at start."""
    left = moved["active"]["all_litellm_callbacks"]
    assert left  # the proxy's own hooks
    shown = json.dumps(left).lower()
    assert [name for name in sorted(OURS) if name in shown] == []


@pytest.mark.parametrize("name", ["helicone", "langfuse", "datadog"])
def test_a_successful_call_goes_to_the_success_callbacks(moved: dict[str, Any], name: str) -> None:
    """Once to each service of `success_callback`, and to no other."""
    vendor = moved[name]
    assert vendor.wrong == []
    # Langfuse and Datadog also show the router's span above the call.
    assert len(vendor.accept.taken) == (1 if name == "helicone" else 2)
    shown = json.dumps(list(vendor.accept.records.values()), default=str)
    assert "InternalServerError" not in shown
    assert "Say hello" not in shown


def test_a_callback_gets_success_and_failure(moved: dict[str, Any]) -> None:
    """An entry of `callbacks` receives both calls."""
    posthog = moved["posthog"]
    assert posthog.wrong == []
    assert len(posthog.accept.taken) == 2


def test_a_failed_call_goes_to_the_failure_callbacks(moved: dict[str, Any]) -> None:
    """One error at Sentry with the input as a breadcrumb, and one alert in Slack."""
    sentry = moved["sentry"]
    assert sentry.wrong == []
    events = [r for r in sentry.accept.records.values() if isinstance(r, dict) and "exception" in r]
    (event,) = events
    crumbs = [crumb["category"] for crumb in event["breadcrumbs"]["values"]]
    assert any("pre_api_call" in category for category in crumbs), crumbs
    (request,) = moved["slack"].received
    assert "InternalServerError from gpt-4o-mini" in request.body.decode()
