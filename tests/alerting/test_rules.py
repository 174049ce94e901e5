from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, time
from typing import Any

import pytest

from litespan.alerting import Finding, Thresholds
from litespan.alerting.alert import ended_at
from litespan.alerting.calls import MAX_CALLS, MAX_MODELS, Models
from litespan.alerting.rules import NAMES, TEST_MODEL, examine
from litespan.alerting.spend import add, day_at, judge
from litespan.doctor.marked_call import MARK
from litespan.export import GenAISpan
from tests.alerting.calls import DOWN, NO_KEY, NOON, RATE_LIMIT, view

DEFAULT = Thresholds()


def day_of(call: GenAISpan) -> date:
    """The UTC day on which it ended."""
    return day_at(ended_at(call))


def all_found(
    calls: Sequence[GenAISpan], t: Thresholds = DEFAULT, every: float = 0.1
) -> list[Finding]:
    """What the rules find in these calls, one every so many seconds."""
    models = Models(t)
    return [
        finding
        for number, call in enumerate(calls)
        for finding in examine(
            call, models.of("openai", call.request.model or ""), NOON + number * every, t
        )
    ]


def names(findings: Sequence[Finding]) -> list[str]:
    """Their rules."""
    return [finding.rule for finding in findings]


ONE_CALL: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("fine", {}, []),
    ("failed", RATE_LIMIT, [("failure", "error")]),
    ("refused", NO_KEY, [("auth", "critical")]),
    ("forbidden", {"error": "PermissionDeniedError", "code": 403}, [("auth", "critical")]),
    (
        "out of quota",
        {**RATE_LIMIT, "message": "You exceeded your current quota"},
        [("quota", "critical")],
    ),
    ("over budget", {"error": "BudgetExceededError"}, [("quota", "critical")]),
    ("cancelled", {"litellm__outcome": "cancelled", "error": "CancelledError"}, []),
    ("slow", {"took": 121.0}, [("slow", "warning")]),
    ("just not slow", {"took": 120.0}, []),
    (
        "slow to begin",
        {"gen_ai__response__time_to_first_chunk": 15.5},
        [("first_chunk", "warning")],
    ),
    ("dear", {"gen_ai__usage__cost": 1.25}, [("call_cost", "warning")]),
    (
        "fallen back",
        {"litellm__fallback__from": "smart", "litellm__fallback__to": "fast"},
        [("fallback", "warning")],
    ),
    ("not ended", {"took": None}, []),
]


