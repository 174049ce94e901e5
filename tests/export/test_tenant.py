"""Exporters that a team or key of LiteLLM's proxy configures: its settings, and public hosts only.

The attacks that a hostile tenant can try, against every exporter and real servers on loopback.
"""

import inspect
import re
import socket
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import entry_points
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.alerting import AlertExporter
from litespan.export import vendor as vendors
from litespan.export.client import FORBIDDEN_HOST, Answer, Client
from litespan.export.http import HttpExporter
from litespan.export.tenant import Tenant, is_public
from tests.cases import CASES, now
from tests.support.exporters import stands_for_others
from tests.support.server import Received, Reply, Vendor, running
from tests.support.tls import server_context
from tests.support.vendors import VENDORS, Anyone

HTTP: dict[str, type[HttpExporter]] = {
    found.name: found.load()
    for found in entry_points(group="opentelemetry_traces_exporter")
    if found.value.startswith("litespan_exporters.")
    and issubclass(found.load(), HttpExporter)
    and stands_for_others(found.name, found.load())
}
OPERATORS = "operators-secret-0123456789"
OWN = "tenants-own-key-0123456789"
QUICK: dict[str, Any] = {"attempt": 5.0, "patience": 5.0, "timeout": 10.0, "backoff": 0.02}
KEYS: dict[str, tuple[str, ...]] = {
    "langfuse": ("public_key", "secret_key"),
    "logfire": ("token",),
    "supabase": ("key",),
    "pagerduty": ("routing_key",),
    **dict.fromkeys(("loki", "slack", "teams", "alertmanager", "webhook", "sentry"), ()),
    "generic_api": (),
}
"""The arguments that are credentials, where it is not `api_key`."""
URLS = {"supabase": "url", "loki": "url", "slack": "webhook_url", "teams": "webhook_url"} | {
    "webhook": "url",
    "generic_api": "url",
}


each = pytest.mark.parametrize("name", HTTP)


def settings(name: str, url: str) -> dict[str, str]:
    """What a tenant's `litespan` metadata says for its own account at `url`."""
    if name == "sentry":
        return {"dsn": url.replace("://", f"://{OWN}@") + "/1"}
    return {
        **dict.fromkeys(KEYS.get(name, ("api_key",)), OWN),
        URLS.get(name, "base_url"): url,
    }


def without_keys(name: str, url: str) -> dict[str, str]:
    """The same with the credentials left out, so that the operator's would fill the gap."""
    given = settings(name, url)
    return {k: v for k, v in given.items() if k not in (*KEYS.get(name, ("api_key",)), "dsn")}


def tenant(vendor: Vendor) -> Tenant:
    """A tenant who may reach the vendor on loopback."""
    return Tenant((vendor.url.removeprefix("http://"),))


def export(exporter: HttpExporter) -> None:
    """Send a call and a failure, and wait for alerts as well."""
    exporter.export([now(CASES["chat"]), now(CASES["failure"])])
    exporter.force_flush(5000)
    exporter.shutdown()


def shown(requests: list[Received]) -> str:
    """All that came over the wire."""
    return "".join(f"{r.path} {r.headers} {r.body.decode('latin-1')}" for r in requests)


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Vendor]:
    """The operator's environment: every variable that an exporter's source names, and others.

    Those for places point to the server that the fixture is.
    """
    with running(lambda _: Reply()) as vendor:
        names = {
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "LITESPAN_ALERTS_STATE",
            *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
        }
        for source in {Path(str(inspect.getsourcefile(kind))) for kind in HTTP.values()}:
            names.update(re.findall(r'"([A-Z][A-Z0-9]*_[A-Z0-9_]+)"', source.read_text()))
        for name in names:
            place = re.search("URL|HOST|BASE|ENDPOINT|ORIGIN|PROXY|proxy", name)
            monkeypatch.setenv(name, vendor.url if place else OPERATORS)
        monkeypatch.setenv("DD_LLMOBS_AGENTLESS_ENABLED", "false")
        monkeypatch.setenv("LITESPAN_ALLOW_HTTP", "true")
        monkeypatch.setenv("LITESPAN_ALERTS_STATE", str(tmp_path / "state.db"))
        monkeypatch.setenv("TRACELOOP_HEADERS", f"authorization={OPERATORS}")
        netrc = tmp_path / "netrc"
        netrc.write_text(f"default login operator password {OPERATORS}\n")
        monkeypatch.setenv("NETRC", str(netrc))
        yield vendor
        assert vendor.received == []
        assert not (tmp_path / "state.db").exists()


