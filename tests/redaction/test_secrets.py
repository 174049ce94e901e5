"""Secrets in every argument of a call must not be in any signal."""

import inspect
from typing import Any

import litellm
import openai
import pytest

from litespan import LiteLLMInstrumentor
from litespan.redaction.text import scrub, scrub_error, secrets
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


TEXTS = {
    "the key is ya29.a0AfH6SMBx-0123456789": "the key is [redacted]",
    "the key is AQ.Ab8RN6KxYz0123456789": "the key is [redacted]",
    "the key is ghu_0123456789abcdef": "the key is [redacted]",
    "the key is github_pat_11ABCDEFG0_abcdef": "the key is [redacted]",
    "the key is csk-0123456789abcdef": "the key is [redacted]",
    "the key is xoxb-1234-5678-abcdef": "the key is [redacted]",
    "the key is dapi0123456789abcdef0123456789abcdef": "the key is [redacted]",
    "the key is ABSKQmVkcm9ja0FQSUtleS1hYmNk": "the key is [redacted]",
    "the key is ek_68af296e8e408191a1120ab6": "the key is [redacted]",
    "Incorrect API key provided: my-secre****0123.": "Incorrect API key provided: [redacted]",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG": "aws_secret_[redacted]",
    "AccountKey=aB3xaB3x==;EndpointSuffix=x": "[redacted]",
    'body: {\\"password\\": \\"hunter22\\"}': 'body: {\\"[redacted]\\"}',
    "bad: -----BEGIN PRIVATE KEY-----\nMIIE+/=\n-----END PRIVATE KEY-----!": "bad: [redacted]!",
    "bad: -----BEGIN RSA PRIVATE KEY-----\nMIIE": "bad: [redacted]",
    "redis://ann:hunter@22@db:6379/0": "redis://[redacted]@db:6379/0",
    "model jina-embeddings-v3 of team r8-drivers": "model jina-embeddings-v3 of team r8-drivers",
}


@pytest.mark.parametrize("text", TEXTS)
def test_credentials_of_many_services_are_masked(text: str) -> None:
    """Completely, because the start of a key identifies it."""
    assert scrub(text) == TEXTS[text]


NESTED: dict[str, Any] = {
    "tools": [{"type": "mcp", "headers": {"Authorization": f"{MARK} one"}}],
    "fallbacks": [{"model": "openai/gpt-4o", "api_key": f"{MARK} two"}],
    "extra_headers": [("x-session", f"{MARK} three")],
    "extra_body": {"routes": [{"auth": {"value": f"{MARK} four"}}]},
    "response_format": {"json_schema": {"schema": {"author": {"type": "string"}}}},
    "messages": [{"role": "user", "content": "hello, you"}] * 20_000,
}


def test_credentials_in_lists_are_found() -> None:
    """Behind any number of messages; fields of a JSON schema are none."""
    found = set(secrets(NESTED)) - {"x-session"}
    assert found == {f"{MARK} {number}" for number in ("one", "two", "three", "four")}


@pytest.mark.parametrize(
    "given", [(f"{MARK}-12", f"{MARK}-1234"), (f"{MARK}-" + "0123456789" * 600,)]
)
def test_a_credential_is_masked_as_a_whole(given: tuple[str, ...]) -> None:
    """Also if another one is its start, or if it is longer than the message."""
    assert scrub_error(f"bad key {given[-1]}!", given, ()) == "bad key [redacted]!"
