"""The same call of real LiteLLM with and without litespan has the same outcome."""

import copy
import re
from collections.abc import Callable
from typing import Any

import litellm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litespan import LiteLLMInstrumentor
from litespan.testing import LoopbackProvider, Telemetry
from tests.fuzz.conftest import LONG
from tests.fuzz.values import ARGUMENTS, MESSAGES, TEXTS, VALUES
from tests.support.calls import KEY

pytestmark = pytest.mark.breaks_spans  # hostile values are not what the conventions have

SAFE = {  # reach the provider, whatever their value; others can lead the call to another host
    name: ARGUMENTS[name]
    for name in (
        *("messages", "tools", "metadata", "stop", "temperature", "max_tokens", "n", "seed"),
        *("user", "response_format", "reasoning_effort", "service_tier", "litellm_call_id"),
    )
}
MANNERS: tuple[dict[str, Any], ...] = (
    {},
    {"status": 400, "message": "no: {prompt}"},
    {"status": 500},
    {"break_after": 2},
    {"drop_after": 2},
    {"error_after": 1},
    {"usage": False},
)
OTHERS = {name: strategy for name, strategy in SAFE.items() if name != "messages"}
CALLS = st.lists(
    st.tuples(
        st.sampled_from(MANNERS),
        st.booleans(),
        st.one_of(
            st.fixed_dictionaries({"messages": st.lists(MESSAGES, max_size=2)}, optional=OTHERS),
            st.fixed_dictionaries({}, optional={name: st.one_of(VALUES, TEXTS) for name in SAFE}),
        ),
    ),
    min_size=1,
    max_size=4,
)
FEW = settings(max_examples=LONG // 4 or 6)
"""Each example makes many calls."""
VARYING = re.compile(r"0x[0-9a-f]+|chatcmpl-[0-9a-f-]+|\d+\.\d+ ?s(?:econds)?")
PLANTED = "planted-5d1c7e-in-a-message"


@pytest.fixture
def outcome(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What the caller of `litellm.completion` sees, and what is left of its arguments."""
    monkeypatch.setattr(litellm, "suppress_debug_info", True)

    def outcome(manners: dict[str, Any], stream: bool, given: dict[str, Any]) -> Any:
        arguments = {
            "model": "openai/gpt-4o-mini",
            **copy.deepcopy(given),
            "api_base": loopback.url_for(**manners),
            "api_key": KEY,
            "max_retries": 0,
            "stream": stream,
        }
        seen: list[Any] = []
        try:
            result = litellm.completion(**arguments)
            seen = [piece.model_dump() for piece in result] if stream else [result.model_dump()]
        except Exception as error:
            seen.append((type(error).__name__, shown(error)))
        for answer in seen:
            if isinstance(answer, dict):
                answer.pop("created", None)
        return VARYING.sub("…", shown((seen, {k: arguments[k] for k in given})))

    return outcome


def shown(value: Any) -> str:
    """Its text; some values have none."""
    try:
        return repr(value)
    except Exception as error:
        return type(error).__name__


@FEW
@given(calls=CALLS)
def test_the_outcome_is_that_without_litespan(
    outcome: Callable[..., Any], calls: list[tuple[Any, bool, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answer, chunks, exception, message, arguments: all the same, with content and metrics."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT")
    bare = [outcome(*call) for call in calls]
    telemetry = Telemetry()
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        assert [outcome(*call) for call in calls] == bare
    finally:
        instrumentor.uninstrument()
    assert telemetry.spans  # all can be encoded


@FEW
@given(said=st.one_of(VALUES, st.lists(MESSAGES, max_size=2)), manners=st.sampled_from(MANNERS))
def test_no_content_is_recorded_by_default(
    outcome: Callable[..., Any], said: Any, manners: dict[str, Any]
) -> None:
    """What a message says is nowhere on the span, not even in the message of an error."""
    message = {"role": "user", "content": PLANTED}
    parts = {"role": "user", "content": [{"type": "text", "text": PLANTED}, said]}
    telemetry = Telemetry()
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        for messages in ([message], [parts], [message, said], said):
            outcome(manners, False, {"messages": messages})
            outcome(manners, True, {"messages": messages})
    finally:
        instrumentor.uninstrument()
    recorded = repr((telemetry.spans, telemetry.logs, telemetry.metrics))
    assert PLANTED not in recorded
    assert KEY not in recorded
