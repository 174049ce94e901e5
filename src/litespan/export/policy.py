"""What a vendor's delivery is bounded by, and what comes of it: plain records."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Policy:
    """How a vendor wants to be spoken to. Times are seconds, sizes bytes before compression."""

    max_items: int = 512  # in one request
    max_bytes: int = 4_000_000  # of one request's body
    gzip: bool = False
    concurrency: int = 1  # requests at the same time
    retry: frozenset[int] = TRANSIENT  # HTTP statuses worth another try
    split: frozenset[int] = frozenset({413})  # statuses that one item can cause for all
    attempt: float = 5.0  # for the vendor's next byte, in one request
    patience: float = 15.0  # without anything accepted, in one export
    timeout: float = 60.0  # for one export, come what may
    hung_patience: float = 2.0  # `patience` after an export that got no answer at all
    exit_patience: float = 5.0  # `patience` once the process is ending
    backoff: float = 0.5  # before the first retry; doubles, with jitter
    max_backoff: float = 4.0  # a vendor's own Retry-After may be longer


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an answer says of items that were not taken although the request was."""

    reason: str
    keys: frozenset[str] = frozenset()  # which items
    count: int = 0  # how many more, when the vendor does not say which
    retry: bool = False  # may the `keys` be sent again?


@dataclass(slots=True)
class Tally:
    """What became of the items of one export."""

    sent: int = 0
    retried: int = 0  # requests sent again
    cut: int = 0  # times that content was shortened to fit
    dropped: Counter[str] = field(default_factory=Counter)  # cause → items
    said: dict[str, str] = field(default_factory=dict)  # cause → what the vendor answered
    answered: bool = False  # did the vendor answer anything at all?
    taken: set[str] = field(default_factory=set)  # keys of the items that were surely accepted
