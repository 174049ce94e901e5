import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import time as clock
from typing import Any

import pytest

from litespan.alerting import Notice, Thresholds
from litespan.alerting.calls import MAX_RUNNING
from litespan.alerting.engine import Engine
from litespan.alerting.queues import MAX_PENDING, SendResult
from litespan.alerting.state import State
from tests.alerting.calls import DOWN, NO_KEY, NOON, RATE_LIMIT, view

T = Thresholds(burst=None, outage=None)


class Still(Engine):
    """An engine without its thread: the test sets its time and runs it."""

    def _wake(self) -> None:
        pass


class Desk:
    """A destination that keeps its messages, and an engine whose clock the test sets."""

    def __init__(
        self,
        t: Thresholds = T,
        state: State | None = None,
        fates: Sequence[SendResult | Exception] = (),
        **options: Any,
    ) -> None:
        self.now = float(NOON)
        self.messages: list[list[Notice]] = []
        self.fates = list(fates)
        self.lost: list[int] = []
        self.engine = Still(
            "desk",
            t,
            state or State(),
            self.send,
            clock=lambda: self.now,
            **options,
        )

    def send(self, notices: Sequence[Notice], lost: int) -> SendResult:
        fate = self.fates.pop(0) if self.fates else "sent"
        if isinstance(fate, Exception):
            raise fate
        self.messages.append(list(notices))
        self.lost.append(lost)
        return fate

    def see(self, *calls: Any, after: float = 0.0) -> list[list[tuple[str, str, int, int]]]:
        """Let time pass, show calls; the messages that come of it."""
        self.now += after
        self.messages.clear()
        self.engine.put(calls)
        self.engine.run_once(self.now)
        return [
            [(n.turn, n.finding.rule, n.count, n.suppressed) for n in message]
            for message in self.messages
        ]


def test_the_first_failure_fires_and_the_rest_are_counted() -> None:
    """The first failure is sent at once, others are counted, and then the alert is resolved."""
    desk = Desk()
    assert desk.see(view(**RATE_LIMIT)) == [[("firing", "failure", 1, 0)]]
    for _ in range(40):
        assert desk.see(view(**RATE_LIMIT), after=2) == []
    assert desk.see(after=299) == []
    assert desk.see(after=1) == [[("resolved", "failure", 41, 40)]]


def test_a_batch_is_one_message() -> None:
    """Fifty failures of three kinds in one export: three alerts, in one message."""
    desk = Desk()
    calls = [view(**RATE_LIMIT), view(**NO_KEY), view(**DOWN)] * 17
    assert desk.see(*calls[:50]) == [
        [("firing", "failure", 17, 0), ("firing", "auth", 17, 0), ("firing", "failure", 16, 0)]
    ]
    assert desk.see(after=60) == []


def test_a_repeat_within_the_cool_down_is_reported_at_its_end() -> None:
    """An alert that fires again within the cool-down is sent at its end, with the count."""
    desk = Desk()
    desk.see(view(**RATE_LIMIT))
    assert desk.see(after=301) == [[("resolved", "failure", 1, 0)]]
    assert desk.see(view(**RATE_LIMIT), after=99) == []
    shown = [desk.see(view(**RATE_LIMIT), after=250) for _ in range(14)]
    assert shown[:12] == [[]] * 12
    assert shown[12] == [[("firing", "failure", 14, 13)]]  # at 3650 s


def test_auth_and_quota_do_not_cool_down() -> None:
    """Each episode is a new alert."""
    desk = Desk()
    assert desk.see(view(**NO_KEY)) == [[("firing", "auth", 1, 0)]]
    assert desk.see(after=301) == [[("resolved", "auth", 1, 0)]]
    assert desk.see(view(**NO_KEY), after=10) == [[("firing", "auth", 1, 0)]]


def test_a_firing_alert_is_sent_again_after_the_repeat_interval() -> None:
    """With the number of suppressed findings."""
    desk = Desk(replace(T, repeat=1000.0))
    desk.see(view(**RATE_LIMIT))
    shown = [desk.see(view(**RATE_LIMIT), after=100) for _ in range(10)]
    assert shown == [[]] * 9 + [[[("repeat", "failure", 11, 9)]]]


