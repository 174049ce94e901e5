"""Alerts about real LiteLLM calls: a router that falls back, and what is pending at the end."""

from typing import Any

import litellm
import pytest

import litespan
from litespan.alerting import Thresholds
from litespan_exporters.slack import SlackExporter
from tests.support.calls import Traced, quiet_litellm, traced
from tests.support.server import Reply, running

__all__ = ["quiet_litellm", "traced"]


@pytest.mark.parametrize("fails", [False, True], ids=["fine", "fell back"])
def test_a_fallback_is_one_warning(traced: Traced, fails: bool) -> None:
    """It has the models before and after the fallback.

    A warning waits for a digest, which the end of the exporter sends.
    """
    provider: dict[str, Any] = {"status": 500} if fails else {}
    ask = traced.chat()
    good = {k: v for k, v in ask.items() if k != "messages"}
    bad = {k: v for k, v in traced.chat(provider=provider).items() if k != "messages"}
    router = litellm.Router(
        model_list=[
            {"model_name": "desk", "litellm_params": {**bad, "max_retries": 0}},
            {"model_name": "spare", "litellm_params": {**good, "max_retries": 0}},
        ],
        fallbacks=[{"desk": ["spare"]}],
        num_retries=0,
    )
    with running(lambda _: Reply(200, b"ok")) as slack:
        exporter = SlackExporter(
            f"{slack.url}/services/T", thresholds=Thresholds(digest=3600.0, slow=None)
        )
        litespan.configure(success=[exporter], failure=[exporter])
        try:
            for _ in range(3):
                router.completion(model="desk", messages=ask["messages"])
        finally:
            litespan.configure(success=[], failure=[])  # ends the exporter
        bodies = "\n".join(request.body.decode() for request in slack.received)
    if not fails:
        assert slack.received == []
        return
    assert bodies.count("Fallback from desk to spare") == 2  # the text, and its block
    assert "InternalServerError from gpt-4o-mini" in bodies
