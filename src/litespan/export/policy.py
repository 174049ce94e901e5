"""Limits and retry rules of an exporter, and the result of an export."""

import inspect
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from litespan.config_file import configured
from litespan.errors import did_you_mean, log_once

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})
_PERMANENT: Final = frozenset({"rejected", "refused", "too_large", "error"})
_MAX_RETRY_AFTER: Final = 600.0  # s; a longer Retry-After counts as a mistake
_FIXABLE: Final = frozenset({"401", "403", "404", "407"})  # another key or URL helps


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits and retry rules for a vendor. Times in seconds, sizes in bytes before compression."""

    max_items: int = 512  # in one request
    max_bytes: int = 4_000_000  # of one request's body
    gzip: bool = False
    concurrency: int = 1  # requests at the same time
    retry: frozenset[int] = TRANSIENT  # HTTP statuses to retry
    split: frozenset[int] = frozenset({413})  # statuses that one item causes for its whole batch
    attempt: float = 5.0  # for the next byte of an answer
    patience: float = 15.0  # for one export while no item is accepted
    timeout: float = 60.0  # for one export in any case
    hung_patience: float = 2.0  # `patience` after an export that got no answer at all
    exit_patience: float = 5.0  # `patience` once the process is exiting
    backoff: float = 0.5  # before the first retry; doubles, with jitter
    max_backoff: float = 4.0  # a vendor's own Retry-After may be longer


@dataclass(frozen=True, slots=True)
class Refusal:
    """Items that the vendor rejected in a request that it otherwise accepted."""

    reason: str
    keys: frozenset[str] = frozenset()  # the rejected items
    count: int = 0  # how many more, if the vendor does not say which
    retry: bool = False  # whether the `keys` may be sent again


@dataclass(slots=True)
class Tally:
    """The result of one export, in items."""

    sent: int = 0
    retried: int = 0  # requests sent again
    truncated: int = 0  # how often content was cut to fit
    dropped: Counter[str] = field(default_factory=Counter)  # cause → items
    reasons: dict[str, str] = field(default_factory=dict)  # cause → the vendor's answer
    answered: bool = False  # whether the vendor answered at all
    accepted: set[str] = field(default_factory=set)  # keys of items known to be accepted


def retried(exporter: Any) -> frozenset[int]:
    """The HTTP statuses that an exporter retries; stores have no policy, and no statuses."""
    return getattr(exporter.limits, "retry", TRANSIENT)


def is_permanent(cause: str, retry: frozenset[int]) -> bool:
    """Whether the same items would be dropped again: a 400, but not a 503 or a lost connection.

    Args:
        cause: of `Tally.dropped`.
        retry: `Policy.retry`.
    """
    return cause in _PERMANENT or (cause.isdigit() and int(cause) not in retry)


def is_kept(cause: str, retry: frozenset[int]) -> bool:
    """Whether the spool keeps items that were dropped for `cause`, to send them again later.

    Unlike a sender that waits for an answer, it can wait until a key or URL is corrected.
    """
    redirect = cause.isdigit() and cause.startswith("3")
    return cause in _FIXABLE or redirect or not is_permanent(cause, retry)


def retry_after(value: str | None, now: float) -> float | None:
    """Parse a Retry-After header: a number of seconds or an HTTP date.

    Returns seconds from 0 to 600, or None if the header is missing or invalid.
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
        except (ValueError, OverflowError):
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - now
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER) if math.isfinite(seconds) else None


def overridden(defaults: "T", options: Mapping[str, Any], of: type[Any]) -> "T":
    """Return `defaults` with the options of a constructor in place of its fields.

    If a configuration file configures the process, an option that does not exist is logged and
    ignored, because an exception would cost all telemetry.

    Raises:
        TypeError: an option does not exist, and no configuration file configures the process.
    """
    known = {row.name for row in fields(defaults)}
    if configured(os.environ):
        for name in options.keys() - known:
            arguments = known | {*inspect.signature(of).parameters}
            log_once(
                f"option:{of.__name__}:{name}",
                "OTEL_CONFIG_FILE: %s has no option %r, so it is ignored%s",
                getattr(of, "name", of.__name__),
                name,
                did_you_mean(name, arguments - {"limits", "options"}),
            )
        options = {name: value for name, value in options.items() if name in known}
    return replace(defaults, **options) if options else defaults