@each
def test_a_tenants_url_gets_no_credential_of_the_operator(name: str, trap: Vendor) -> None:
    """Without the tenant's own credential, the exporter is off.

    An exporter that needs none sends without any.
    """
    with running(VENDORS.get(name, Anyone)()) as vendor:
        exporter = HTTP[name](**without_keys(name, vendor.url), of_tenant=tenant(vendor))
        export(exporter)
        assert OPERATORS not in shown(vendor.received)
        if KEYS.get(name, ("api_key",)) or name == "sentry":
            assert exporter.problem.endswith("not set")
            assert not re.search("[A-Z]{3}_", exporter.problem), "a tenant has no variables"
            assert vendor.received == []
        else:
            assert exporter.problem == ""


@each
def test_a_tenants_own_settings_are_enough_and_nothing_is_added(name: str, trap: Vendor) -> None:
    """None of the operator's settings are used."""
    with running(VENDORS.get(name, Anyone)()) as vendor:
        exporter = HTTP[name](
            **settings(name, vendor.url),
            of_tenant=tenant(vendor),
            **({} if issubclass(HTTP[name], AlertExporter) else QUICK),
        )
        assert exporter.problem == ""
        export(exporter)
        assert vendor.received
        assert OPERATORS not in shown(vendor.received)
        if settings(name, "") != {URLS.get(name, "base_url"): ""}:
            assert "tenants-own-key" in shown(vendor.received) or name == "langfuse"


@each
def test_exporters_read_the_environment_in_one_place(name: str) -> None:
    """Only `Vendor.env` does, which is empty for tenants."""
    for kind in HTTP[name].__mro__:
        if kind.__module__.startswith("litespan") and kind is not vendors.Vendor:
            source = inspect.getsource(sys.modules[kind.__module__])
            assert not re.search(r"environ\b(?!ment)|getenv", source), kind.__module__


@each
def test_nothing_is_sent_to_hosts_that_are_not_public(name: str) -> None:
    """Whichever setting has the URL, its connection refuses loopback."""
    with running(lambda _: Reply()) as vendor:
        exporter = HTTP[name](**settings(name, vendor.url), of_tenant=Tenant())
        export(exporter)
        assert "not public" in exporter.problem or "not https" in exporter.problem
        assert vendor.received == []


def test_datadogs_agent_is_no_way_to_sockets_and_private_hosts(tmp_path: Path) -> None:
    """`agent_url` is a URL of the tenant's like any other: no Unix socket, no private host."""
    asked = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "agent"))
    listener.listen()
    threading.Thread(target=lambda: asked.append(listener.accept()), daemon=True).start()
    with running(lambda _: Reply()) as vendor:
        for url in (f"unix://{tmp_path}/agent", vendor.url, "http://169.254.169.254"):
            exporter = HTTP["datadog"](agent_url=url, of_tenant=Tenant())
            assert exporter.export([now(CASES["chat"])]) is SpanExportResult.FAILURE
            exporter.shutdown()
        assert vendor.received == []
    assert asked == []


def test_datadogs_agent_is_reached_where_the_operator_allows_it() -> None:
    """An agent of a team that the operator has allowed gets its calls, without credentials."""
    with running(lambda r: Reply(200, b"/evp_proxy/v2/")) as vendor:
        exporter = HTTP["datadog"](agent_url=vendor.url, of_tenant=tenant(vendor))
        assert exporter.export([now(CASES["chat"])]) is SpanExportResult.SUCCESS
        exporter.shutdown()
        asked, sent = [request.path for request in vendor.received]
        assert (asked, sent.startswith("/evp_proxy/")) == ("/info", True)


# --- where a connection goes ----------------------------------------------------------------

LOOPBACK = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0x7f.1", "localhost"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]"),
)


def ask(url: str, rules: Tenant) -> Answer:
    """One request, on a connection of its own."""
    wire = Client(url, {}, attempt=5.0, tenant=rules)
    try:
        return wire.get(url)
    finally:
        wire.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_in_any_spelling_is_refused_before_it_is_connected(host: str, scheme: str) -> None:
    """The address that a connection would go to decides, not how it is written."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        port = server.getsockname()[1]
        assert ask(f"{scheme}://{host}:{port}", Tenant()).cause == FORBIDDEN_HOST
        with pytest.raises(BlockingIOError):
            server.accept()


PRIVATE = (
    *("10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "192.0.2.7", "224.0.0.251"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255", "127.255.0.1", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:10.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "2002:a00:1::1", "2001:0:a00:1::1", "2001:db8::1", "100::1"),
)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_on_the_internet(address: str) -> None:
    """Private, link-local, carrier-grade NAT, multicast, reserved; and IPv6 forms of them."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_on_the_internet(address: str) -> None:
    """Also an IPv4 address as IPv6 writes it."""
    assert is_public(ip_address(address))


