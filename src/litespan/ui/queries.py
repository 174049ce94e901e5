"""Queries of the index: totals, series over time, groups, lists of calls and sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from litespan.stores import groups
from litespan.stores.records import TIME
from litespan.ui.filters import Filters, value_of
from litespan.ui.index import Index

Row: TypeAlias = dict[str, Any]

BY: Final = ("model", "user", "team", "tag", "provider", "key", "end-user", "error", "day")
"""The groupings of the overview."""
PAGE: Final = 50
"""Rows of a page."""
_MOST: Final = 72  # buckets of a chart
_STEPS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 86_400, 604_800, 2_592_000)
)

_FAILED: Final = f"outcome in {groups.FAILED}"
# As `litespan report` has them: percentiles are measured values, by nearest rank.
FIGURES: Final = f"""
    count(*) as calls,
    count(*) filter ({_FAILED}) as failures,
    count(*) filter (outcome = 'started') as unfinished,
    coalesce(sum(input_tokens), 0)::bigint as input_tokens,
    coalesce(sum(output_tokens), 0)::bigint as output_tokens,
    sum(cost_usd) as cost_usd,
    count(*) filter (cost_usd is null and outcome in ('success', 'abandoned')) as unpriced,
    quantile_disc(duration_s, [0.5, 0.95]) as latency,
    quantile_disc(first_chunk_s, [0.5, 0.95]) as first_chunk
"""

_DAY: Final = "date_trunc('day', start_time)"
# The columns that `FIGURES` reads.
_SUMMED: Final = "outcome, input_tokens, output_tokens, cost_usd, duration_s, first_chunk_s"


class BadCursor(ValueError):
    """The cursor in a URL is invalid."""


@dataclass(frozen=True, slots=True)
class Series:
    """Figures over time: one row for each step, also for steps without calls."""

    step: timedelta
    rows: Sequence[Row]


def totals(index: Index, filters: Filters) -> Row:
    """The figures of all selected calls, with the times of the first and last one."""
    where, values = filters.where(index)
    sql = f"select {FIGURES}, min(start_time) as first, max(start_time) as last from calls"
    return index.rows(f"{sql} where {where}", values)[0]


def series(index: Index, filters: Filters, total: Row) -> Series:
    """The figures over time, in steps that make a readable chart."""
    if not total["calls"]:
        return Series(_STEPS[0], ())
    first, last = total["first"], total["last"]
    fitting = (step for step in _STEPS if (last - first) / step < _MOST)
    step = next(fitting, (last - first) / _MOST)
    where, values = filters.where(index)
    sql = (
        f"select time_bucket(to_microseconds(?), start_time) as at, {FIGURES} from calls "
        f"where {where} group by all order by all"
    )
    found = {
        row["at"]: row for row in index.rows(sql, [step // timedelta(microseconds=1), *values])
    }
    at, rows = min(found), []
    while at <= max(found):
        rows.append(found.get(at) or {"at": at, "calls": 0})
        at += step
    return Series(step, rows)


def groups_of(index: Index, filters: Filters, by: str, limit: int = PAGE) -> list[Row]:
    """The figures of each group: the most expensive first, or for days the latest first."""
    where, values = filters.where(index)
    source, group = "calls", "tag" if by == "tag" else value_of(by) if by != "day" else _DAY
    order = "name desc" if by == "day" else "cost_usd desc nulls last, calls desc, name"
    if by == "tag":
        source = f"(select {_SUMMED}, unnest(tags) as tag from calls where {where})"
        where = "true"
    sql = (
        f"select {group} as name, {FIGURES} from {source} where {where} "
        f"group by name order by {order} limit {limit}"
    )
    found = index.rows(sql, values)
    return [{**row, "name": f"{row['name']:%Y-%m-%d}"} for row in found] if by == "day" else found


def calls(
    index: Index, filters: Filters, *, before: str = "", order: str = "desc", limit: int = PAGE
) -> list[Row]:
    """A page of calls, newest first; `before` is the cursor of the page's last call."""
    where, values = filters.where(index)
    if before:
        at, _, key = before.partition("_")
        try:
            values += [datetime.fromisoformat(at).replace(tzinfo=None), key]
        except ValueError:
            raise BadCursor(before) from None
        where += " and (start_time, key) < (?, ?)"
    sql = (
        f"select * from calls where {where} order by start_time {order}, key {order} limit {limit}"
    )
    return index.rows(sql, values)


def cursor(call: Row) -> str:
    """Where the page after this call begins."""
    return f"{call['start_time'].isoformat()}_{call['key']}"


def sessions(index: Index, filters: Filters, *, offset: int = 0) -> list[Row]:
    """A page of sessions, the most recently active first."""
    where, values = filters.where(index)
    where += " and session_id is not null"
    latest = (
        "select session_id, max(start_time) as last from calls "
        f"where {where} group by session_id order by last desc, session_id limit {PAGE} offset ?"
    )
    sql = (
        f"select session_id as name, {FIGURES}, min(start_time) as first, max(start_time) as last, "
        f"any_value(user_id) as user_id from calls where {where} and session_id in "
        f"(select session_id from ({latest})) group by session_id order by last desc, name"
    )
    return index.rows(sql, [*values, *values, offset])


def call(index: Index, key: str) -> Row | None:
    """One call of the index by its key, or the first one by its call id or trace id."""
    for condition, values in (("key = ?", [key]), ("call_id = ? or trace_id = ?", [key, key])):
        sql = f"select * from calls where {condition} order by start_time limit 1"
        if found := index.rows(sql, values):
            return found[0]
    return None


def neighbors(index: Index, at: datetime, key: str) -> tuple[str | None, str | None]:
    """The keys of the next older and the next newer call."""
    older = index.rows(
        "select key from calls where (start_time, key) < (?, ?) "
        "order by start_time desc, key desc limit 1",
        [at, key],
    )
    newer = index.rows(
        "select key from calls where (start_time, key) > (?, ?) order by start_time, key limit 1",
        [at, key],
    )
    return (older[0]["key"] if older else None), (newer[0]["key"] if newer else None)


def traced(index: Index, trace_id: str) -> list[Row]:
    """The calls of a trace, at most 200, with times as in records."""
    sql = "select * from calls where trace_id = ? order by start_time limit 200"
    found = index.rows(sql, [trace_id])
    return [{**row, "start_time": row["start_time"].strftime(TIME)} for row in found]


def choices(index: Index, name: str) -> list[str]:
    """The most frequent values of a filter."""
    column = "unnest(tags)" if name == "tag" else value_of(name)
    sql = (
        f"select value from (select {column} as value from calls) where value is not null "
        "group by value order by count(*) desc, value limit 100"
    )
    return [row["value"] for row in index.rows(sql)]
