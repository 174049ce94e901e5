"""Spending of users, teams and the program: daily sums in records, and the alerts about them.

Pure.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Final, NamedTuple

from litespan.alerting.alert import (
    Example,
    Finding,
    Severity,
    ended_at,
    make_finding,
    model_of,
    team_of,
)
from litespan.alerting.state import Record
from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan

KEEP: Final = 40  # days: a whole month, and the week before today
_TRAILING: Final = 7  # days
_LEVELS: Final[tuple[tuple[float, Severity], ...]] = ((1.0, "critical"), (0.8, "warning"))
_MOST: Final = 5  # teams and models in a daily message
_MAX_NAMES: Final = 200  # teams and models in a record; the rest is one sum
_OTHERS: Final = "others"
_UNNAMED: Final = "unknown_service"  # as in the SDK


class Spent(NamedTuple):
    """Sums in USD, before and after a call."""

    day: tuple[float, float]
    month: tuple[float, float]
    trailing: float  # daily mean of the seven days before, or since the first recorded day


def payers(span: GenAISpan) -> Iterator[tuple[str, str]]:
    """Kind and name of the program, user and team that the call's cost counts for."""
    identity = span.identity
    yield "program", program_of(span)
    if user := identity.user or identity.end_user_id:
        yield "user", user
    if team := team_of(span):
        yield "team", team


def program_of(span: GenAISpan) -> str:
    """The name of the service that made the call."""
    return span.service.name or _UNNAMED


def day_of(span: GenAISpan) -> date:
    """The UTC day on which the call ended."""
    return datetime.fromtimestamp(ended_at(span), timezone.utc).date()


def add(record: Record | None, day: date, usd: float) -> tuple[dict[str, Any], Spent]:
    """Add `usd` to the sum of `day`. Returns the new record and the sums."""
    days: dict[str, float] = dict(record["days"]) if record else {}
    today, month = day.isoformat(), day.isoformat()[:7]
    day_before = days.get(today, 0.0)
    month_before = sum(spent for name, spent in days.items() if name.startswith(month))
    first = date.fromisoformat(min([today, *days]))
    known = min(_TRAILING, (day - first).days)  # days before the first record are unknown, not 0
    earlier = [(day - timedelta(n)).isoformat() for n in range(1, known + 1)]
    trailing = sum(days.get(name, 0.0) for name in earlier) / known if known else 0.0
    days[today] = day_before + usd
    oldest = (max(map(date.fromisoformat, days)) - timedelta(KEEP)).isoformat()
    kept = {name: spent for name, spent in days.items() if name >= oldest}
    delete_at = datetime.fromisoformat(max(kept)).replace(tzinfo=timezone.utc) + timedelta(KEEP)
    spent = Spent((day_before, day_before + usd), (month_before, month_before + usd), trailing)
    return {"days": kept, "due": delete_at.timestamp()}, spent


def judge(kind: str, name: str, spent: Spent, span: GenAISpan, t: Thresholds) -> Iterator[Finding]:
    """Budgets that this call brought to 80 or 100 %, and days of unusual spending."""
    day, who = day_of(span).isoformat(), f"{kind.capitalize()} {name}"
    limits = {
        "day": (day, spent.day, getattr(t, f"{kind}_day")),
        "month": (day[:7], spent.month, getattr(t, f"{kind}_month")),
    }
    for period, (date_text, (before, after), limit) in limits.items():
        for level, severity in _LEVELS:
            if limit is not None and before < level * limit <= after:
                yield make_finding(
                    "budget",
                    span,
                    severity,
                    f"{who} has spent {after:.2f} of {limit:g} USD for the {period} {date_text} "
                    f"({after / limit:.0%})",
                    t,
                    ((kind, name), (period, date_text), ("level", f"{level:.0%}")),
                    value=after,
                    threshold=limit,
                    lasting=False,
                )
                break  # only the higher level
    if t.anomaly is None or not spent.trailing or kind == "program":
        return
    limit = max(t.anomaly * spent.trailing, t.anomaly_usd)
    before, after = spent.day
    if before <= limit < after:
        yield make_finding(
            "anomaly",
            span,
            "warning",
            f"{who} has spent {after:.2f} USD today; the daily mean of the last seven "
            f"days is {spent.trailing:.2f} USD",
            t,
            ((kind, name), ("day", day)),
            value=after,
            threshold=limit,
            lasting=False,
        )


# --- the daily message ---------------------------------------------------------------------


def tally(span: GenAISpan) -> dict[str, Any]:
    """One call as a day's figures, in JSON: counts, and USD in all, by team and by model."""
    usd, error = span.cost.total, span.error
    team = team_of(span)
    return {
        "calls": 1,
        "failed": int(error is not None),
        "unpriced": int(usd is None and error is None),
        "usd": usd or 0.0,
        "teams": {team: usd} if usd and team else {},
        "models": {model_of(span): usd} if usd else {},
    }


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of two sets of calls together."""
    both: dict[str, Any] = {}
    for name, value in first.items():
        if not isinstance(value, Mapping):
            both[name] = value + second[name]
            continue
        sums = both[name] = dict(value)
        for key, usd in second[name].items():
            known = key if key in sums or len(sums) < _MAX_NAMES else _OTHERS
            sums[known] = sums.get(known, 0.0) + usd
    return both


def add_day(
    record: Record | None, day: str, figures: Mapping[str, Any], now: float, at: time
) -> tuple[dict[str, Any], None]:
    """Add figures to those of `day`. The record is due at the next time of day `at`, UTC."""
    days = dict(record["days"]) if record else {}
    days[day] = merged(days[day], figures) if day in days else dict(figures)
    return {"days": days, "due": record["due"] if record else _next(now, at)}, None


def report(
    record: Record | None, program: str, now: float, at: time
) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The record without the days before today if it is due, and a message about each of them."""
    if record is None or now < record["due"]:  # another process has sent it
        return None if record is None else dict(record), []
    today = datetime.fromtimestamp(now, timezone.utc).date().isoformat()
    past = sorted(day for day in record["days"] if day < today)
    left = {day: figures for day, figures in record["days"].items() if day >= today}
    found = [_daily(program, day, record["days"][day]) for day in past]
    return ({"days": left, "due": _next(now, at)} if left else None), found


def _daily(program: str, day: str, figures: Mapping[str, Any]) -> Finding:
    unpriced = figures["unpriced"]
    return Finding(
        "daily",
        (("program", program), ("day", day)),
        "info",
        f"{program} spent {figures['usd']:.2f} USD on {day}: {figures['calls']} calls, "
        f"{figures['failed']} failed" + (f", {unpriced} of unknown cost" if unpriced else ""),
        Example(service=program),
        value=figures["usd"],
        lasting=False,
        details=tuple(
            (kind.capitalize(), text)
            for kind in ("teams", "models")
            if (text := ", ".join(_most(figures[kind])))
        ),
    )


def _most(sums: Mapping[str, float]) -> Iterator[str]:
    for name, usd in sorted(sums.items(), key=lambda item: -item[1])[:_MOST]:
        yield f"{name} {usd:.2f} USD"


def _next(now: float, at: time) -> float:
    """When it is the time of day `at` next after `now`, in s since the epoch."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    due = datetime.combine(moment.date(), at, timezone.utc)
    return (due if due > moment else due + timedelta(1)).timestamp()
