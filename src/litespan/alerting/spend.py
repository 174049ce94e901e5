"""Spending of users and teams: daily sums in one record each, and the alerts about them. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

from litespan.alerting.alert import Finding, Severity, make_finding
from litespan.alerting.state import Record
from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan

KEEP: Final = 40  # days: a whole month, and the week before today
_TRAILING: Final = 7  # days
_LEVELS: Final[tuple[tuple[float, Severity], ...]] = ((1.0, "critical"), (0.8, "warning"))


class Spent(NamedTuple):
    """Sums in USD, before and after a call."""

    day: tuple[float, float]
    month: tuple[float, float]
    trailing: float  # daily mean of the seven days before, or since the first recorded day


def payers(span: GenAISpan) -> Iterator[tuple[str, str]]:
    """Kind and name of each user or team that the call's cost counts for."""
    identity = span.identity
    if user := identity.user or identity.end_user_id:
        yield "user", user
    if team := identity.team_alias or identity.team_id:
        yield "team", team


def day_of(span: GenAISpan) -> date:
    """The UTC day on which the call ended."""
    return datetime.fromtimestamp((span.end_ns or span.start_ns) / 1e9, timezone.utc).date()


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
        "day": (day, spent.day, t.user_day if kind == "user" else t.team_day),
        "month": (day[:7], spent.month, t.user_month if kind == "user" else t.team_month),
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
    if t.anomaly is None or not spent.trailing:
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
