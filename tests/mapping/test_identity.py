"""User, session and other identity, from every source."""

import asyncio
import contextvars
import sys
import threading
from enum import Enum
from typing import Any

import litellm
import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context

import litespan
from litespan import LiteLLMInstrumentor
from litespan.mapping.identity import free_metadata
from litespan.mapping.proxy_request import body_attributes, model_info_attributes
from litespan.mapping.request import Request
from litespan.mapping.targets import CHAT, Target
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import Traced

WHO = ("user.id", "session.id", "gen_ai.conversation.id", "litellm.tags")


def who(span: dict[str, Any]) -> dict[str, Any]:
    """The identity on a span."""
    return {
        name: value
        for name, value in span["attributes"].items()
        if name in WHO or name.startswith("litellm.metadata.")
    }


GIVEN = [
    pytest.param({"user": "u"}, {"user.id": "u"}, id="user="),
    pytest.param({"metadata": {"user_id": "m"}}, {"user.id": "m"}, id="metadata.user_id"),
    pytest.param({"metadata": {"trace_user_id": "t"}}, {"user.id": "t"}, id="trace_user_id"),
    pytest.param({"user": "u", "metadata": {"user_id": "m"}}, {"user.id": "u"}, id="user= wins"),
    pytest.param(
        {"metadata": {"session_id": "s", "tags": ["a", "b"], "feature": "search", "n": 3}},
        {
            "session.id": "s",
            "gen_ai.conversation.id": "s",
            "litellm.tags": ["a", "b"],
            "litellm.metadata.feature": "search",
            "litellm.metadata.n": 3,
        },
        id="metadata",
    ),
    pytest.param(
        {"litellm_metadata": {"user_id": "l", "feature": "x"}},
        {"user.id": "l", "litellm.metadata.feature": "x"},
        id="litellm_metadata",
    ),
    pytest.param(
        {"metadata": {"api_key": "k", "password": "p", "auth_token": "t", "ok": True}},
        {"litellm.metadata.ok": True},
        id="secret names",
    ),
    pytest.param(
        {"metadata": {"list": [1], "dict": {}, "none": None, "object": object(), "bytes": b"x"}},
        {},
        id="only scalars",
    ),
    pytest.param({"metadata": None}, {}, id="metadata=None"),
    pytest.param({"metadata": {"tags": {"b", "a"}}}, {"litellm.tags": ["a", "b"]}, id="tag set"),
    pytest.param(
        {"metadata": {"author": "ann", "monkey": "m", "keyword": "k", "authority": "x"}},
        {
            "litellm.metadata.author": "ann",
            "litellm.metadata.monkey": "m",
            "litellm.metadata.keyword": "k",
            "litellm.metadata.authority": "x",
        },
        id="names that only look secret",
    ),
    pytest.param(
        {
            "metadata": {
                "apikey": "x",
                "openaiKey": "x",
                "primary_key": "x",
                "Authorization": "x",
                "authorised_by": "x",
                "oauth": "x",
                "session_tokens": "x",
                "tokens": "x",
                "client-secret": "x",
                "input_tokens": 7,
            }
        },
        {"litellm.metadata.input_tokens": 7},
        id="credentials by other names",
    ),
    pytest.param(
        {"metadata": {"spend_logs_metadata": {"owner": "ml", "deep": {}}, "owner": "me"}},
        {"litellm.metadata.owner": "ml"},
        id="spend_logs_metadata",
    ),
]


@pytest.mark.parametrize(("given", "expected"), GIVEN)
def test_identity_in_the_arguments_is_recorded(
    given: dict[str, Any], expected: dict[str, Any], traced: Traced
) -> None:
    """`user=`, `metadata=` and `litellm_metadata=` become attributes."""
    litellm.completion(**traced.chat(**given))
    assert who(traced.span) == expected


DEVICE, ACCOUNT, SESSION = "ab12" * 16, "0b1c2d3e-1111-4222-8333-444455556666", "e966-3a"
AGENTS = [
    (f"user_{DEVICE}_account_{ACCOUNT}_session_{SESSION}", ACCOUNT),
    (f"user_{DEVICE}_account__session_{SESSION}", DEVICE),
    (f"user_{DEVICE}_session_{SESSION}", DEVICE),
    (f'{{"device_id":"{DEVICE}","account_uuid":"{ACCOUNT}","session_id":"{SESSION}"}}', ACCOUNT),
    (f'{{"device_id":"{DEVICE}","account_uuid":"","session_id":"{SESSION}"}}', DEVICE),
]


@pytest.mark.parametrize(("user_id", "user"), AGENTS)
async def test_a_coding_agents_user_id_names_a_user_and_a_session(
    user_id: str, user: str, traced: Traced
) -> None:
    """The account, or the device, is the user; the session needs no header."""
    where = traced.to()
    del where["max_retries"]
    await litellm.anthropic_messages(
        model="anthropic/claude-3-5-haiku-latest",
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=9,
        metadata={"user_id": user_id},
        **where,
    )
    assert who(traced.span) == {
        "user.id": user,
        "session.id": SESSION,
        "gen_ai.conversation.id": SESSION,
    }