def answers(*rounds: tuple[str, ...]) -> Any:
    """A name server that gives other addresses each time it is asked; the last ones for ever."""
    left = list(rounds)

    def resolve(_host: str, port: int, **_: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(0, 0, 0, "", (address, port)) for address in found]

    resolve.left = left  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize(
    "found", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("2606:4700::1111", "::1")]
)
def test_a_public_name_with_a_private_address_is_refused(found: tuple[str, ...]) -> None:
    """One private address among public ones is enough: which is taken is up to chance."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        url = f"https://tenant.example:{server.getsockname()[1]}"
        assert ask(url, Tenant(resolve=answers(found))).cause == FORBIDDEN_HOST
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_name_that_changes_its_address_is_refused_each_time(vendor: Vendor) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to.

    The name resolves once for a connection. The first answer is used, so the second, private one
    is seen only by the next connection, which refuses it.
    """
    rules = answers(("127.0.0.1",), ("10.0.0.1",))
    port = vendor.url.rpartition(":")[2]
    allowed = Tenant((f"tenant.example:{port}",), rules)
    assert ask(f"http://tenant.example:{port}", allowed).status == 200
    assert len(rules.left) == 1, "asked once"
    refused = Tenant((), answers(("10.0.0.1",)))
    assert ask(f"https://tenant.example:{port}", refused).cause == FORBIDDEN_HOST
    assert len(vendor.received) == 1
    assert vendor.received[0].headers["host"] == f"tenant.example:{port}"


def test_the_next_address_is_tried_when_one_does_not_answer(vendor: Vendor) -> None:
    """As with any name that has several addresses."""
    port = vendor.url.rpartition(":")[2]
    rules = Tenant((f"two.example:{port}",), answers(("::1", "127.0.0.1")))
    assert ask(f"http://two.example:{port}", rules).status == 200


@pytest.fixture
def certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Vendor, list[str]]]:
    """A TLS server with a certificate for tenant.example, and the names it was asked for."""
    context, trusted = server_context(tmp_path, "tenant.example")
    names: list[str] = []
    context.sni_callback = lambda _socket, asked, _context: names.append(str(asked))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with running(lambda _: Reply()) as vendor:
        vendor.server.socket = context.wrap_socket(vendor.server.socket, server_side=True)
        yield vendor, names


def test_the_certificate_is_checked_against_the_name(
    certified: tuple[Vendor, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the connection goes to an address, SNI, Host and certificate are the name's."""
    vendor, names = certified
    port = vendor.url.rpartition(":")[2]
    hosts = (f"tenant.example:{port}", f"other.example:{port}")
    rules = Tenant(hosts, answers(("127.0.0.1",)))
    assert ask(f"https://tenant.example:{port}", rules).status == 200
    assert vendor.received[0].headers["host"] == f"tenant.example:{port}"
    assert ask(f"https://other.example:{port}", rules).cause == "ConnectError"
    assert names == ["tenant.example", "other.example"]
    monkeypatch.delenv("SSL_CERT_FILE")  # nobody has vouched for it
    assert ask(f"https://tenant.example:{port}", rules).cause == "ConnectError"
    assert len(vendor.received) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(vendor: Vendor, code: int) -> None:
    """An allowed host must not send a request on to another one."""
    with running(lambda _: Reply(code, headers={"Location": vendor.url})) as first:
        both = Tenant(tenant(first).hosts + tenant(vendor).hosts)
        assert ask(first.url, both).status == code
    assert vendor.received == []


@pytest.mark.parametrize(
    ("hosts", "url", "allowed"),
    [
        (("langfuse",), "http://langfuse/x", True),
        (("langfuse",), "https://langfuse/x", True),
        (("langfuse",), "http://langfuse:3000/x", False),
        (("langfuse:3000",), "http://langfuse:3000/x", True),
        (("langfuse:3000",), "http://LANGFUSE:3000/x", True),
        (("langfuse:3000",), "http://langfuse/x", False),
        (("langfuse:443",), "https://langfuse/x", True),
        (("langfuse:3000",), "http://langfuse.example.com:3000/x", False),
        (("langfuse:3000",), "http://langfuse:3000@10.0.0.1/x", False),
        (("[::1]:3000",), "http://[::1]:3000/x", True),
        ((), "http://langfuse/x", False),
    ],
)
def test_hosts_that_the_operator_allows(hosts: tuple[str, ...], url: str, allowed: bool) -> None:
    """By name and port; others stay refused."""
    rules = Tenant(hosts, answers(("10.0.0.1",)))
    if allowed:
        assert rules.addresses(httpx.URL(url)) == ["10.0.0.1"]
    else:
        with pytest.raises(httpx.TransportError):
            rules.addresses(httpx.URL(url))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A server that takes everything."""
    with running(lambda _: Reply()) as it:
        yield it
