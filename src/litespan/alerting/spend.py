"""What users and teams spend: days in a record per user or team, and what is found in it. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

from litespan.alerting.alert import Finding
from litespan.alerting.rules import found
from litespan.alerting.state import Record
from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan

KEEP: Final = 40  # days: the whole month, and a week before today
_TRAILING: Final = 7
_LEVELS: Final = ((1.0, "critical"), (0.8, "warning"))  # the higher first: one alert a call


class Spent(NamedTuple):
    """USD, before and after one more call."""

    day: tuple[float, float]
    month: tuple[float, float]
    trailing: float  # mean of the seven days before, or of those since the first on record


def who(span: GenAISpan) -> Iterator[tuple[str, str]]:
    """(kind, name) of each that the call's cost counts for."""
    identity = span.identity
    if user := identity.user or identity.end_user_id:
        yield "user", user
    if team := identity.team_alias or identity.team_id:
        yield "team", team


def day_of(span: GenAISpan) -> date:
    """The UTC day on which the call ended."""
    return datetime.fromtimestamp((span.end_ns or span.start_ns) / 1e9, timezone.utc).date()


def add(record: Record | None, day: date, usd: float) -> tuple[dict[str, Any], Spent]:
    """The record with `usd` more on `day`, and what that makes."""
    days: dict[str, float] = dict(record["days"]) if record else {}
    today, month = day.isoformat(), day.isoformat()[:7]
    before_day = days.get(today, 0.0)
    before_month = sum(spent for name, spent in days.items() if name.startswith(month))
    first = date.fromisoformat(min([today, *days]))
    known = min(_TRAILING, (day - first).days)  # what nobody counted is no day without spending
    earlier = [(day - timedelta(n)).isoformat() for n in range(1, known + 1)]
    trailing = sum(days.get(name, 0.0) for name in earlier) / known if known else 0.0
    days[today] = before_day + usd
    oldest = (max(map(date.fromisoformat, days)) - timedelta(KEEP)).isoformat()
    kept = {name: spent for name, spent in days.items() if name >= oldest}
    forgotten = datetime.fromisoformat(max(kept)).replace(tzinfo=timezone.utc) + timedelta(KEEP)
    spent = Spent((before_day, before_day + usd), (before_month, before_month + usd), trailing)
    return {"days": kept, "due": forgotten.timestamp()}, spent


def judge(kind: str, name: str, spent: Spent, span: GenAISpan, t: Thresholds) -> Iterator[Finding]:
    """Budgets that this call has brought to 80 or 100 %, and unusual days."""
    day = day_of(span).isoformat()
    limits = {
        "day": (day, spent.day, t.user_day if kind == "user" else t.team_day),
        "month": (day[:7], spent.month, t.user_month if kind == "user" else t.team_month),
    }
    for period, (which, (before, after), limit) in limits.items():
        for level, severity in _LEVELS:
            if limit is not None and before < level * limit <= after:
                yield found(
                    "budget",
                    span,
                    "critical" if severity == "critical" else "warning",
                    f"{kind.capitalize()} {name} has spent {after:.2f} of {limit:g} USD for the "
                    f"{period} {which} ({after / limit:.0%})",
                    t,
                    ((kind, name), (period, which), ("level", f"{level:.0%}")),
                    value=after,
                    threshold=limit,
                    lasting=False,
                )
                break
    if t.anomaly is None or not spent.trailing:
        return
    limit = max(t.anomaly * spent.trailing, t.anomaly_usd)
    before, after = spent.day
    if before <= limit < after:
        yield found(
            "anomaly",
            span,
            "warning",
            f"{kind.capitalize()} {name} has spent {after:.2f} USD today, {spent.trailing:.2f} USD "
            "on a mean day of the last seven",
            t,
            ((kind, name), ("day", day)),
            value=after,
            threshold=limit,
            lasting=False,
        )