@pytest.mark.parametrize(
    "user_id", ["user_ann", "{not json", "[1]", '{"name": "ann"}', "a_session_b"]
)
def test_other_user_ids_are_unchanged(user_id: str, traced: Traced) -> None:
    """Only the format of coding agents is parsed; an explicit session takes precedence."""
    litellm.completion(**traced.chat(metadata={"user_id": user_id, "session_id": "own"}))
    assert who(traced.span)["user.id"] == user_id
    assert who(traced.span)["session.id"] == "own"


def test_the_identity_of_a_block_applies_to_its_calls(traced: Traced) -> None:
    """Inner blocks add to it; the call's own arguments take precedence."""
    with litespan.context(user="outer", session="s", tags=["a"], metadata={"team": "x"}):
        with litespan.context(user="inner", tags="b"):
            litellm.completion(**traced.chat())
            litellm.completion(**traced.chat(user="own"))
        litellm.completion(**traced.chat())
    litellm.completion(**traced.chat())
    first, second, third, fourth = map(who, traced.spans)
    assert first == {
        "user.id": "inner",
        "session.id": "s",
        "gen_ai.conversation.id": "s",
        "litellm.tags": ["a", "b"],
        "litellm.metadata.team": "x",
    }
    assert second["user.id"] == "own"
    assert (third["user.id"], third["litellm.tags"]) == ("outer", ["a"])
    assert fourth == {}


async def test_the_identity_of_a_block_applies_to_tasks_and_threads_with_its_context(
    traced: Traced,
) -> None:
    """Tasks inherit the context; a thread has it if it is passed on."""
    with litespan.context(user="u"):
        await asyncio.create_task(litellm.acompletion(**traced.chat()))
        handed = contextvars.copy_context()
        thread = threading.Thread(
            target=handed.run, args=(lambda: litellm.completion(**traced.chat()),)
        )
        thread.start()
        thread.join()
    assert [who(span) for span in traced.spans] == [{"user.id": "u"}] * 2


def test_nothing_is_written_to_baggage(traced: Traced) -> None:
    """Baggage would be sent to the model's provider."""
    with litespan.context(user="u", session="s"):
        litellm.completion(**traced.chat())
        assert baggage.get_all() == {}
    assert "baggage" not in {name.lower() for name in traced.provider.requests[-1].headers}


