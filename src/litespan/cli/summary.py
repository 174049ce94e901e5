"""Sums and percentiles of recorded calls, grouped by a column."""

import json
import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final

from litespan.stores import groups
from litespan.stores.reading import records

_METADATA: Final = "metadata."
_COLUMNS: Final = (
    *(*groups.COLUMNS, "metadata", "start_time", "duration_s", "first_chunk_s"),
    *("input_tokens", "output_tokens", "cost_usd"),
)

Groups = Iterable[str | None]


def _error(row: groups.Row) -> str | None:
    """Error type of a call; its outcome in brackets if it has none and did not succeed."""
    if row["error_type"] or row["outcome"] in ("success", "abandoned"):
        return row["error_type"] or None
    return f"({row['outcome']})"


BY: Final[dict[str, Callable[[groups.Row], Groups]]] = {
    **{
        name: partial(groups.groups, by=name)
        for name in ("model", "user", "team", "session", "tag")
    },
    "day": lambda row: [row["start_time"][:10]],
    "error": lambda row: [_error(row)],
    **{name: partial(groups.groups, by=name) for name in ("provider", "key", "end-user")},
}
"""Groupings by name; each returns the groups of one call (by tag there can be several)."""


@dataclass(slots=True)
class Totals:
    """Sums over calls."""

    calls: int = 0
    failures: int = 0  # failed and cancelled ones
    unfinished: int = 0  # started, without a recorded end
    input_tokens: int = 0
    output_tokens: int = 0
    cost_e10: int = 0  # 1e-10 USD
    priced: int = 0  # calls with a known cost
    unpriced: int = 0  # successful calls with an unknown cost
    latency: "array[float]" = field(default_factory=lambda: array("d"))  # s, finished calls
    first_chunk: "array[float]" = field(default_factory=lambda: array("d"))  # s, streams

    def add(self, row: groups.Row) -> None:
        """Count one call."""
        outcome = row["outcome"]
        self.calls += 1
        self.failures += outcome in groups.FAILED
        self.unfinished += outcome == "started"
        self.input_tokens += row["input_tokens"] or 0
        self.output_tokens += row["output_tokens"] or 0
        self.cost_e10 += int((row["cost_usd"] or 0) * 10**10)
        self.priced += row["cost_usd"] is not None
        self.unpriced += row["cost_usd"] is None and outcome in ("success", "abandoned")
        if row["duration_s"] is not None:
            self.latency.append(row["duration_s"])
        if row["first_chunk_s"] is not None:
            self.first_chunk.append(row["first_chunk_s"])

    @property
    def cost_usd(self) -> Decimal | None:
        """The exact sum in USD; None if no cost is known."""
        return Decimal(self.cost_e10).scaleb(-10) if self.priced else None

    def figures(self) -> dict[str, int | Decimal | float | None]:
        """All figures by name, as in JSON and CSV. Latencies are in s."""
        return {
            "calls": self.calls,
            "failures": self.failures,
            "unfinished": self.unfinished,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "unpriced": self.unpriced,
            "latency_p50_s": percentile(self.latency, 0.50),
            "latency_p95_s": percentile(self.latency, 0.95),
            "first_chunk_p50_s": percentile(self.first_chunk, 0.50),
            "first_chunk_p95_s": percentile(self.first_chunk, 0.95),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals of all calls and of each group, sorted by cost, or by day."""

    by: str
    total: Totals
    groups: dict[str | None, Totals]
    first: str | None  # start times of the first and last call, ISO 8601
    last: str | None


def percentile(values: Iterable[float], share: float) -> float | None:
    """The percentile `share` (0 to 1) of `values` by nearest rank; None if there are none."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def grouping(by: str) -> Callable[[groups.Row], Groups]:
    """The grouping `by`: a name in `BY`, or `metadata.<key>`. Raises ValueError if unknown."""
    if by.startswith(_METADATA) and len(by) > len(_METADATA):
        key = by[len(_METADATA) :]
        return lambda row: [_text((row["metadata"] or {}).get(key))]
    if by not in BY:
        raise ValueError(f"cannot group by {by!r}; choose {', '.join(BY)} or metadata.KEY")
    return BY[by]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def summarize(source: str, by: str, since: str = "") -> Summary:
    """Summarize the calls in `source` that started at `since` (ISO 8601, UTC) or later.

    Raises:
        records.Unreadable: `source` is not a store of litespan's.
        ValueError: unknown `by`.
    """
    groups_of = grouping(by)
    total, found, first, last = Totals(), dict[str | None, Totals](), None, None
    for row in records(source, _COLUMNS, since):
        total.add(row)
        for name in groups_of(row):
            found.setdefault(name, Totals()).add(row)
        begun = row["start_time"]  # stores are sorted by end time
        first, last = min(first or begun, begun), max(last or begun, begun)

    def order(group: tuple[str | None, Totals]) -> Any:
        name, totals = group
        return (name or "") if by == "day" else (-totals.cost_e10, -totals.calls, name or "")

    return Summary(by, total, dict(sorted(found.items(), key=order)), first, last)
