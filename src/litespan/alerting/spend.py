"""Spending of programs, users and teams: daily sums in the state, and the alerts about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from typing import Any, Final, NamedTuple

from litespan.alerting import daily
from litespan.alerting.alert import Finding, Severity, ended_at, make_finding, team_of
from litespan.alerting.state import Record, State
from litespan.alerting.thresholds import Thresholds
from litespan.counters import count
from litespan.export import GenAISpan

MAX_PAYERS: Final = 1000  # whose spending is not yet in the state
_KEEP: Final = timedelta(40)  # a whole month, and the week before today
_TRAILING: Final = 7  # days
_LEVELS: Final[tuple[tuple[float, Severity], ...]] = ((1.0, "critical"), (0.8, "warning"))
_UNNAMED: Final = "unknown_service"  # as in the SDK
_DAY_S: Final = 86_400.0


@dataclass(slots=True)
class Unsaved:
    """What calls have cost, until it is added to the state."""

    payers: dict[tuple[str, str, date], tuple[float, GenAISpan]] = field(default_factory=dict)
    """USD by kind and name of the payer and by day, with one of the calls."""
    days: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Figures of `daily` by program and day."""
    lost: int = 0  # calls whose cost did not fit

    def add(self, span: GenAISpan, now: float, *, figures: bool) -> None:
        """Add one call.

        Args:
            span: the call.
            now: s since the epoch. A call that ends later, by a wrong clock, counts for today.
            figures: whether there is a daily message.
        """
        day = day_at(min(ended_at(span), now))
        program = span.service.name or _UNNAMED
        if usd := span.cost.total:
            names = {
                "program": program,
                "user": span.identity.user or span.identity.end_user_id,
                "team": team_of(span),
            }
            for kind, name in names.items():
                if not name:
                    continue
                payer = (kind, name, day)
                if payer in self.payers or len(self.payers) < MAX_PAYERS:
                    self.payers[payer] = (self.payers.get(payer, (0.0, span))[0] + usd, span)
                else:
                    self.lost += 1
        if figures:
            key, of_call = (program, day.isoformat()), daily.tally(span)
            if key in self.days:
                self.days[key] = daily.merged(self.days[key], of_call)
            elif len(self.days) < MAX_PAYERS:
                self.days[key] = of_call


class Sums:
    """The sums of one destination in the state: `add` when they grow, `due` at their times.

    Args:
        name: the destination.
        t: budgets, and the time of the daily message.
        state: where the sums are.
    """

    def __init__(self, name: str, t: Thresholds, state: State) -> None:
        self._name, self._t, self._state = name, t, state
        self._spent: Final = f"{name}/spent/"
        self._daily: Final = f"{name}/daily/"

    def add(self, unsaved: Unsaved, now: float) -> Iterator[Finding]:
        """Add costs to the state. Yields budgets that they exceed and anomalies.

        `now` is in s since the epoch.
        """
        t = self._t
        if unsaved.lost:
            count(f"alerts.{self._name}.not_summed", unsaved.lost)
        for (kind, name, day), (usd, span) in unsaved.payers.items():
            if kind == "program" and t.program_day is None and t.program_month is None:
                continue
            step = partial(add, day=day, usd=usd)
            spent = self._state.change(f"{self._spent}{kind}={name}", step)
            yield from judge(kind, name, spent, span, t)
        for (program, today), figures in unsaved.days.items():
            if t.daily is not None:
                tally = partial(daily.add, day=today, figures=figures, now=now, at=t.daily)
                self._state.change(f"{self._daily}{program}", tally)

    def owns(self, key: str) -> bool:
        """Whether a record of the state is one of these sums."""
        return key.startswith((self._spent, self._daily))

    def due(self, key: str, now: float) -> list[Finding]:
        """Remove what is due of a sum. Returns its daily messages. `now` is in s since the epoch.

        A process without a daily message deletes daily records a day later, because others that
        share the state may still send theirs.
        """
        if self._t.daily is None or key.startswith(self._spent):
            self._state.change(key, partial(_outdated, before=now - _DAY_S))
            return []
        program = key.removeprefix(self._daily)
        step = partial(daily.report, program=program, now=now, at=self._t.daily)
        return self._state.change(key, step)


def day_at(seconds: float) -> date:
    """The UTC day of a time in s since the epoch."""
    return datetime.fromtimestamp(seconds, timezone.utc).date()


class Spent(NamedTuple):
    """Sums in USD, before and after a cost was added."""

    date: date
    day: tuple[float, float]
    month: tuple[float, float]
    trailing: float  # daily mean of the seven days before, or since the first recorded day


def add(record: Record | None, day: date, usd: float) -> tuple[Record, Spent]:
    """Add `usd` to the sum of `day`. Returns the new record and the sums. Pure."""
    days: dict[str, float] = dict(record["days"]) if record else {}
    today, month = day.isoformat(), day.isoformat()[:7]
    day_before = days.get(today, 0.0)
    month_before = sum(spent for name, spent in days.items() if name.startswith(month))
    first = date.fromisoformat(min([today, *days]))
    known = min(_TRAILING, (day - first).days)  # days before the first record are unknown, not 0
    earlier = [(day - timedelta(n)).isoformat() for n in range(1, known + 1)]
    trailing = sum(days.get(name, 0.0) for name in earlier) / known if known else 0.0
    days[today] = day_before + usd
    newest = date.fromisoformat(max(days))
    oldest = (newest - _KEEP).isoformat()
    due = datetime.combine(newest + _KEEP, time(), timezone.utc).timestamp()
    kept = {name: spent for name, spent in days.items() if name >= oldest}
    after = (day_before, day_before + usd), (month_before, month_before + usd)
    return {"days": kept, "due": due}, Spent(day, *after, trailing)


def judge(kind: str, name: str, spent: Spent, span: GenAISpan, t: Thresholds) -> Iterator[Finding]:
    """Budgets that this cost brought to 80 or 100 %, and days of unusual spending. Pure."""
    day, who = spent.date.isoformat(), f"{kind.capitalize()} {name}"
    limits = {
        "day": (day, spent.day, getattr(t, f"{kind}_day")),
        "month": (day[:7], spent.month, getattr(t, f"{kind}_month")),
    }
    for period, (shown, (before, after), limit) in limits.items():
        for level, severity in _LEVELS:
            if limit is not None and before < level * limit <= after:
                yield make_finding(
                    "budget",
                    span,
                    severity,
                    f"{who} has spent {after:.2f} of {limit:g} USD for the {period} {shown} "
                    f"({after / limit:.0%})",
                    t,
                    ((kind, name), (period, shown), ("level", f"{level:.0%}")),
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
            f"{who} has spent {after:.2f} USD today; the daily mean of the last seven days is "
            f"{spent.trailing:.2f} USD",
            t,
            ((kind, name), ("day", day)),
            value=after,
            threshold=limit,
            lasting=False,
        )


def _outdated(record: Record | None, before: float) -> tuple[Record | None, None]:
    """Delete a record that was due at `before` or earlier."""
    return (record if record is not None and record["due"] > before else None), None