def test_a_clock_that_is_set_back_does_not_silence_an_alert() -> None:
    """The alert of the wrong time is over; a difference of a moment is none."""
    desk = Desk()
    desk.see(view(**RATE_LIMIT), after=86_400)
    assert desk.see(view(**RATE_LIMIT), after=-1) == []
    assert desk.see(view(**RATE_LIMIT), after=-86_399) == [[("firing", "failure", 1, 0)]]


def test_warnings_are_batched_and_an_error_flushes_them() -> None:
    """Warnings wait for the digest; an error's message includes them."""
    desk = Desk()
    assert desk.see(view(took=200.0)) == []
    assert desk.see(view(took=200.0, model="o3"), after=30) == []
    assert desk.see(after=30) == [[("firing", "slow", 1, 0), ("firing", "slow", 1, 0)]]
    desk.see(view(gen_ai__usage__cost=2.0), after=10)
    assert desk.see(view(**RATE_LIMIT), after=10) == [
        [("firing", "failure", 1, 0), ("firing", "call_cost", 1, 0)]
    ]


def test_a_warning_is_in_a_digest_that_comes_after_its_end() -> None:
    """The message that it is resolved follows."""
    desk = Desk(replace(T, digest=3600.0))
    assert desk.see(view(took=200.0)) == []
    assert desk.see(after=1800) == []
    assert desk.see(after=1800) == [[("firing", "slow", 1, 0)]]
    assert desk.see(after=1) == []
    assert desk.see(after=3600) == [[("resolved", "slow", 1, 0)]]


def test_a_rate_limit_delays_messages_and_loses_none() -> None:
    """One message per second."""
    desk = Desk()
    models = [f"model-{number}" for number in range(6)]
    shown = [len(desk.see(view(**RATE_LIMIT, model=model), after=0.1)) for model in models]
    assert shown == [1, 0, 0, 0, 0, 0]
    assert desk.see(after=1) == [[("firing", "failure", 1, 0)] * 5]


def test_a_message_has_at_most_eight_alerts() -> None:
    """Eight alerts a message."""
    desk = Desk()
    calls = [view(**RATE_LIMIT, model=f"model-{number}") for number in range(20)]
    sizes = [len(message) for message in desk.see(*calls)]
    for _ in range(3):
        sizes += [len(message) for message in desk.see(after=1)]
    assert sizes == [8, 8, 4]


def test_the_number_of_waiting_alerts_is_bounded() -> None:
    """Beyond a thousand they are only counted, and the message has the count."""
    desk = Desk()
    desk.see(*[view(**RATE_LIMIT, model=f"model-{number}") for number in range(MAX_PENDING + 30)])
    assert desk.lost == [30]
    desk.see(after=1)
    assert desk.lost == [30, 0]
    desk.engine.started([view(took=None) for _ in range(MAX_RUNNING + 30)])
    assert len(desk.engine._running._started) == MAX_RUNNING


def test_a_hanging_call_is_one_alert() -> None:
    """If it has not ended after 300 s; none if it has ended, here or in another process."""
    desk = Desk()
    hanging, fine, unseen = (view(took=None) for _ in range(3))
    desk.engine.started([hanging, fine, unseen])
    desk.engine.ended([unseen.key])
    assert desk.see(fine, after=299) == []
    assert desk.see(after=1) == [[("firing", "hanging", 1, 0)]]
    assert desk.see(after=100) == []


def test_a_hanging_call_is_resolved_after_it_has_ended() -> None:
    """Not before; the alert's duration counts from the start of the call."""
    desk = Desk(replace(T, hanging=300, resolve=60, cooldown=60, repeat=86400, digest=0))
    first, second = view(took=None), view(took=None)
    desk.engine.started([first])
    desk.now += 10
    desk.engine.started([second])
    assert desk.see(after=290) == [[("firing", "hanging", 1, 0)]]
    for _ in range(20):
        assert desk.see(after=30) == []
    assert desk.see(first, after=30) == []
    for _ in range(5):
        assert desk.see(after=30) == []  # the second one still hangs
    ended = desk.now
    desk.engine.ended([second.key])
    assert desk.see(after=59) == []
    assert desk.see(after=1) == [[("resolved", "hanging", 2, 1)]]
    (notice,) = desk.messages[0]
    assert (notice.since, notice.last) == (NOON, ended)


def test_the_alert_about_a_hanging_call_is_repeated() -> None:
    """Like any firing alert; the call still counts once."""
    desk = Desk(replace(T, hanging=300, resolve=60, repeat=3600, digest=0))
    desk.engine.started([view(took=None)])
    assert desk.see(after=300) == [[("firing", "hanging", 1, 0)]]
    seen = [message for _ in range(130) for message in desk.see(after=30)]
    assert seen == [[("repeat", "hanging", 1, 0)]]


