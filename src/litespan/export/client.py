"""HTTP requests to a vendor: one client per process, secrets that do not print."""

import base64
import gzip
import logging
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from litespan.background.fork import import_lock
from litespan.export.batching import Batch
from litespan.export.policy import retry_after
from litespan.export.tenant import ForbiddenHost, PinnedTransport, Tenant
from litespan.genai.values import parse
from litespan.objects import JSON
from litespan.redaction.text import printable

THREAD: Final = "litespan-export"
"""Name of the threads that send requests."""
TIMEOUT: Final = "timeout"
"""Cause of items that were not answered or accepted in time."""
FORBIDDEN_HOST: Final = "forbidden_host"
"""Cause of items with a URL that a tenant's exporter must not use."""
HTML: Final = "html"
"""Cause of items that were answered by a web page."""
NO_CLIENT: Final = "no_client"
"""Cause of items for which httpx cannot use the environment's proxy or certificates."""
NOT_RETRYABLE: Final = frozenset({FORBIDDEN_HOST, HTML, NO_CLIENT})
"""Causes that neither a retry nor a smaller batch changes."""

_BODY: Final = 10  # times the wait for one byte is the limit for a whole body
_MAX_ANSWER: Final = 65_536  # bytes; the rest is not read
_MAX_PLAIN: Final = 3  # characters; masking such short words would garble any text
_SCHEMES: Final = frozenset(
    {"basic", "bearer", "sentry", "sentry_key", "sentry_version", "sentry_client"}
)
"""Words in credentials that are not secret."""


class Secret:
    """A credential that prints as `***`. Call `reveal()` only to build a request."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself."""
        return self._value

    def bearer(self) -> "Secret":
        """The value of an Authorization header with this token."""
        return Secret(f"Bearer {self._value}")

    def basic(self) -> "Secret":
        """The value of an Authorization header with this `user:password`."""
        return Secret(f"Basic {base64.b64encode(self._value.encode()).decode()}")

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request."""

    status: int  # HTTP status; 0: no answer
    body: bytes = b""
    retry_after: float | None = None  # seconds from now
    error: str = ""  # without an answer: class of the transport error, or `timeout`
    headers: Mapping[str, str] = field(default_factory=dict)  # names in any letter case

    @property
    def cause(self) -> str:
        """The status, the transport error or `html`, as one low-cardinality word."""
        if self.is_page and 200 <= self.status < 300:
            return HTML
        return str(self.status) if self.status else self.error

    @property
    def fields(self) -> dict[str, JSON]:
        """The fields of a JSON object in the body; none if the body is something else."""
        body = parse(self.body.decode("utf-8", "replace"))
        return body if isinstance(body, dict) else {}

    @property
    def is_page(self) -> bool:
        """Whether the body is a web page: of a login, a proxy or a website, not of an API."""
        return self.body[:64].lstrip().lower().startswith((b"<!doctype html", b"<html"))


class Client:
    """Posts batches to one URL. Each process creates its client on first use."""

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
        """Open no connection yet.

        Args:
            url: where to post; an item's `path` is appended.
            headers: of every request.
            compress: whether bodies are compressed with gzip.
            connections: the maximum number of open connections.
            attempt: seconds to wait for the next byte of an answer.
            socket: path of a Unix socket to use instead of the host in the URL.
            secrets: credentials to mask in answers, in addition to those in `headers`.
            tenant: whose rules restrict the hosts; None for no restriction.
        """
        self.url = url
        self.headers = headers
        self.compress = compress
        self.connections = connections
        self.attempt = attempt
        self.socket = socket
        self.tenant = tenant
        self._secrets = (*secrets, *(v for v in headers.values() if isinstance(v, Secret)))
        self._client: httpx.Client | None = None
        self._pid = 0

    def http_client(self) -> httpx.Client:
        """The client of this process. A forked child leaves the parent's sockets alone."""
        if self._client is None or self._pid != os.getpid():
            logging.getLogger("httpx").addFilter(_not_from_export)
            limits = httpx.Limits(
                max_connections=self.connections,
                max_keepalive_connections=self.connections,
                keepalive_expiry=30.0,
            )
            with import_lock:  # httpx imports some modules only now
                self._client = httpx.Client(
                    # Also for a free connection: an answer that never ends may hold the only one.
                    timeout=self.attempt,
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

    def limit_wait(self, attempt: float) -> None:
        """From now on, wait at most `attempt` seconds for the next byte of an answer."""
        self.attempt = min(self.attempt, attempt)
        if self._client is not None:
            self._client.timeout = httpx.Timeout(self.attempt)

    def post(self, batch: Batch) -> Answer:
        """Send one batch. A transport error becomes an `Answer` with status 0."""
        headers = {
            "Content-Type": "application/json",
            **{k: v.reveal() if isinstance(v, Secret) else v for k, v in self.headers.items()},
            **dict(batch.headers),
        }
        body = batch.body
        if self.compress:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=3, mtime=0)
        return self._send("POST", self.url + batch.path, content=body, headers=headers)

    def get(self, url: str) -> Answer:
        """Send a GET request without credentials."""
        return self._send("GET", url)

    def _send(self, method: str, url: str, **request: Any) -> Answer:
        try:
            client = self.http_client()
        except Exception as error:  # noqa: BLE001 - of httpx, ssl or an import; can quote a password
            return Answer(0, type(error).__name__.encode(), error=NO_CLIENT)
        try:
            with client.stream(method, url, **request) as response:
                return Answer(
                    response.status_code,
                    _read_start(response, time.monotonic() + _BODY * self.attempt),
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
        """Close the connections. A later request opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.close()

    def scrub(self, text: str) -> str:
        """`text` as one short line, with credentials masked and control characters replaced."""
        secrets = [secret.reveal() for secret in self._secrets]
        words = {*secrets, *(word for secret in secrets for word in re.split(r"[\s,=]+", secret))}
        for word in sorted(words, key=len, reverse=True):  # one secret may begin with another
            if len(word) > _MAX_PLAIN and word.lower() not in _SCHEMES:
                text = text.replace(word, "***")
        return printable(" ".join(text.split())[:200])


def origin(url: str) -> str:
    """Scheme, host and port of `url`, which may be logged."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _read_start(response: httpx.Response, until: float) -> bytes:
    """The start of the body. Raises httpx.ReadTimeout after `until` (monotonic, s)."""
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) >= _MAX_ANSWER:
            break
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the body does not end")
    return body


def _not_from_export(record: logging.LogRecord) -> bool:
    """Keep httpx from logging a line for each request of an export."""
    return record.threadName != THREAD
