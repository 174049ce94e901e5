"""Limits and retry rules of an exporter, and the result of an export."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits and retry rules for a vendor. Times in seconds, sizes in bytes before compression."""

    max_items: int = 512  # in one request
    max_bytes: int = 4_000_000  # of one request's body
    gzip: bool = False
    concurrency: int = 1  # requests at the same time
    retry: frozenset[int] = TRANSIENT  # HTTP statuses to retry
    split: frozenset[int] = frozenset(
        {413}
    )  # HTTP statuses that one item can cause for its whole batch
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
