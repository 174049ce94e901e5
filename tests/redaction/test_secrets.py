"""Secrets in every argument of a call must not be in any signal."""

import inspect
from typing import Any

import litellm
import openai
import pytest

from litespan import LiteLLMInstrumentor
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import Traced

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
MARK = "S3CR3T"
SECRETS = {
    "api_key": f"sk-{MARK}-api-key-0123456789",
    "aws_access_key_id": f"AKIA{MARK}ACCESSKEY01",
    "aws_secret_access_key": f"{MARK}/aws/secret+0123456789",
    "aws_session_token": f"{MARK}-session-token",
    "vertex_credentials": f'{{"private_key": "{MARK}-vertex"}}',
    "azure_ad_token": f"eyJ{MARK}headerheader.eyJ{MARK}payload.sig{MARK}",
    "extra_headers": {"authorization": f"Bearer {MARK}-bearer", "x-api-key": f"{MARK}-header"},
    "headers": {"cookie": f"session={MARK}-cookie"},
    "metadata": {
        "api_key": f"{MARK}-metadata",
        "note": f"call with Bearer {MARK}-in-a-note please",
        "url": f"https://u:{MARK}-pw@host/p?token={MARK}-query",
        "user_api_key_auth": f"{MARK}-auth",
        "user_api_key": f"{MARK}-proxy-key",
        "requester_metadata": {"password": f"{MARK}-requester", "fine": "yes"},
        "headers": {"authorization": f"{MARK}-metadata-header"},
    },
    "litellm_metadata": {"secret_fields": f"{MARK}-fields"},
}


def given(traced: Traced, **behaviour: Any) -> dict[str, Any]:
    """A chat completion with a secret wherever one fits."""
    base = traced.provider.url_for(**behaviour)
    if behaviour:  # no request survives these
        base = base.replace("http://", f"http://user:{MARK}-userinfo@") + f"?key={MARK}-base"
    return {**traced.chat(), **SECRETS, "api_base": base, "drop_params": True}


@pytest.mark.parametrize("mode", ["NO_CONTENT", "SPAN_AND_EVENT"])
@pytest.mark.parametrize(
    "behaviour",
    [{}, {"status": 401, "message": f"bad key sk-{MARK}-api-key-0123456789, header {MARK}-header"}],
    ids=["success", "failure"],
)
@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_no_secret_leaves(
    function: str,
    behaviour: dict[str, Any],
    mode: str,
    loopback: LoopbackProvider,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in spans, events, logs or metrics, nor in litespan's own log lines."""
    monkeypatch.setenv(CAPTURE, mode)
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    traced = Traced(loopback, telemetry)
    try:
        for stream in (False, True):
            try:
                result = getattr(litellm, function)(**given(traced, **behaviour), stream=stream)
                result = await result if inspect.isawaitable(result) else result
                if stream:
                    _ = [chunk async for chunk in result] if function[0] == "a" else list(result)
            except openai.OpenAIError:
                assert behaviour
    finally:
        instrumentor.uninstrument()
    assert len(traced.spans) == 2
    recorded = repr((traced.spans, telemetry.logs, telemetry.metrics))
    ours = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert MARK not in recorded
    assert MARK not in repr(ours)