def test_spending_is_per_user() -> None:
    """The sum of one user's calls reaches the limit, that of other users does not."""
    desk = Desk(replace(T, user_day=1.0, call_cost=None, digest=0.0))
    ann, bob = ({"user__id": name, "gen_ai__usage__cost": 0.5} for name in ("ann", "bob"))
    assert desk.see(view(**ann), view(**bob)) == []
    assert desk.see(view(**ann)) == [[("firing", "budget", 1, 0)]]
    assert "User ann has spent 1.00 of 1 USD" in desk.messages[0][0].finding.summary
    assert desk.see(view(**ann), after=400) == []


def test_the_budget_of_a_program_is_for_all_of_its_calls() -> None:
    """With or without a user or team; there is no budget of one, and no anomaly."""
    desk = Desk(replace(T, program_month=1.0, call_cost=None, digest=0.0, anomaly=0.1))
    spent = {"gen_ai__usage__cost": 0.4}
    assert desk.see(view(**spent), view(**spent, user__id="ann")) == [[("firing", "budget", 1, 0)]]
    assert desk.see(view(**spent, litellm__team__id="blue"), after=2) == [
        [("firing", "budget", 1, 0)]
    ]
    (finding,) = (notice.finding for notice in desk.messages[0])
    assert finding.summary == ("Program shop has spent 1.20 of 1 USD for the month 2026-11 (120%)")
    assert finding.severity == "critical"


def test_a_daily_message_says_what_the_day_before_cost() -> None:
    """Once, at its time, also if no call is made then; failures are not counted as spending."""
    desk = Desk(replace(T, daily=clock(9), failures=False, digest=0.0))
    cost: dict[str, Any] = {"gen_ai__usage__cost": 0.5}
    blue: dict[str, Any] = {**cost, "litellm__team__alias": "blue", "model": "gpt-4o"}
    assert desk.see(view(**cost), view(**blue), view(**blue), view(), view(**RATE_LIMIT)) == []
    assert desk.see(after=11 * 3600) == []  # 23:00
    late = view(**cost, at=desk.now + 3600)  # ends on the next day
    assert desk.see(late, after=3600) == []
    assert desk.see(after=9 * 3600 - 1) == []
    assert desk.see(after=1) == [[("firing", "daily", 1, 0)]]
    finding = desk.messages[0][0].finding
    assert finding.summary == (
        "shop spent 1.50 USD on 2026-11-20: 5 calls, 1 failed, 1 of unknown cost"
    )
    assert finding.details == (
        ("Teams", "blue 1.00 USD"),
        ("Models", "gpt-4o 1.00 USD, gpt-4o-mini 0.50 USD"),
    )
    assert desk.see(after=5 * 3600) == []  # not resolved
    assert desk.see(after=19 * 3600) == [[("firing", "daily", 1, 0)]]
    assert "0.50 USD on 2026-11-21: 1 calls" in desk.messages[0][0].finding.summary
    assert desk.see(after=48 * 3600) == []  # days without calls have no message


def test_models_in_a_daily_message_are_bounded() -> None:
    """The five most expensive are shown; a client that invents models fills no memory."""
    desk = Desk(replace(T, daily=clock(9), digest=0.0))
    for number in range(300):
        desk.see(view(model=f"m{number}", gen_ai__usage__cost=float(300 - number) / 1000))
    (key,) = desk.engine.state.due("desk/daily/", 1e12)
    record = desk.engine.state.change(key, lambda record: (record, record))
    assert record is not None
    (figures,) = record["days"].values()
    assert len(figures["models"]) == 201
    assert sum(figures["models"].values()) == pytest.approx(figures["usd"])


def test_a_budget_is_not_resolved() -> None:
    """Spending cannot be undone."""
    desk = Desk(replace(T, user_day=1.0, call_cost=None, digest=0.0))
    desk.see(view(user__id="ann", gen_ai__usage__cost=2.0))
    assert desk.see(after=4000) == []


def test_a_destination_can_have_only_some_rules() -> None:
    """A destination can be limited to some rules."""
    desk = Desk(rules=frozenset({"auth"}))
    assert desk.see(view(**RATE_LIMIT)) == []
    assert desk.see(view(**NO_KEY)) == [[("firing", "auth", 1, 0)]]


