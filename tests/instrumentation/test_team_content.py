"""A team of LiteLLM's proxy that turns content on gets it where the operator's setting has it."""

from typing import Any

import litellm
import pytest
from opentelemetry import context as otel_context

from litespan.instrumentation.remote_client import CLIENT_KEY, Client
from litespan.mapping.team_settings import TeamSettings
from tests.support.calls import content


@pytest.mark.parametrize(
    ("mode", "on_span", "on_log"),
    [
        ("NO_CONTENT", True, False),
        ("SPAN_ONLY", True, False),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_team_turns_content_on(
    capture: Any, mode: str, *, on_span: bool, on_log: bool, stream: bool
) -> None:
    """On the span if the operator has turned it off, as with `true`."""
    client = Client()
    client.team = TeamSettings(content=True)
    token = otel_context.attach(otel_context.set_value(CLIENT_KEY, client))
    try:
        with capture(mode) as traced:
            body = {"model": "gpt-4o-mini"}
            asked = {"url": "http://proxy/chat/completions", "body": body, "headers": {}}
            metadata = {"user_api_key": "hash"}
            result = litellm.completion(
                **traced.chat(proxy_server_request=asked, metadata=metadata, stream=stream)
            )
            if stream:
                assert list(result)
    finally:
        otel_context.detach(token)
    assert bool(content(traced.span)) is on_span
    logged = [log["attributes"] for log in traced.telemetry.logs]
    assert any("gen_ai.input.messages" in attributes for attributes in logged) is on_log
