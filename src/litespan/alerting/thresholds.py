"""Thresholds and times of alerts: one frozen table, read from the environment.

Each field of `Thresholds` is one environment variable. `make docs-tables` writes the table in
`docs/alerting.md` from it.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from litespan.errors import log_once

_FLAGS: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def _amount(text: str) -> float | None:
    if text.lower() in ("off", "none", "false"):
        return None
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError
    return number


def _flag(text: str) -> bool:
    return _FLAGS[text.lower()]


_VALUES: Final[dict[Callable[[str], Any], str]] = {
    _amount: "a number above 0, or off",
    _seconds: "a number of seconds, 0 or more",
    _flag: "true or false",
}


def _row(name: str, default: Any, parse: Callable[[str], Any], about: str) -> Any:
    env = f"LITESPAN_ALERTS_{name}"
    return field(default=default, metadata={"env": env, "parse": parse, "about": about})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds and times of alerts. None switches a rule off. Times are in s, money in USD."""

    failures: bool = _row(
        "FAILURES", True, _flag, "alert on the first failure of each model and error class"
    )
    access: bool = _row(
        "ACCESS",
        True,
        _flag,
        "alert on refused credentials and used-up quotas: critical, without cool-down",
    )
    burst: float | None = _row("BURST", 10, _amount, "failures of one model within the window")
    outage: float | None = _row(
        "OUTAGE",
        5,
        _amount,
        "outage failures (status 408 or 5xx, timeout, refused connection) of one model within the "
        "window, if they are at least half of its calls; twice as many are critical",
    )
    window: float = _row("WINDOW", 60, _amount, "length of the window for bursts and outages, s")
    slow: float | None = _row("SLOW", 120, _amount, "duration of one call, s")
    slow_mean: float | None = _row("SLOW_MEAN", 30, _amount, "mean duration of a model's calls, s")
    slow_p95: float | None = _row(
        "SLOW_P95", 60, _amount, "95th percentile of the durations of a model's calls, s"
    )
    slow_window: float = _row(
        "SLOW_WINDOW", 300, _amount, "length of the window for mean and 95th percentile, s"
    )
    slow_calls: float = _row(
        "SLOW_CALLS", 20, _amount, "minimum number of calls for mean and 95th percentile"
    )
    first_chunk: float | None = _row(
        "FIRST_CHUNK", 15, _amount, "time to the first chunk of a stream, s"
    )
    call_cost: float | None = _row("CALL_COST", 1.0, _amount, "cost of one call, USD")
    user_day: float | None = _row("USER_DAY", None, _amount, "budget of a user per UTC day, USD")
    user_month: float | None = _row("USER_MONTH", None, _amount, "budget of a user per month, USD")
    team_day: float | None = _row("TEAM_DAY", None, _amount, "budget of a team per UTC day, USD")
    team_month: float | None = _row("TEAM_MONTH", None, _amount, "budget of a team per month, USD")
    anomaly: float | None = _row(
        "ANOMALY",
        3,
        _amount,
        "spending of a user or team today, as a multiple of its daily mean of the last seven days",
    )
    anomaly_usd: float = _row(
        "ANOMALY_USD", 10, _amount, "minimum spending in a day for an anomaly, USD"
    )
    hanging: float | None = _row(
        "HANGING", 300, _amount, "time after which a call that has not ended hangs, s"
    )
    fallback: bool = _row("FALLBACK", True, _flag, "alert on a fallback")

    resolve: float = _row(
        "RESOLVE", 300, _amount, "time without further findings until an alert is resolved, s"
    )
    cooldown: float = _row(
        "COOLDOWN", 3600, _seconds, "minimum time between two firings of the same alert, s"
    )
    repeat: float = _row(
        "REPEAT", 14400, _amount, "time after which an alert that still fires is sent again, s"
    )
    digest: float = _row(
        "DIGEST",
        60,
        _seconds,
        "time that warnings wait, to be sent together, s; errors do not wait",
    )
    content: bool = _row("CONTENT", False, _flag, "include the prompt in alerts")
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
        source = os.environ if env is None else env
        values: dict[str, Any] = {}
        for row in fields(cls):
            name, parse = row.metadata["env"], row.metadata["parse"]
            text = source.get(name, "").strip()
            if not text:
                continue
            try:
                values[row.name] = parse(text)
            except (ValueError, KeyError):
                log_once(
                    f"alerts:{name}:{text}",
                    "%s=%r is not %s: using the default, %s",
                    name,
                    text,
                    _VALUES[parse],
                    "off" if row.default is None else row.default,
                )
                continue
            if values[row.name] is None and "None" not in str(row.type):
                del values[row.name]  # "off" is only for rules; a window cannot be off
        return cls(**values)
