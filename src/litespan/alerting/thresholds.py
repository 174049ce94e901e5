"""What is worth an alert, and how often: one frozen table, read from the environment.

Each field is one variable; `docs/alerting.md` is checked against this table.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from litespan.errors import log_once

PREFIX: Final = "LITESPAN_ALERTS_"
OFF: Final = ("off", "none", "false")


def _amount(text: str) -> float | None:
    if text.lower() in OFF:
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
    return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}[
        text.lower()
    ]


def _text(text: str) -> str:
    return text


_VALUES: Final[dict[Callable[[str], Any], str]] = {
    _amount: "a number above 0, or off",
    _seconds: "seconds, 0 or more",
    _flag: "true or false",
}


def _row(name: str, default: Any, parse: Callable[[str], Any], about: str) -> Any:
    return field(default=default, metadata={"env": PREFIX + name, "parse": parse, "about": about})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to alert. None switches a rule off. Times are seconds, money is US dollars."""

    failures: bool = _row(
        "FAILURES", True, _flag, "the first failure of each model and error class"
    )
    access: bool = _row(
        "ACCESS", True, _flag, "refused credentials, used-up quotas: critical, no cool-down"
    )
    burst: float | None = _row("BURST", 10, _amount, "failures of one model within the window")
    outage: float | None = _row(
        "OUTAGE",
        5,
        _amount,
        "answers 408 or 5xx, timeouts, refused connections of one model within the window, if "
        "they are half of its calls; twice as many are critical",
    )
    window: float = _row("WINDOW", 60, _amount, "s that bursts and outages are counted over")
    slow: float | None = _row("SLOW", 120, _amount, "s that one call takes")
    slow_mean: float | None = _row("SLOW_MEAN", 30, _amount, "s, mean of a model's calls")
    slow_p95: float | None = _row("SLOW_P95", 60, _amount, "s, 95 % of a model's calls are faster")
    slow_window: float = _row("SLOW_WINDOW", 300, _amount, "s that mean and p95 are taken over")
    slow_calls: float = _row("SLOW_CALLS", 20, _amount, "calls that a mean or p95 needs")
    first_chunk: float | None = _row("FIRST_CHUNK", 15, _amount, "s to a stream's first chunk")
    call_cost: float | None = _row("CALL_COST", 1.0, _amount, "USD of one call")
    user_day: float | None = _row("USER_DAY", None, _amount, "USD of a user and UTC day")
    user_month: float | None = _row("USER_MONTH", None, _amount, "USD of a user and month")
    team_day: float | None = _row("TEAM_DAY", None, _amount, "USD of a team and UTC day")
    team_month: float | None = _row("TEAM_MONTH", None, _amount, "USD of a team and month")
    anomaly: float | None = _row(
        "ANOMALY", 3, _amount, "times its mean day of the last seven that a user or team spends"
    )
    anomaly_usd: float = _row("ANOMALY_USD", 10, _amount, "USD a day below which that is nothing")
    hanging: float | None = _row("HANGING", 300, _amount, "s that a call has started and not ended")
    fallback: bool = _row("FALLBACK", True, _flag, "a fallback was used")

    resolve: float = _row("RESOLVE", 300, _amount, "s without any more of it until it is resolved")
    cooldown: float = _row("COOLDOWN", 3600, _seconds, "s between two alerts of the same kind")
    repeat: float = _row("REPEAT", 14400, _amount, "s after which what goes on is told again")
    digest: float = _row(
        "DIGEST", 60, _seconds, "s that warnings wait, to go out together; errors do not wait"
    )
    content: bool = _row("CONTENT", False, _flag, "whether alerts quote the prompt")
    state: str = _row(
        "STATE",
        "",
        _text,
        "a file (SQLite) or postgresql:// URL that processes share, so that they do not repeat "
        "each other's alerts; empty: each process by itself",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Thresholds":
        """Read every variable of `env` (default `os.environ`); a bad value is one warning."""
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
            if values[row.name] is None and row.default is not None and "None" not in str(row.type):
                del values[row.name]  # a window can not be off
        return cls(**values)
