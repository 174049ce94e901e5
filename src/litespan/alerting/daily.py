"""The daily message: a day's figures of a program in one record, and the message about them. Pure.

Figures are JSON: counts of calls, and USD in all, by team and by model.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta, timezone
from typing import Any, Final

from litespan.alerting.alert import Example, Finding, model_of, team_of
from litespan.alerting.state import Record
from litespan.export import GenAISpan

_MOST: Final = 5  # teams and models in a message
_MAX_NAMES: Final = 200  # teams and models in a record; the rest is one sum
_OTHERS: Final = "others"


def tally(span: GenAISpan) -> dict[str, Any]:
    """The figures of one call."""
    usd, error, team = span.cost.total, span.error, team_of(span)
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


def add(
    record: Record | None, day: str, figures: Mapping[str, Any], now: float, at: time
) -> tuple[dict[str, Any], None]:
    """Add figures to those of `day`. The record is due at the next time of day `at`, UTC."""
    days = dict(record["days"]) if record else {}
    days[day] = merged(days[day], figures) if day in days else figures
    return {"days": days, "due": record["due"] if record else _next(now, at)}, None


def report(
    record: Record | None, program: str, now: float, at: time
) -> tuple[Record | None, list[Finding]]:
    """The record without the days before today if it is due, and a message about each of them."""
    if record is None or now < record["due"]:  # another process has sent it
        return record, []
    today = datetime.fromtimestamp(now, timezone.utc).date().isoformat()
    days = record["days"]
    found = [_message(program, day, days[day]) for day in sorted(days) if day < today]
    left = {day: figures for day, figures in days.items() if day >= today}
    return ({"days": left, "due": _next(now, at)} if left else None), found


def _message(program: str, day: str, figures: Mapping[str, Any]) -> Finding:
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
