"""One HTTP request to a vendor: client per process, secrets wrapped, answers as plain data."""

import gzip
import logging
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from litespan.background.fork import import_lock
from litespan.export.batching import Batch
from litespan.export.tenant import ForbiddenHost, PinnedTransport, Tenant, literal_address

THREAD: Final = "litespan-export"
"""Name of the threads that do the requests."""

TIMEOUT: Final = "timeout"
"""Cause of what was not answered, or not accepted, in time."""
FORBIDDEN_HOST: Final = "forbidden_host"
"""Cause of what a tenant's exporter may not send where it should go."""

_MOST_OF_AN_ANSWER: Final = 65_536  # bytes; more is not read
_LONGEST_WAIT: Final = 600.0  # s; a Retry-After beyond that is taken for a mistake
_SHORTEST_SECRET: Final = 3  # characters; less would be found in any text
_SCHEMES: Final = frozenset(
    {"basic", "bearer", "sentry", "sentry_key", "sentry_version", "sentry_client"}
)
"""Words of credentials that are none."""
_INTERNAL: Final = (
    *(".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa", ".localdomain"),
    *(".intranet", ".private", ".corp", ".home"),
)
"""Ends of names that the internet's DNS does not have: of clusters, clouds and local networks."""


class Secret:
    """A credential that prints as `***`; `reveal()` gives it away, for a request only."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of one request."""

    status: int  # HTTP status; 0 = no answer
    body: bytes = b""
    retry_after: float | None = None  # seconds from now
    error: str = ""  # class of the transport error when there is no answer, or `timeout`
    headers: Mapping[str, str] = field(default_factory=dict)  # names in any case

    @property
    def cause(self) -> str:
        """One low-cardinality word: the status, or the transport error."""
        return str(self.status) if self.status else self.error


class Client:
    """Posts batches to one URL. One client per process, made at first use."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str | Secret],
        *,
        compress: bool = False,
        connections: int = 1,
        attempt: float = 5.0,
        socket: str | None = None,
        secrets: Iterable[Secret] = (),
        tenant: Tenant | None = None,
    ) -> None:
        """Connect nothing yet.

        Args:
            url: where to post; an item's `path` is appended.
            headers: of every request.
            compress: whether the bodies are sent with gzip.
            connections: how many are kept open at most.
            attempt: seconds that a request may wait for the vendor's next byte.
            socket: path of a Unix socket to go through, whatever host the URL names.
            secrets: what an answer may echo and nobody is told, beside those in `headers`.
            tenant: whose rules decide where requests may go; None if any place will do.
        """
        self.url = url
        self.headers = headers
        self.compress = compress
        self.connections = connections
        self.attempt = attempt
        self.socket = socket
        self.tenant = tenant
        sent = [value for value in headers.values() if isinstance(value, Secret)]
        self._secrets = (*secrets, *sent)
        self._client: httpx.Client | None = None
        self._pid = 0

    def client(self) -> httpx.Client:
        """This process's client. After a fork the parent's sockets are left to the parent."""
        if self._client is None or self._pid != os.getpid():
            logging.getLogger("httpx").addFilter(_by_the_application)
            limits = httpx.Limits(
                max_connections=self.connections,
                max_keepalive_connections=self.connections,
                keepalive_expiry=30.0,
            )
            with import_lock:  # httpx imports some of what it needs now
                self._client = httpx.Client(
                    timeout=httpx.Timeout(self.attempt, pool=None),
                    limits=limits,
                    transport=self._transport(limits),
                    trust_env=self.tenant is None,
                    follow_redirects=False,  # a redirect would carry the credentials elsewhere
                )
            self._pid = os.getpid()
        return self._client

    def _transport(self, limits: httpx.Limits) -> httpx.BaseTransport | None:
        if self.tenant is not None:  # never through a socket
            return PinnedTransport(self.tenant, limits)
        return httpx.HTTPTransport(uds=self.socket, limits=limits) if self.socket else None

    def hurry(self, attempt: float) -> None:
        """From now on wait no longer than `attempt` seconds for the vendor's next byte."""
        self.attempt = min(self.attempt, attempt)
        self.client().timeout = httpx.Timeout(self.attempt, pool=None)

    def post(self, batch: Batch) -> Answer:
        """Send one batch. Transport errors become an `Answer` without a status."""
        headers = {
            "Content-Type": "application/json",
            **{k: v.reveal() if isinstance(v, Secret) else v for k, v in self.headers.items()},
            **dict(batch.headers),
        }
        body = batch.body
        if self.compress:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=3, mtime=0)
        return self._ask("POST", self.url + batch.path, content=body, headers=headers)

    def get(self, url: str) -> Answer:
        """Ask, without credentials."""
        return self._ask("GET", url)

    def _ask(self, method: str, url: str, **request: Any) -> Answer:
        try:
            with self.client().stream(method, url, **request) as response:
                return Answer(
                    response.status_code,
                    _start_of(response),
                    retry_after(response.headers.get("retry-after"), time.time()),
                    headers=response.headers,
                )
        except httpx.TimeoutException:
            return Answer(0, error=TIMEOUT)
        except ForbiddenHost:
            return Answer(0, error=FORBIDDEN_HOST)
        except (httpx.HTTPError, httpx.StreamError) as error:
            return Answer(0, error=type(error).__name__)

    def close(self) -> None:
        """Close the connections. A later `post` would open new ones."""
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.close()

    def scrub(self, text: str) -> str:
        """`text`, one short line without credentials that it may echo, or control characters."""
        for secret in self._secrets:
            for word in (secret.reveal(), *re.split(r"[\s,=]+", secret.reveal())):
                if len(word) > _SHORTEST_SECRET and word.lower() not in _SCHEMES:
                    text = text.replace(word, "***")
        line = " ".join(text.split())[:200]
        return "".join(c if c.isprintable() else "\ufffd" for c in line)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number of seconds or an HTTP date.

    None if there is none or it makes no sense; never negative, at most ten minutes.
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after

    Args:
        value: the header.
        now: seconds since the epoch.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - now
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else None


def origin(url: str) -> str:
    """Scheme, host and port of `url`: what may be shown of it."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def url_problem(url: str, allow_http: bool = False) -> str:
    """Why credentials may not be sent to `url`, or nothing.

    Plain http is for this machine and for private networks, and elsewhere for who says so.
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
        return "holds a user name or password: use the variables for credentials"
    if parts.query or parts.fragment:
        return "has a query or a fragment: only scheme, host and path are used"
    if parts.scheme == "http" and not allow_http and not _is_internal(host):
        return "is not https, so that keys and content could be read on the way"
    return ""


def is_exposed(url: str) -> bool:
    """Whether what is sent to `url` can be read on the way: plain http, beyond this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = literal_address(host)
    return address is not None and address.is_loopback


def _is_internal(host: str) -> bool:
    """Whether `host` is on a private network, by its address or by a name only used there."""
    address = literal_address(host)
    if address is not None:
        return not address.is_global
    name = host.rstrip(".")
    return "." not in name or name.endswith(_INTERNAL) or ".svc." in name


def _start_of(response: httpx.Response) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) >= _MOST_OF_AN_ANSWER:
            break
    return body


def _by_the_application(record: logging.LogRecord) -> bool:
    """Httpx logs a line per request; those of an export are no news to the application."""
    return record.threadName != THREAD
