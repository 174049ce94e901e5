"""Rules for exporters that a team or key of LiteLLM's proxy has configured.

A tenant chooses the URL, but the request comes from the operator's network and process. So such an
exporter reads no environment variables, and only reaches public addresses over https and the hosts
that the operator allows.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

ALLOW_HOSTS: Final = "LITESPAN_TEAM_HOSTS"
_PORTS: Final = {"http": 80, "https": 443}
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SPECIAL: Final = (  # global in some Python versions, but forbidden for tenants
    IPv4Network("168.63.129.16/32"),  # Azure metadata and wire server
    IPv4Network("192.0.0.0/24"),  # protocol assignments, and Oracle's metadata server
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4: contains an IPv4 address
)
Address = IPv4Address | IPv6Address
Resolve = Callable[..., Any]


class ForbiddenHost(httpx.TransportError):
    """A tenant must not send to the host."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The rules for one tenant's exporter.

    Attributes:
        hosts: `host` or `host:port` entries that may be private and without TLS.
        resolve: resolves a name, as `socket.getaddrinfo`.
    """

    hosts: tuple[str, ...] = ()
    resolve: Resolve = socket.getaddrinfo

    def allows(self, host: str, scheme: str, port: int | None) -> bool:
        """Whether the operator allows this host."""
        name = f"[{host}]" if ":" in host else host
        standard = _PORTS.get(scheme)
        if port in (None, standard) and name in self.hosts:
            return True
        return f"{name}:{port or standard}" in self.hosts

    def url_problem(self, url: str) -> str:
        """Why `url` must not be used, before its name is resolved; empty if it may."""
        parts = urlsplit(url)  # already validated
        host = (parts.hostname or "").lower()
        if self.allows(host, parts.scheme, parts.port):
            return ""
        if parts.scheme != "https":
            return f"is not https, and the operator has not allowed the host ({ALLOW_HOSTS})"
        literal = literal_address(host)
        if literal is not None and not is_public(literal):
            return f"is not public, and the operator has not allowed the host ({ALLOW_HOSTS})"
        return ""

    def addresses(self, url: httpx.URL) -> list[str]:
        """Resolve and check the addresses to connect to. They are not resolved again.

        Raises:
            ForbiddenHost: an address is not public, or there is no TLS.
            httpx.ConnectError: the name has no address.
        """
        host = url.raw_host.decode("ascii").lower()
        allowed = self.allows(host, url.scheme, url.port)
        if not allowed and url.scheme != "https":
            raise ForbiddenHost("no TLS")
        try:
            found = self.resolve(host, url.port or _PORTS[url.scheme], type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(type(error).__name__) from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses:
            raise httpx.ConnectError("no address")
        if not allowed and not all(is_public(ip_address(address)) for address in addresses):
            raise ForbiddenHost("not a public address")
        return addresses


class PinnedTransport(httpx.HTTPTransport):
    """Connects to exactly the addresses that were checked.

    The name is resolved once for each connection attempt. The Host header, SNI and certificate
    verification still use the name.
    """

    def __init__(self, tenant: Tenant, limits: httpx.Limits) -> None:
        # Uses the operator's trust store. Like any custom transport, it ignores proxies and netrc.
        super().__init__(verify=httpx.create_ssl_context(), trust_env=False, limits=limits)
        self._tenant = tenant

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send to the first address that accepts the connection."""
        refused: httpx.TransportError | None = None
        for address in self._tenant.addresses(request.url):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={
                    **request.extensions,
                    "sni_hostname": request.url.raw_host.decode("ascii"),
                },
            )
            try:
                return super().handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                refused = error
        raise refused or httpx.ConnectError("no address")


def literal_address(host: str) -> Address | None:
    """`host` as an address, which may be decimal, octal or hexadecimal; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None


def is_public(address: Address) -> bool:
    """Whether `address` is a unicast destination on the internet.

    Excludes private, loopback, link-local (metadata services), carrier-grade NAT, multicast,
    reserved and documentation ranges, and IPv6 addresses that contain such an IPv4 address.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _PUBLIC_V6:
            return False
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _SPECIAL if network.version == address.version)
