"""Calls that waited in the spool: an alert about one must not be about calls of now."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from litespan.alerting.alert import Finding, ended_at, model_of
from litespan.alerting.calls import Models
from litespan.alerting.rules import examine
from litespan.alerting.thresholds import Thresholds
from litespan.errors import suppress_errors
from litespan.export import GenAISpan

_LATE: Final = 60.0  # s; longer than a call waits for others to be exported with


def examine_all(
    spans: Sequence[GenAISpan], models: Models, now: float, t: Thresholds, *, spooled: bool
) -> Iterator[Finding]:
    """Apply the rules to finished calls.

    Args:
        spans: of this or, if `spooled`, of an earlier process.
        models: the recent calls.
        now: s since the epoch.
        t: thresholds.
        spooled: whether calls that ended before the window are judged among themselves, at the
            time when they ended.
    """
    old = Models(t)
    oldest = now - max(t.window, _LATE)
    for span in sorted(spans, key=ended_at) if spooled else spans:
        with suppress_errors("alerts.rules"):
            model, ended = (span.provider or "", model_of(span)), ended_at(span)
            if not spooled or ended >= oldest:
                yield from examine(span, models.of(*model), now, t)
                continue
            for finding in examine(span, old.of(*model), ended, t):
                yield replace(finding, late=ended, lasting=False)
