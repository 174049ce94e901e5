"""What rules find, and what destinations are told: plain frozen records."""

from dataclasses import dataclass
from typing import Final, Literal
from uuid import uuid5

from litespan.genai.span import NAMESPACE
from litespan.stores.columns import clean

Severity = Literal["info", "warning", "error", "critical"]
Turn = Literal["firing", "repeat", "resolved", "test"]
URGENT: Final = ("error", "critical")
"""Severities that do not wait for a digest."""


@dataclass(frozen=True, slots=True)
class Example:
    """One call of those that an alert is about."""

    call_id: str = ""
    trace_id: str = ""  # 32 hex digits
    service: str = ""
    environment: str = ""
    user: str = ""
    error: str = ""  # its message, scrubbed
    prompt: str = ""  # only if the user asked for content


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule says of one call that it is worth an alert."""

    rule: str  # failure, auth, quota, burst, outage, slow, …
    labels: tuple[tuple[str, str], ...]  # together with the rule: what the alert is about
    severity: Severity
    summary: str  # one line
    example: Example
    value: float | None = None
    threshold: float | None = None
    window: float | None = None  # s
    count: int = 1  # findings that this stands for
    lasting: bool = True  # a condition that can be over; else an event, which can not
    patient: bool = True  # does it keep to the cool-down?

    @property
    def key(self) -> str:
        """Rule and labels as one word, in characters that UTF-8 and databases take."""
        key: str = clean("/".join([self.rule, *(f"{name}={v}" for name, v in self.labels)]))
        return key


@dataclass(frozen=True, slots=True)
class Notice:
    """What a destination is told of a finding."""

    finding: Finding
    turn: Turn
    since: float  # s since the epoch: the first of this time
    last: float  # the latest of this time
    count: int  # findings since `since`
    suppressed: int = 0  # findings that came since the last notice and were not told

    @property
    def id(self) -> str:
        """The same for all notices of one firing, so that receivers can join them."""
        return str(uuid5(NAMESPACE, f"alert:{self.finding.key}:{self.since:.3f}"))

    @property
    def over(self) -> bool:
        """Is this the end of it?"""
        return self.turn == "resolved"
