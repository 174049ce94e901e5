"""Spending with clocks that are wrong, and processes with other settings."""

from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from litespan.alerting.spend import MAX_PAYERS
from litespan.alerting.state import State
from litespan.counters import stats
from tests.alerting.calls import NOON, RATE_LIMIT, view
from tests.alerting.test_engine import Desk, T

HALF: dict[str, Any] = {"user__id": "ann", "gen_ai__usage__cost": 0.5}
YEAR = 365 * 86_400.0  # s


@pytest.mark.parametrize("wrong", [NOON + 70 * YEAR, NOON + 1e12])
def test_a_clock_in_the_future_does_not_switch_budgets_off(wrong: float) -> None:
    """Of another machine: the call counts for today, and so do those after it."""
    desk = Desk(replace(T, user_day=1.0, call_cost=None, digest=0.0))
    assert desk.see(view(**HALF, at=wrong)) == []
    assert desk.see(view(**HALF)) == [[("firing", "budget", 1, 0)]]
    assert "1.00 of 1 USD for the day 2026-11-20" in desk.messages[0][0].finding.summary


def test_a_call_with_an_impossible_time_does_not_hide_the_others() -> None:
    """The failure in the same export is an alert."""
    desk = Desk(replace(T, user_day=1.0))
    odd = replace(view(**HALF), end_ns=-(10**22))
    assert desk.see(odd, view(**RATE_LIMIT)) == [[("firing", "failure", 1, 0)]]


def test_a_process_without_a_daily_message_leaves_it_to_the_others() -> None:
    """They share a state, and it is the first one to look; without any other, the record goes."""
    state = State()
    daily, none = (Desk(replace(T, daily=at, digest=0.0), state) for at in (time(9), None))
    daily.see(view(gen_ai__usage__cost=0.5))
    assert none.see(after=21 * 3600) == []
    assert daily.see(after=21 * 3600) == [[("firing", "daily", 1, 0)]]
    daily.see(view(gen_ai__usage__cost=0.5, at=daily.now))
    none.see(after=3 * 86_400)
    assert state.due("desk/daily/", 1e12) == []


def test_costs_that_do_not_fit_are_counted() -> None:
    """More users than fit between two runs of the engine."""
    before = stats().get("alerts.desk.not_summed", 0)
    calls = [view(**{**HALF, "user__id": f"u{number}"}) for number in range(MAX_PAYERS + 30)]
    Desk().see(*calls)
    assert stats()["alerts.desk.not_summed"] - before == 31  # one place is the program's
