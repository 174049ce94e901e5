"""Settings from the environment: valid values, and one line about each mistake."""

import re
from pathlib import Path
from typing import Any

import pytest

from litespan import errors
from litespan.settings import Settings
from litespan.unknown_settings import unknown
from tests.support import program

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


GEVENT = """
    from gevent import monkey
    monkey.patch_all()
    from litespan import LiteLLMInstrumentor
    LiteLLMInstrumentor().instrument()
    print("went on")
"""


@pytest.mark.slow
def test_gevents_patched_threads_are_logged_as_unsupported() -> None:
    """One line, if gevent has patched threading."""
    ran = program.run(GEVENT)
    assert (ran.code, ran.stdout) == (0, "went on\n")
    line = (
        "litespan: gevent has patched threading, which litespan does not support: spans are "
        "recorded, but handlers and exporters may stall; use threads or asyncio"
    )
    assert ran.stderr.splitlines() == [line]


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is logged once a process."""
    monkeypatch.setattr(errors, "_seen", set())


@pytest.mark.parametrize(
    ("env", "name", "value"),
    [
        ({}, "content", "NO_CONTENT"),
        ({CONTENT: "span_only"}, "content", "SPAN_ONLY"),
        ({CONTENT: "  "}, "content", "NO_CONTENT"),
        ({CONTENT: "True"}, "content", "SPAN_ONLY"),
        ({CONTENT: "false"}, "content", "NO_CONTENT"),
        ({"LITESPAN_CONTENT_LIMIT": "100"}, "content_limit", 100),
        ({"LITESPAN_SUPPRESS_NESTED": "False"}, "suppress_nested", False),
        ({"LITESPAN_BAGGAGE": "user.id, tenant,"}, "baggage", ("user.id", "tenant")),
        ({}, "clients_may", ()),
        ({"LITESPAN_CLIENTS_MAY": "mute, Sampling"}, "clients_may", ("mute", "sampling")),
        ({"LITESPAN_CLIENTS_MAY": "mute, everything"}, "clients_may", ()),
        (
            {"LITESPAN_TEAM_HOSTS": "Langfuse:3000, loki.internal, [fd00::1]:8126"},
            "team_hosts",
            ("langfuse:3000", "loki.internal", "[fd00::1]:8126"),
        ),
        ({"LITESPAN_TEAM_HOSTS": "http://langfuse:3000"}, "team_hosts", ()),
        ({"LITESPAN_TEAM_HOSTS": "*.internal"}, "team_hosts", ()),
        ({"LITESPAN_TEAM_HOSTS": "langfuse:3000/path"}, "team_hosts", ()),
        ({"LITESPAN_TEAM_HOSTS": "langfuse:port"}, "team_hosts", ()),
    ],
)
def test_each_kind_of_value_is_parsed(env: dict[str, str], name: str, value: Any) -> None:
    """To its Python type."""
    assert getattr(Settings.from_env(env), name) == value


@pytest.mark.parametrize(
    ("env", "name", "why"),
    [
        (
            {CONTENT: "yes"},
            "content",
            "not one of NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT",
        ),
        (
            {"LITESPAN_CONTENT_LIMIT": "64KiB"},
            "content_limit",
            "not a whole number above 0",
        ),
        (
            {"LITESPAN_CONTENT_LIMIT": "9" * 5000},
            "content_limit",
            "not a whole number above 0",
        ),
        (
            {"LITESPAN_SUPPRESS_NESTED": "maybe"},
            "suppress_nested",
            "not one of true, false",
        ),
    ],
)
def test_a_bad_value_is_logged_once_with_the_default(
    env: dict[str, str], name: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the mistake and the value that is used instead."""
    default = getattr(Settings(), name)
    for _ in range(2):
        assert getattr(Settings.from_env(env), name) == default
    ((variable, value),) = env.items()
    assert [record.getMessage() for record in caplog.records] == [
        f"{variable}={value!r} is {why}: using the default, {default}"
    ]


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("LITESPAN_ADOBT", "did you mean LITESPAN_ADOPT?"),
        ("LITESPAN_CONTENTS_LIMIT", "did you mean LITESPAN_CONTENT_LIMIT?"),
        ("LITESPAN_ALERT_STATE", "did you mean LITESPAN_ALERTS_STATE?"),
        ("LITESPAN_ZZZ", "see docs/settings.md"),
        ("LITESPAN_SQLITE", None),
        ("LITESPAN_JSONL_ROTATE", None),
        ("LITESPAN_ALERTS_COOLDOWN", None),
        ("LITESPAN_PAGERDUTY_ALERTS", None),
    ],
)
def test_a_misspelled_name_is_one_line_with_a_suggestion(name: str, guess: str | None) -> None:
    """Variables that litespan reads are not reported."""
    lines = unknown({name: "x", "PATH": "y"})
    assert [name in line and (guess or "") in line for line in lines] == [True] * bool(guess)


def test_every_variable_in_the_code_is_known() -> None:
    """A new one must be a setting, or be listed with the others."""
    root = Path(__file__).parents[1]
    sources = [*root.glob("src/litespan/**/*.py"), *root.glob("exporters/**/*.py")]
    named = re.findall(
        r"LITESPAN_[A-Z0-9_]*[A-Z0-9]\b", "".join(file.read_text() for file in sources)
    )
    assert unknown(dict.fromkeys(named, "x")) == []
