"""Thresholds and times of alerts: one frozen table, read from the environment.

Each field of `Thresholds` is one environment variable. `make docs-tables` writes the table in
`docs/alerting.md` from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import time
from typing import Any

from litespan.parsers import (
    amount,
    amount_or_off,
    as_text,
    flag,
    from_env,
    seconds,
    time_or_off,
    trace_links,
    variable,
)


def _row(name: str, default: Any, parse: Callable[[str], Any], about: str) -> Any:
    return variable(f"LITESPAN_ALERTS_{name}", default, parse, about)


def _limit(name: str, default: float | None, about: str) -> Any:
    return _row(name, default, amount_or_off, about)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds and times of alerts. None switches a rule off. Times are in s, money in USD."""

    failures: bool = _row(
        "FAILURES", True, flag, "alert on the first failure of each model and error class"
    )
    access: bool = _row(
        "ACCESS",
        True,
        flag,
        "alert on refused credentials and exhausted quotas: critical, without cool-down",
    )
    burst: float | None = _limit("BURST", 10, "failures of one model within the window")
    outage: float | None = _limit(
        "OUTAGE",
        5,
        "outage failures (status 408 or 5xx, timeout, refused connection) of one model within the "
        "window, if they are at least half of its calls; twice as many are critical",
    )
    window: float = _row("WINDOW", 60, amount, "length of the window for bursts and outages, s")
    slow: float | None = _limit("SLOW", 120, "duration of one call, s")
    slow_mean: float | None = _limit("SLOW_MEAN", 30, "mean duration of a model's calls, s")
    slow_p95: float | None = _limit(
        "SLOW_P95", 60, "95th percentile of the durations of a model's calls, s"
    )
    slow_window: float = _row(
        "SLOW_WINDOW", 300, amount, "length of the window for mean and 95th percentile, s"
    )
    slow_calls: float = _row(
        "SLOW_CALLS", 20, amount, "minimum number of calls for mean and 95th percentile"
    )
    first_chunk: float | None = _limit("FIRST_CHUNK", 15, "time to the first chunk of a stream, s")
    call_cost: float | None = _limit("CALL_COST", 1.0, "cost of one call, USD")
    user_day: float | None = _limit("USER_DAY", None, "budget of a user per UTC day, USD")
    user_month: float | None = _limit("USER_MONTH", None, "budget of a user per month, USD")
    team_day: float | None = _limit("TEAM_DAY", None, "budget of a team per UTC day, USD")
    team_month: float | None = _limit("TEAM_MONTH", None, "budget of a team per month, USD")
    program_day: float | None = _limit(
        "PROGRAM_DAY", None, "budget of the program (`service.name`) per UTC day, USD"
    )
    program_month: float | None = _limit(
        "PROGRAM_MONTH", None, "budget of the program per month, USD"
    )
    daily: time | None = _row(  # noqa: RUF009 - a dataclass field, as the others
        "DAILY",
        None,
        time_or_off,
        "UTC time, such as `09:00`, of a daily message on what the program spent the day before",
    )
    anomaly: float | None = _limit(
        "ANOMALY",
        3,
        "spending of a user or team today, as a multiple of its daily mean of the last seven days",
    )
    anomaly_usd: float = _row(
        "ANOMALY_USD", 10, amount, "minimum spending in a day for an anomaly, USD"
    )
    hanging: float | None = _limit(
        "HANGING", 300, "time after which a call that has not ended hangs, s"
    )
    fallback: bool = _row("FALLBACK", True, flag, "alert on a fallback")

    resolve: float = _row(
        "RESOLVE", 300, amount, "time without further findings until an alert is resolved, s"
    )
    cooldown: float = _row(
        "COOLDOWN", 3600, seconds, "minimum time between two firings of the same alert, s"
    )
    repeat: float = _row(
        "REPEAT", 14400, amount, "time after which an alert that still fires is sent again, s"
    )
    digest: float = _row(
        "DIGEST",
        60,
        seconds,
        "time that warnings wait, to be sent together, s; errors do not wait",
    )
    content: bool = _row("CONTENT", False, flag, "include the prompt in alerts")
    trace_url: tuple[tuple[str, str], ...] = variable(
        "LITESPAN_UI_TRACE_URL",
        (),
        trace_links,
        "URL of a trace's page at a vendor, with `{trace_id}` in it; [also for `litespan ui`]"
        "(ui.md#links-to-a-vendor). Alerts use the first one",
    )
    state: str = _row(
        "STATE",
        "",
        str,
        "SQLite file that the processes of one machine share, so that they do not repeat each "
        "other's alerts; empty: each process sends alerts independently",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Thresholds":
        """Read the variables from `env` (default `os.environ`); logs one line per bad value."""
        return from_env(cls, env)


def in_variables(given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Divide the thresholds of a configuration file, where YAML reads `off` as false.

    Returns variables with the texts and Booleans, to be parsed, and the other values.
    """
    named = {row.name: row.metadata["env"] for row in fields(Thresholds)}
    texts = {k: v for k, v in given.items() if k in named and isinstance(v, str | bool)}
    others = {name: value for name, value in given.items() if name not in texts}
    return {named[name]: as_text(value) for name, value in texts.items()}, others
