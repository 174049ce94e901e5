"""Calls that hang, by real LiteLLM calls and the list of those that start."""

import threading
from collections.abc import Iterator

import litellm
import pytest

import litespan
from litespan.alerting import Thresholds
from litespan_exporters.slack import SlackExporter
from tests.calls.conftest import Traced, quiet_litellm, traced
from tests.support.server import Reply, Vendor, running

__all__ = ["quiet_litellm", "traced"]


@pytest.fixture
def slack(traced: Traced) -> Iterator[Vendor]:
    """A webhook, given the calls that start and those that fail, not those that succeed."""
    litellm.completion(**traced.chat())  # the first call of a process loads what it needs
    with running(lambda _: Reply(200, b"ok")) as vendor:
        exporter = SlackExporter(f"{vendor.url}/services/T", thresholds=Thresholds(hanging=3.0))
        litespan.configure(input=[exporter], failure=[exporter])
        yield vendor
        litespan.configure(input=[], failure=[])


def test_only_the_call_that_hangs_is_told(traced: Traced, slack: Vendor) -> None:
    """One alert for it while it hangs; none for a call that ended unseen."""
    litellm.completion(**traced.chat(model="openai/gpt-4o"))  # an alert of its own, if told
    told = threading.Event()
    fault = slack.accept

    def accept(request: object) -> Reply:
        told.set()
        return fault(request)  # type: ignore[arg-type]

    slack.accept = accept
    thread = threading.Thread(
        target=litellm.completion, kwargs=traced.chat(provider={"delay": 7.0}), daemon=True
    )
    thread.start()
    assert told.wait(10)
    thread.join(15)
    assert litespan.flush(10)
    bodies = [request.body.decode() for request in slack.received]
    assert len(bodies) == 1
    assert "A call of gpt-4o-mini has not ended after 3 s" in bodies[0]
    assert "A call of gpt-4o has" not in bodies[0]
