"""Checks which URLs may receive credentials and recorded data."""

from typing import Final
from urllib.parse import urlsplit

import httpx

from litespan.export.tenant import literal_address

_INTERNAL: Final = (
    *(".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa", ".localdomain"),
    *(".intranet", ".private", ".corp", ".home"),
)
"""Suffixes of host names in clusters, clouds and local networks, which public DNS lacks."""


def url_problem(url: str, allow_http: bool = False) -> str:
    """Why credentials must not be sent to `url`; empty if they may.

    Plain http is allowed on this machine and in private networks, elsewhere with `allow_http`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "is not an http(s) URL"
    if parts.username or parts.password:
        return "contains a user name or password: use the variables for credentials"
    if parts.query or parts.fragment:
        return "has a query or a fragment: use scheme, host and path only"
    if parts.scheme == "http" and not allow_http and not _is_internal(host):
        return "is not https, so others on the network could read keys and content"
    return ""


def is_exposed(url: str) -> bool:
    """Whether others on the network can read requests to `url`: plain http, not to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by its address or its name."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = literal_address(host)
    return address is not None and address.is_loopback


def _is_internal(host: str) -> bool:
    """Whether `host` is on a private network, by its address or its name."""
    address = literal_address(host)
    if address is not None:
        return not address.is_global
    name = host.rstrip(".")
    return "." not in name or name.endswith(_INTERNAL) or ".svc." in name
