"""Each team's calls go to its own project: `litespan` in the metadata of a team or a key."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from litespan.testing import LoopbackProvider, OtlpReceiver, decode
from tests.proxy.conftest import FILES, config, provider_routes
from tests.proxy.running import Proxy, proxy, until
from tests.support.server import Received, Reply, Vendor, running

STORES = ("sqlite", "postgres", "mongodb", "duckdb", "parquet", "jsonl", "csv", "otlp", "console")
HI = "Say hello to everybody in this room, please."
CHAT = {"model": "chat", "messages": [{"role": "user", "content": HI}]}
AUTH = """
import json, os
from litellm.proxy._types import UserAPIKeyAuth

TEAMS = json.loads(os.environ["TEAMS_UNDER_TEST"])


async def authenticate(request, api_key):
    name = api_key.removeprefix("sk-")
    team = TEAMS.get(name, {})
    return UserAPIKeyAuth(
        api_key="hash-" + name,
        team_id=name,
        team_metadata=team.get("team", {}),
        metadata=team.get("key", {}),
    )
"""


@pytest.fixture(scope="module")
def langfuse() -> Iterator[Vendor]:
    """A Langfuse that takes everything; whose project it is stands in the credentials."""
    with running(lambda _: Reply(207, json.dumps({"successes": [], "errors": []}).encode())) as it:
        yield it


@pytest.fixture(scope="module")
def thief() -> Iterator[Vendor]:
    """A server on the proxy's own network, which the operator has not allowed."""
    with running(lambda _: Reply()) as it:
        yield it
        assert it.received == []


def project(request: Received) -> str:
    """The public key of a request."""
    given = request.headers["authorization"].removeprefix("Basic ")
    return base64.b64decode(given).decode().partition(":")[0]


