"""Sentry's DSN, rate limits, names and envelope. Pure."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from litespan.export import VERSION, Answer, Secret, dumps
from litespan.parsers import number

TRACES: Final = "/integration/otlp/v1/traces/"
ENVELOPE: Final = "/envelope/"

CATEGORIES: Final = {TRACES: ("span", "transaction"), ENVELOPE: ("error",)}
"""Path → data categories that can be rate limited."""

_MINUTE: Final = 60.0  # s to wait after a 429 without Retry-After


@dataclass(frozen=True, slots=True)
class Dsn:
    """URL and key of a project."""

    url: str  # up to `/api/{project}`
    key: Secret


def read_dsn(text: str) -> Dsn | None:
    """Parse `https://{key}@{host}/{path}{project}`; None if invalid.

    https://develop.sentry.dev/sdk/foundations/transport/authentication/#parsing-the-dsn
    """
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    path, _, project = parts.path.rstrip("/").rpartition("/")
    if not (parts.username and parts.hostname and project):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Dsn(f"{parts.scheme}://{host}{port}{path}/api/{project}", Secret(parts.username))


@dataclass(slots=True)
class Limits:
    """Rate limits by category."""

    until: dict[str, float] = field(default_factory=dict)  # category → monotonic s; "" = all

    def update(self, answer: Answer) -> None:
        """Read the limits from an answer of any status."""
        now = time.monotonic()
        if header := answer.headers.get("x-sentry-rate-limits"):
            for category, seconds in read_limits(header):
                self._extend(category, now + seconds)
        elif answer.status == 429:
            wait = _MINUTE if answer.retry_after is None else answer.retry_after
            self._extend("", now + wait)

    def is_limited(self, path: str) -> bool:
        """Whether nothing may be sent to `path` now."""
        now = time.monotonic()
        return any(self.until.get(category, 0.0) > now for category in ("", *CATEGORIES[path]))

    def _extend(self, category: str, until: float) -> None:
        self.until[category] = max(until, self.until.get(category, 0.0))


def read_limits(header: str) -> Iterator[tuple[str, float]]:
    """(category, seconds) of an `X-Sentry-Rate-Limits` header; the category "" means all.

    https://develop.sentry.dev/sdk/expected-features/rate-limiting/
    """
    for limit in header.split(","):
        seconds, _, rest = limit.strip().partition(":")
        if (wait := number(seconds)) >= 0:
            for category in rest.partition(":")[0].split(";"):
                yield category.strip(), wait


@lru_cache(maxsize=64)
def environment_name(name: str | None) -> str | None:
    """A valid environment name: no spaces, slashes or control characters, 64 at most."""
    shaped = re.sub(r"[\s/\x00-\x1f]+", "-", (name or "").strip())[:64]
    return None if shaped.lower() in ("", "none") else shaped


@lru_cache(maxsize=64)
def release_name(name: str | None) -> str | None:
    r"""A valid release name: no `/`, `\`, line feeds or tabs, 200 at most."""
    shaped = re.sub(r"[\s/\\\x00-\x1f]+", "-", (name or "").strip())[:200]
    return None if shaped in ("", ".", "..") or shaped.lower() == "latest" else shaped


def envelope(event_id: str, payload: bytes) -> bytes:
    """The event in an envelope.

    https://develop.sentry.dev/sdk/foundations/envelopes/

    Without `sent_at`, from which Sentry corrects times: retries are sent unchanged.
    """
    header = dumps({"event_id": event_id, "sdk": {"name": "litespan", "version": VERSION}})
    item = dumps({"type": "event", "content_type": "application/json", "length": len(payload)})
    return b"\n".join((header, item, payload, b""))
