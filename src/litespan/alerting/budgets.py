"""What programs, users and teams have spent, in the state of one destination, and its alerts."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from litespan.alerting import spend
from litespan.alerting.alert import Finding
from litespan.alerting.state import State
from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan


class Budgets:
    """Sums in the state, as they grow and when they are due.

    Args:
        name: the destination.
        t: budgets, and the time of the daily message.
        state: where the sums are.
    """

    def __init__(self, name: str, t: Thresholds, state: State) -> None:
        self._t, self._state = t, state
        self._spent: Final = f"{name}/spent/"
        self._daily: Final = f"{name}/daily/"

    def add(
        self,
        spent: Mapping[tuple[str, str, str], tuple[float, GenAISpan]],
        days: Mapping[tuple[str, str], dict[str, Any]],
        now: float,
    ) -> list[Finding]:
        """Add `Intake.spent` and `Intake.days`. Returns what exceeds a budget.

        Args:
            spent: USD by kind and name of the payer and by day, with one of the calls.
            days: figures by program and day.
            now: s since the epoch.
        """
        t, findings = self._t, list[Finding]()
        for (kind, name, _), (usd, span) in spent.items():
            if kind == "program" and t.program_day is None and t.program_month is None:
                continue
            step = partial(spend.add, day=spend.day_of(span), usd=usd)
            sums = self._state.change(f"{self._spent}{kind}={name}", step)
            findings += spend.judge(kind, name, sums, span, t)
        if t.daily is not None:
            for (program, day), figures in days.items():
                count = partial(spend.add_day, day=day, figures=figures, now=now, at=t.daily)
                self._state.change(f"{self._daily}{program}", count)
        return findings

    def owns(self, key: str) -> bool:
        """Whether a record of the state is one of these sums."""
        return key.startswith((self._spent, self._daily))

    def due(self, key: str, now: float) -> Iterator[Finding]:
        """Delete a sum that is due at `now` (s since the epoch), or yield its daily messages."""
        if self._t.daily is None or key.startswith(self._spent):  # or switched off since
            self._state.change(key, lambda _: (None, None))
            return
        program = key.removeprefix(self._daily)
        step = partial(spend.report, program=program, now=now, at=self._t.daily)
        yield from self._state.change(key, step)