@pytest.fixture(scope="module")
def gateway(
    loopback: LoopbackProvider,
    collector: OtlpReceiver,
    langfuse: Vendor,
    thief: Vendor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """A proxy with teams; the operator's own Langfuse is one of its exporters."""

    def own(name: str, **more: Any) -> dict[str, Any]:
        credentials = {"public_key": f"pk-lf-{name}", "secret_key": f"sk-lf-{name}-secret"}
        return {"litespan": {"langfuse": {**credentials, "base_url": langfuse.url}, **more}}

    teams = {
        "blue": {"team": own("blue")},
        "red": {"team": own("red", content=True)},
        "green": {"team": own("green"), "key": own("green-key")},
        "failing": {"team": own("failing", success=[])},
        "wrong": {"team": {"litespan": {"langfus": {"public_key": "pk-lf-wrong-secret"}}}},
        **{
            name: {"key": {"litespan": {name: {"path": "team.db", "url": "file:team.db"}}}}
            for name in STORES
        },
        "url-only": {"key": {"litespan": {"langfuse": {"base_url": thief.url}}}},
        "agent": {"key": {"litespan": {"datadog": {"agent_url": thief.url}}}},
        "private": {
            "key": {
                "litespan": {
                    "langfuse": {"public_key": "p", "secret_key": "s", "base_url": thief.url}
                }
            }
        },
        "limits": {
            "key": {"litespan": {"langfuse": {**own("l")["litespan"]["langfuse"], "patience": "9"}}}
        },
    }
    env = {
        "TEAMS_UNDER_TEST": json.dumps(teams),
        "OTEL_TRACES_EXPORTER": "otlp,langfuse",
        **provider_routes(loopback),
        "LANGFUSE_PUBLIC_KEY": "pk-lf-operator",
        "LANGFUSE_SECRET_KEY": "sk-lf-operator-secret",
        "LANGFUSE_BASE_URL": langfuse.url,
        "DD_API_KEY": "dd-operator-secret",
        "LITESPAN_ALLOW_HTTP": "true",
        "LITESPAN_TEAM_HOSTS": langfuse.url.removeprefix("http://"),
    }
    folder = tmp_path_factory.mktemp("teams")
    files = {**FILES, "auth.py": AUTH}
    with proxy(folder, config(loopback), loopback, collector, files=files, env=env) as it:
        yield it


def ask(gateway: Proxy, team: str, langfuse: Vendor, **body: Any) -> dict[str, list[Received]]:
    """What Langfuse gets of one call, by project."""
    before = len(langfuse.received)

    def call(traceparent: str) -> None:
        client = gateway.client(f"sk-{team}", traceparent=traceparent)
        client.post("/v1/chat/completions", json={**CHAT, **body})

    gateway.trace(call, 3)
    until(lambda: len(langfuse.received) > before, "request to Langfuse")
    found: dict[str, list[Received]] = {}
    for request in langfuse.received[before:]:
        found.setdefault(project(request), []).append(request)
    return found


@pytest.mark.parametrize(
    ("team", "owner"),
    [
        ("blue", "pk-lf-blue"),
        ("green", "pk-lf-green-key"),
        ("nobody", "pk-lf-operator"),
        ("wrong", "pk-lf-operator"),
        ("url-only", "pk-lf-operator"),
        ("private", "pk-lf-operator"),
        ("limits", "pk-lf-operator"),
    ],
)
def test_calls_go_to_the_teams_own_project(
    gateway: Proxy, langfuse: Vendor, team: str, owner: str
) -> None:
    """To the key's project, else the team's, else the operator's, and to no other.

    If the team's exporter is off, the operator's receives the call.
    """
    assert list(ask(gateway, team, langfuse)) == [owner]


def test_a_team_can_have_failures_only(gateway: Proxy, langfuse: Vendor) -> None:
    """The team receives failures, but no successes."""
    body = {"model": "broken", "disable_fallbacks": True}
    asked = len(langfuse.received)
    gateway.trace(
        lambda traceparent: gateway.client("sk-failing", traceparent=traceparent).post(
            "/v1/chat/completions", json=CHAT
        ),
        3,
    )
    assert list(ask(gateway, "failing", langfuse, **body)) == ["pk-lf-failing"]
    assert {project(request) for request in langfuse.received[asked:]} == {"pk-lf-failing"}
    sent = b"".join(request.body for request in langfuse.received[asked:])
    assert b"InternalServerError" in sent


def test_a_teams_trace_has_a_root(gateway: Proxy, langfuse: Vendor) -> None:
    """The root is the router's span, because a team does not receive the span of the request."""
    (requests,) = ask(gateway, "red", langfuse).values()
    told = [span for request in requests for span in observations(request)]
    (root,) = [span for span in told if "langfuse.internal.is_app_root" in span["attributes"]]
    (call,) = [span for span in told if span["name"].startswith("chat ")]
    assert root["name"].startswith("litellm.router ")
    assert call["parent"] == root["span_id"]
    assert root["attributes"]["langfuse.trace.name"] == root["name"]
    for side in ("input", "output"):
        name = f"langfuse.observation.{side}"
        assert root["attributes"][name] == call["attributes"][name]


def observations(request: Received) -> list[dict[str, Any]]:
    """The spans of one request."""
    return decode.spans(ExportTraceServiceRequest.FromString(request.body))


@pytest.mark.parametrize(("team", "recorded"), [("blue", False), ("red", True)])
def test_content_is_recorded_only_for_teams_that_turn_it_on(
    gateway: Proxy, langfuse: Vendor, team: str, recorded: bool
) -> None:
    """Other teams' calls have no messages."""
    sent = b"".join(r.body for requests in ask(gateway, team, langfuse).values() for r in requests)
    assert (HI.encode() in sent) is recorded


def test_a_wrong_name_is_one_line_without_credentials(gateway: Proxy, langfuse: Vendor) -> None:
    """Each misspelled vendor is logged once, and no log line or span has a key."""
    ask(gateway, "wrong", langfuse)
    until(lambda: gateway.said("names exporter 'langfus'"), "line")
    assert len(gateway.said("names exporter 'langfus'")) == 1
    seen = gateway.log.read_text() + str(gateway.receiver.spans)
    assert [word for word in ("pk-lf-wrong", "-secret") if word in seen] == []


@pytest.mark.parametrize("name", STORES)
def test_a_team_cannot_use_the_operators_disk_and_databases(
    gateway: Proxy, langfuse: Vendor, name: str
) -> None:
    """A team may use neither stores nor the exporters of the OpenTelemetry SDK."""
    ask(gateway, name, langfuse)
    line = f"names exporter {name!r}, which is off: it is not an exporter that a team may use"
    until(lambda: gateway.said(line), "line")
    assert [path.name for path in gateway.log.parent.glob("*team.db*")] == []


@pytest.mark.parametrize(
    ("team", "problem"),
    [
        ("url-only", "'langfuse', which is off: public_key and secret_key are not set"),
        ("private", "'langfuse', which is off: the URL is not https, and the operator has not"),
        ("limits", "'langfuse', which is off: it does not take patience"),
        ("agent", "'datadog', which is off: the URL is not https, and the operator has not"),
    ],
)
def test_a_team_exporter_that_may_not_be_used_is_one_log_line(
    gateway: Proxy, langfuse: Vendor, team: str, problem: str
) -> None:
    """A team's exporter uses neither the operator's keys nor the operator's network."""
    for _ in range(2):
        ask(gateway, team, langfuse)
    until(lambda: gateway.said(problem), "line")
    assert len(gateway.said(problem)) == 1


@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_client_cannot_pose_as_a_team(
    gateway: Proxy, langfuse: Vendor, path: str, place: str
) -> None:
    """A client cannot name exporters where LiteLLM keeps the metadata of keys."""
    theirs = {"public_key": "pk-lf-client", "secret_key": "sk", "base_url": langfuse.url}
    forged = {"litespan": {"langfuse": theirs}}
    names = ("user_api_key_metadata", "user_api_key_team_metadata", "user_api_key_team_id")
    asked = CHAT if path == "/v1/chat/completions" else {"model": "chat", "input": HI}
    body = {**asked, place: dict.fromkeys(names, forged)}
    before = len(langfuse.received)
    spans = gateway.trace(
        lambda traceparent: (
            gateway.client("sk-nobody", traceparent=traceparent)
            .post(path, json=body)
            .raise_for_status()
        ),
        3,
    )
    until(lambda: len(langfuse.received) > before, "request to Langfuse")
    assert {project(request) for request in langfuse.received[before:]} == {"pk-lf-operator"}
    assert {span["attributes"].get("litellm.team.id", "nobody") for span in spans} == {"nobody"}


def test_counters_are_in_the_proxys_metrics(gateway: Proxy, langfuse: Vendor) -> None:
    """The proxy's meter exports the values of `litespan.stats()`."""
    ask(gateway, "blue", langfuse)
    wanted = {"proxy.teams.opened", "export.langfuse.sent"}

    def told() -> set[str]:
        points = [
            point for point in gateway.receiver.metrics if point["name"] == "litespan.counter"
        ]
        return {point["attributes"]["litespan.counter.name"] for point in points}

    until(lambda: wanted <= told(), f"{wanted} among the metrics")


PASSED = {"model": "gpt-4o-mini", "messages": CHAT["messages"]}


@pytest.mark.parametrize("stream", [False, True])
def test_pass_through_calls_go_to_the_teams_project(
    gateway: Proxy, langfuse: Vendor, stream: bool
) -> None:
    """There, the call is the root of the trace."""
    before = len(langfuse.received)

    def call(traceparent: str) -> None:
        client = gateway.client("sk-red", traceparent=traceparent)
        answer = client.post("/openai/v1/chat/completions", json={**PASSED, "stream": stream})
        assert answer.status_code == 200, answer.text

    gateway.trace(call, 2)
    until(lambda: len(langfuse.received) > before, "request to Langfuse")
    assert {project(request) for request in langfuse.received[before:]} == {"pk-lf-red"}
    (root,) = [span for request in langfuse.received[before:] for span in observations(request)]
    assert root["attributes"]["langfuse.internal.is_app_root"] is True
    assert HI in root["attributes"]["langfuse.observation.input"]