def test_notices_are_updated_during_an_outage_of_the_destination() -> None:
    """They are sent when the destination is available again."""
    desk = Desk(fates=["later", "later"])
    desk.see(view(**RATE_LIMIT))
    desk.engine.hold(30)
    assert desk.see(view(**RATE_LIMIT), after=10) == []
    assert desk.see(view(**NO_KEY), after=20) == [  # still away
        [("firing", "failure", 2, 0), ("firing", "auth", 1, 0)]
    ]
    assert desk.see(after=5) == [[("firing", "failure", 2, 0), ("firing", "auth", 1, 0)]]


def test_a_message_that_cannot_be_built_is_dropped() -> None:
    """Later messages are sent."""
    desk = Desk(fates=[ValueError()])
    assert desk.see(view(**RATE_LIMIT)) == []
    assert desk.see(view(**NO_KEY), after=10) == [[("firing", "auth", 1, 0)]]


def test_an_alert_that_resolves_during_an_outage_is_not_sent() -> None:
    """It has ended before the destination is available again."""
    desk = Desk(fates=["later"])
    desk.see(view(**RATE_LIMIT))
    desk.engine.hold(1000)
    assert desk.see(after=500) == []
    assert desk.see(after=600) == []


def test_a_stopped_destination_receives_nothing_more() -> None:
    """It receives nothing more."""
    desk = Desk(fates=["stopped"])
    desk.see(view(**RATE_LIMIT))
    assert desk.see(view(**NO_KEY), after=100) == []


def test_one_of_two_workers_with_a_shared_state_sends_each_notice() -> None:
    """One sends the alert, and one sends that it is resolved."""
    state = State()
    one, two = Desk(state=state), Desk(state=state)
    assert one.see(view(**RATE_LIMIT)) == [[("firing", "failure", 1, 0)]]
    assert two.see(view(**RATE_LIMIT)) == []
    assert two.see(view(**RATE_LIMIT), after=200) == []
    assert one.see(after=301) == []  # it goes on elsewhere
    shown = [*one.see(after=200), *two.see(after=301)]
    assert shown == [[("resolved", "failure", 3, 2)]]


def test_the_thread_sends_at_once_and_flush_sends_digests() -> None:
    """With the real thread and clock.

    `flush` waits until messages are sent, `close` ends the thread.
    """
    messages: list[Sequence[Notice]] = []

    def send(notices: Sequence[Notice], lost: int) -> SendResult:
        messages.append(notices)
        return "sent"

    engine = Engine("desk", T, State(), send)
    engine.put([view(**RATE_LIMIT)])
    deadline = time.monotonic() + 5
    while not messages and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [[notice.finding.rule for notice in m] for m in messages] == [["failure"]]
    engine.put([view(took=200.0)])
    assert engine.flush(5)
    assert [notice.finding.rule for notice in messages[1]] == ["slow"]
    assert engine.close(1) == 0
    engine.join(1)
    assert "litespan-alerts" not in [thread.name for thread in threading.enumerate()]


def test_flush_does_not_wait_during_an_outage() -> None:
    """It tries once, and counts the unsent notices."""
    engine = Engine("desk", T, State(), lambda notices, lost: "later")
    engine.put([view(**RATE_LIMIT)])
    begun = time.monotonic()
    assert not engine.flush(10)
    assert time.monotonic() - begun < 5
    assert engine.close(10) == 1


def test_a_forked_child_has_its_own_engine() -> None:
    """The parent sends its own waiting notices."""
    shown: list[int] = []

    def send(notices: Sequence[Notice], lost: int) -> SendResult:
        shown.append(len(notices))
        return "sent"

    engine = Engine("desk", T, State(), send)
    engine.put([view(took=200.0)])  # waits for its digest
    child = os.fork()
    if child == 0:
        engine.put([view(**RATE_LIMIT)])
        os._exit(0 if engine.flush(5) and shown == [1] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert engine.flush(5)
    assert shown == [1]
    engine.close(1)


def test_a_state_works_in_a_child_that_is_forked_while_it_changes() -> None:
    """Another thread of the parent holds its lock."""
    state = State()
    with state._lock:
        child = os.fork()
        if child == 0:
            thread = threading.Thread(target=state.due, args=("", NOON), daemon=True)
            thread.start()
            thread.join(10)
            os._exit(int(thread.is_alive()))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