@pytest.mark.parametrize(("options", "expected"), [pytest.param(*r[1:], id=r[0]) for r in ONE_CALL])
def test_each_single_call_has_the_default_severity(
    options: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """The rules about a single call, with the default thresholds."""
    found = all_found([view(**options)])
    assert [(finding.rule, finding.severity) for finding in found] == expected


SWITCHED_OFF = {
    "failures": RATE_LIMIT,
    "access": NO_KEY,
    "slow": {"took": 121.0},
    "first_chunk": {"gen_ai__response__time_to_first_chunk": 15.5},
    "call_cost": {"gen_ai__usage__cost": 1.25},
    "fallback": {"litellm__fallback__from": "smart", "litellm__fallback__to": "fast"},
}


@pytest.mark.parametrize("field", SWITCHED_OFF)
def test_a_disabled_rule_finds_nothing(field: str) -> None:
    """It finds nothing."""
    off: Any = False if isinstance(getattr(DEFAULT, field), bool) else None
    options: dict[str, Any] = SWITCHED_OFF[field]
    assert all_found([view(**options)], replace(DEFAULT, **{field: off})) == []


def test_ten_failures_of_one_model_in_a_minute_are_a_burst() -> None:
    """Ten failures of two models are not, nor ten over a longer time."""
    assert names(all_found([view(**RATE_LIMIT)] * 10)) == ["failure"] * 10 + ["burst"]
    assert "burst" not in names(all_found([view(**RATE_LIMIT)] * 10, every=7))
    two = [view(**RATE_LIMIT, model=model) for model in "ab" * 9]
    assert "burst" not in names(all_found(two))


def test_a_clock_that_is_set_back_makes_no_burst() -> None:
    """Failures of the wrong time do not count for the window of now."""
    t, models = replace(DEFAULT, outage=None), Models(DEFAULT)
    times = [NOON + 86_400 + number for number in range(9)] + [NOON + 50 * n for n in range(9)]
    recent = models.of("openai", "gpt-4o-mini")
    found = [finding for at in times for finding in examine(view(**DOWN), recent, at, t)]
    assert set(names(found)) == {"failure"}


def test_half_of_a_models_calls_failing_is_an_outage() -> None:
    """Five calls of a model that are half of its calls; ten are a major outage."""
    rules = names(all_found([view(**DOWN)] * 10))
    assert [rules.count(rule) for rule in ("outage", "outage_major")] == [5, 1]
    mixed = [view(), view(), view(**DOWN)] * 8
    assert "outage" not in names(all_found(mixed))
    timeouts = [view(error="Timeout", code=408)] * 5
    assert names(all_found(timeouts))[-1] == "outage"
    assert "outage" not in names(all_found([view(**RATE_LIMIT)] * 10))


@pytest.mark.parametrize(
    "error", ["MidStreamFallbackError", "ReadError", "ReadTimeout", "overloaded_error"]
)
def test_broken_streams_count_as_an_outage(error: str) -> None:
    """Whichever error the HTTP client, LiteLLM or the provider reports."""
    assert "outage" in names(all_found([view(error=error)] * 5))


def test_a_4xx_is_not_an_outage() -> None:
    """In the middle of a stream, or if LiteLLM reports a 4xx as a connection error."""
    limited = view(error="MidStreamFallbackError", message="litellm.RateLimitError: slow down")
    refused = view(error="APIConnectionError", code=422)
    for call in (limited, refused):
        assert "outage" not in names(all_found([call] * 10))


@pytest.mark.parametrize(
    ("took", "expected"),
    [
        ([31.0] * 20, "slow_mean"),
        ([1.0] * 18 + [61.0] * 2, "slow_p95"),
        ([31.0] * 19, None),  # too few to say
        ([1.0] * 19 + [61.0], None),  # one is no tail
        ([29.0] * 40, None),
    ],
)
def test_a_slow_model_is_found_by_mean_and_percentile(
    took: list[float], expected: str | None
) -> None:
    """Mean and p95 of a model's calls within a window."""
    rules = names(all_found([view(took=seconds) for seconds in took]))
    assert (rules[-1] if rules else None) == expected


def test_each_threshold_of_a_daily_budget_fires_once() -> None:
    """80 and 100 % of a user's day, each with the call that reached it."""
    t = replace(DEFAULT, user_day=10.0, user_month=100.0, anomaly=None)
    call = view(user__id="ann")
    record, found = None, []
    for usd in (5.0, 2.9, 0.2, 1.0, 1.0, 5.0):
        record, spent = add(record, day_of(call), usd)
        found += [(f.severity, dict(f.labels)) for f in judge("user", "ann", spent, call, t)]
    label = {"user": "ann", "day": "2026-11-20"}
    assert found == [
        ("warning", {**label, "level": "80%"}),
        ("critical", {**label, "level": "100%"}),
    ]


def test_spending_of_a_month_is_that_of_its_days() -> None:
    """A new month begins at 0, and older days are removed."""
    record = None
    for day in range(40):
        call = view(at=NOON + day * 86_400)
        record, spent = add(record, day_of(call), 1.0)
    assert spent.month == (28.0, 29.0)  # 1 to 29 December
    assert spent.trailing == 1.0
    call = view(at=NOON + 120 * 86_400)
    record, spent = add(record, day_of(call), 1.0)
    assert spent[1:] == ((0.0, 1.0), (0.0, 1.0), 0.0)
    assert list(record["days"]) == ["2027-03-20"]


def test_three_times_the_daily_mean_is_an_anomaly() -> None:
    """Three times the daily mean of the last seven days, if it is 10 USD or more."""
    record = None
    for day in range(7):
        record, spent = add(record, day_of(view(at=NOON - (7 - day) * 86_400)), 4.0)
    call, found = view(), []
    for _ in range(15):
        record, spent = add(record, day_of(call), 1.0)
        found += [finding.summary for finding in judge("user", "ann", spent, call, DEFAULT)]
    assert found == [
        "User ann has spent 13.00 USD today; the daily mean of the last seven days is 4.00 USD"
    ]


def test_the_second_day_is_compared_with_the_first() -> None:
    """Days before the first recorded one do not count as days without spending."""
    yesterday, today = view(at=NOON - 86_400), view()
    record, _ = add(None, day_of(yesterday), 12.0)
    record, spent = add(record, day_of(today), 30.0)
    assert list(judge("user", "ann", spent, today, DEFAULT)) == []
    _, spent = add(record, day_of(today), 10.0)
    (finding,) = judge("user", "ann", spent, today, DEFAULT)
    assert (finding.rule, finding.threshold) == ("anomaly", 36.0)


def test_a_new_user_has_no_anomaly() -> None:
    """There are no earlier days to compare with."""
    _, spent = add(None, day_of(view()), 50.0)
    assert list(judge("user", "ann", spent, view(), DEFAULT)) == []


def test_the_call_of_check_is_always_a_test_alert() -> None:
    """The alert says that it is a test."""
    assert TEST_MODEL == MARK
    assert names(all_found([view(model=MARK)])) == ["test"]


def test_alerts_have_no_prompt_by_default() -> None:
    """Neither as such nor quoted in an error; with `content`, the prompt is there."""
    said = "my very secret question to the model"
    call = view(
        **{**RATE_LIMIT, "message": f"can not answer: {said}"},
        gen_ai__input__messages=(
            '[{"role":"user","parts":[{"type":"text","content":"' + said + '"}]}]'
        ),
    )
    (quiet,) = all_found([call])
    assert (quiet.example.error, quiet.example.prompt) == ("can not answer: [content]", "")
    (loud,) = all_found([call], replace(DEFAULT, content=True))
    assert (loud.example.error, loud.example.prompt) == (f"can not answer: {said}", said)


def test_the_number_of_remembered_calls_and_models_is_bounded() -> None:
    """Whatever the number of calls and models."""
    models = Models(DEFAULT)
    for number in range(MAX_MODELS + 50):
        models.of("openai", f"model-{number}")
    recent = models.of("openai", "model-1")
    for _ in range(MAX_CALLS + 50):
        recent.calls.add(NOON)
    assert (len(models), recent.calls.count(NOON)) == (MAX_MODELS, MAX_CALLS)


def test_every_rule_has_a_name() -> None:
    """The names are those of findings, so that a destination can select them."""
    every = [
        *all_found([view(**options) for _, options, _ in ONE_CALL]),
        *all_found([view(**DOWN)] * 10),
        *all_found([view(took=61.0)] * 20),
    ]
    assert {finding.rule for finding in every} <= set(NAMES)
    assert set(NAMES) - {finding.rule for finding in every} == {
        "hanging",
        "budget",
        "anomaly",
        "daily",
    }


@pytest.mark.parametrize("row", fields(Thresholds), ids=lambda row: row.name)
def test_every_threshold_is_a_variable(row: Any) -> None:
    """An invalid value leaves the default."""
    env = row.metadata["env"]
    if row.name == "state":
        assert Thresholds.from_env({env: "alerts.db"}).state == "alerts.db"
        return
    if row.name == "trace_url":
        link = "https://a.example/{trace_id}"
        assert Thresholds.from_env({env: link}).trace_url == (("a.example", link),)
        return
    if row.name == "daily":
        assert Thresholds.from_env({env: "09:30"}).daily == time(9, 30)
        return
    given, expected = (
        ("false", False)
        if isinstance(row.default, bool) and row.default
        else (("true", True) if isinstance(row.default, bool) else ("7.5", 7.5))
    )
    assert getattr(Thresholds.from_env({env: given}), row.name) == expected
    assert Thresholds.from_env({env: "plenty"}) == DEFAULT


def test_off_disables_a_rule_unless_others_need_it() -> None:
    """`off` disables a rule; a value that other rules need cannot be off."""
    off = Thresholds.from_env({"LITESPAN_ALERTS_SLOW": "off", "LITESPAN_ALERTS_WINDOW": "off"})
    assert (off.slow, off.window) == (None, 60)


def test_an_alert_has_the_team_and_a_link_to_the_trace() -> None:
    """The link is the first one of `litespan ui`; without the variable there is none."""
    call = view(**RATE_LIMIT, litellm__team__alias="payments")
    links = (
        "Langfuse=https://langfuse.example/{trace_id}?span={span_id} https://b.example/{trace_id}"
    )
    t = Thresholds.from_env({"LITESPAN_UI_TRACE_URL": links})
    linked, plain = all_found([call], t)[0].example, all_found([call])[0].example
    assert (linked.team, plain.team, plain.trace_url) == ("payments", "payments", "")
    assert linked.trace_url == f"https://langfuse.example/{call.trace_id}?span={call.span_id}"


def test_a_bad_link_or_time_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """In one line; alerts then have no link, and there is no daily message."""
    bad = {"LITESPAN_UI_TRACE_URL": "https://a.example/", "LITESPAN_ALERTS_DAILY": "9 o'clock"}
    t = Thresholds.from_env(bad)
    assert (t.trace_url, t.daily) == ((), None)
    daily, link = (record.getMessage() for record in caplog.records)
    assert daily.startswith("LITESPAN_ALERTS_DAILY=")
    assert daily.endswith("is not a time such as 09:00, or off: using the default, off")
    assert link.startswith("LITESPAN_UI_TRACE_URL='https://a.example/' is a URL without {trace_id}")