def test_baggage_is_read_by_allowlist(
    loopback: LoopbackProvider, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the entries in LITESPAN_BAGGAGE are read."""
    monkeypatch.setenv("LITESPAN_BAGGAGE", "user.id,session.id,tenant")
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    traced = Traced(loopback, telemetry)
    ctx = baggage.set_baggage("user.id", "b")
    ctx = baggage.set_baggage("tenant", "t", ctx)
    token = otel_context.attach(baggage.set_baggage("other", "o", ctx))
    try:
        litellm.completion(**traced.chat())
        with litespan.context(user="own"):
            litellm.completion(**traced.chat())
    finally:
        otel_context.detach(token)
        instrumentor.uninstrument()
    assert [who(span) for span in traced.spans] == [
        {"user.id": "b", "litellm.metadata.tenant": "t"},
        {"user.id": "own", "litellm.metadata.tenant": "t"},
    ]


def test_metadata_never_displaces_other_attributes(traced: Traced) -> None:
    """At most 32 entries of limited length, which come first, because the SDK drops the oldest."""
    metadata = {f"entry{number}": "x" * 5000 for number in range(100)}
    litellm.completion(**traced.chat(metadata=metadata))
    attributes = traced.span["attributes"]
    free = [name for name in attributes if name.startswith("litellm.metadata.")]
    assert len(free) == 32
    assert max(len(attributes[name]) for name in free) == 1024
    assert list(attributes)[:32] == free
    assert attributes["gen_ai.operation.name"] == "chat"


def test_litellms_entries_in_a_reused_metadata_dict_are_not_recorded(traced: Traced) -> None:
    """LiteLLM writes into the caller's dict."""
    metadata = {"feature": "search"}
    for _ in range(3):
        litellm.completion(**traced.chat(metadata=metadata))
    assert [who(span) for span in traced.spans] == [{"litellm.metadata.feature": "search"}] * 3


def test_the_call_id_is_the_one_litellm_logs(traced: Traced) -> None:
    """The id is the one in LiteLLM's logs, whether the caller or LiteLLM sets it."""
    response = litellm.completion(**traced.chat())
    litellm.completion(**traced.chat(litellm_call_id="mine"))
    first, second = traced.spans
    assert first["attributes"]["litellm.call_id"] == response._hidden_params["litellm_call_id"]
    assert second["attributes"]["litellm.call_id"] == "mine"


class Kind(str, Enum):
    """Metadata as an application may have it."""

    SHORT = "a"
    LONG = "a longer text"


def test_text_of_an_enum_is_plain_text() -> None:
    """A member is recorded as its value, so exporters never get a type of the program."""
    found = free_metadata({"short": Kind.SHORT, "long": Kind.LONG}).values()
    assert [(type(value), value) for value in found] == [(str, "a"), (str, "a longer text")]


def test_long_names_are_not_kept() -> None:
    """A client of the proxy may send thousands of any length."""
    name = "x" * 100_000
    before = sys.getrefcount(name)
    assert list(free_metadata({name: 1})) == [f"litellm.metadata.{name[:128]}"]
    request = Request(Target("completion", CHAT), {"model": f"openai/{name}"})
    assert len(request.called.span_name) < 2000
    assert sys.getrefcount(name) == before


@pytest.mark.parametrize("inside", [False, True], ids=["arguments", "context"])
def test_a_user_of_an_enum_has_the_name_of_its_value(inside: bool, traced: Traced) -> None:
    """So do sessions and tags."""
    if inside:
        with litespan.context(user=Kind.LONG, session=Kind.LONG, tags=[Kind.LONG]):
            litellm.completion(**traced.chat())
    else:
        given = {"user_id": Kind.LONG, "session_id": Kind.LONG, "tags": [Kind.LONG]}
        litellm.completion(**traced.chat(metadata=given))
    found = who(traced.span)
    assert found == {name: ["a longer text"] if "tags" in name else "a longer text" for name in WHO}


def test_integers_beyond_otlps_range_become_text(traced: Traced) -> None:
    """OTLP has 64 bits."""
    litellm.completion(**traced.chat(metadata={"big": 2**70}))
    assert who(traced.span) == {"litellm.metadata.big": str(2**70)}


def test_numbers_and_text_of_the_proxy_are_as_otlp_can_encode_them() -> None:
    """A request's body and the operator's configuration may have any."""
    given = {"big": 2**70, "half": "a\ud800", "plain": 5}
    expected = {"big": str(2**70), "half": "a?", "plain": 5}
    found = [dict(model_info_attributes(given)), dict(body_attributes(given, tuple(given)))]
    assert [list(attributes.values()) for attributes in found] == [list(expected.values())] * 2


def test_a_parameter_beyond_otlps_range_is_left_out(traced: Traced) -> None:
    """The provider refuses it."""
    litellm.completion(**traced.chat(seed=10**30, mock_response="hi"))
    assert "gen_ai.request.seed" not in traced.span["attributes"]


def test_lone_surrogates_are_removed_and_the_attribute_is_kept(traced: Traced) -> None:
    """UTF-8 cannot encode them."""
    litellm.completion(
        **traced.chat(
            metadata={
                "user_id": "an\ud800n",
                "session_id": "s\ud800",
                "tags": ["t\ud800"],
                "k\ud800": "v\udfff",
            },
        )
    )
    attributes = traced.span["attributes"]
    names = ("user.id", "session.id", "litellm.tags", "litellm.metadata.k?")
    assert [attributes[name] for name in names] == ["an?n", "s?", ["t?"], "v?"]


@pytest.mark.parametrize("hidden", [False, True])
def test_litellms_setting_hides_the_keys_of_the_proxy(
    hidden: bool, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`redact_user_api_key_info`: no data about the key is recorded; the client's data is."""
    monkeypatch.setattr(litellm, "redact_user_api_key_info", hidden)
    known = {
        "user_api_key_hash": "hash-1",
        "user_api_key_alias": "alias-1",
        "user_api_key_user_id": "owner-1",
        "user_api_key_team_id": "team-1",
        "user_api_key_end_user_id": "customer-1",
        "requester_metadata": {"feature": "search"},
    }
    litellm.completion(**traced.chat(metadata=known))
    attributes = traced.span["attributes"]
    assert attributes["litellm.metadata.feature"] == "search"
    assert ("hash-1" in repr(attributes)) is not hidden
    told = [value for value in known.values() if isinstance(value, str)]
    assert [value for value in told if hidden and value in repr(traced.spans)] == []


def test_litellms_entries_beside_a_clients_metadata_are_not_recorded(traced: Traced) -> None:
    """On `/v1/messages` and `/v1/responses`, both are in one dict."""
    mixed = {
        "feature": "search",
        "requester_ip_address": "203.0.113.9",
        "user_agent": "agent/1.0",
        "litellm_roi_estimator": False,
        "_litellm_router_usage_counted_tokens": 7,
    }
    asked = {"body": {"litellm_metadata": mixed}, "headers": {"user-agent": "agent/1.0"}}
    known = {"user_api_key_hash": "hash-1"}
    litellm.completion(**traced.chat(metadata=known, proxy_server_request=asked))
    assert who(traced.span) == {"litellm.metadata.feature": "search"}
