"""The records of alerts: what a rule finds in a call, and what a destination receives."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import uuid5

from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan
from litespan.genai.keys import NAMESPACE
from litespan.parsers import link_to
from litespan.redaction.text import scrub_error
from litespan.stores.columns import clean

Severity = Literal["info", "warning", "error", "critical"]
Turn = Literal["firing", "repeat", "resolved", "test"]
Labels = tuple[tuple[str, str], ...]
URGENT: Final = ("error", "critical")
"""Severities that are sent without waiting for a digest."""
_MAX_PROMPT: Final = 300  # characters
_LATE: Final = 300.0  # s; such a message says when the calls were


@dataclass(frozen=True, slots=True)
class Example:
    """One of the calls that an alert is about. Unknown fields are empty."""

    call_id: str = ""
    trace_id: str = ""  # 32 hex digits
    service: str = ""
    environment: str = ""
    user: str = ""
    error: str = ""  # error message, scrubbed of credentials
    prompt: str = ""  # only with LITESPAN_ALERTS_CONTENT=true
    team: str = ""
    trace_url: str = ""  # the trace's page at a vendor; from LITESPAN_UI_TRACE_URL


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that a rule found in one call."""

    rule: str  # failure, auth, quota, burst, outage, slow, …
    labels: Labels  # with the rule, they identify the alert
    severity: Severity
    summary: str  # one line
    example: Example
    value: float | None = None
    threshold: float | None = None
    window: float | None = None  # s
    count: int = 1  # number of findings that this one stands for
    lasting: bool = True  # a condition that can be resolved; False: an event
    patient: bool = True  # whether the cool-down applies
    details: Labels = ()  # more to show; no part of the alert's identity
    late: float | None = None  # when it happened, if that was long ago, s since the epoch

    @property
    def key(self) -> str:
        """Rule and labels as one string that is valid UTF-8 without NUL, for any database.

        A late finding is another alert: it must not begin or prolong one about calls of now.
        """
        parts = [self.rule, *(f"{name}={v}" for name, v in self.labels)]
        key: str = clean("/".join([*parts, "late"] if self.late is not None else parts))
        return key


@dataclass(frozen=True, slots=True)
class Notice:
    """One change of an alert, as sent to a destination."""

    finding: Finding
    turn: Turn
    since: float  # time of the first finding of this episode, s since the epoch
    last: float  # time of the latest finding, s since the epoch
    count: int  # findings since `since`
    suppressed: int = 0  # findings since the previous notice
    delay: float = 0.0  # s between `last` and the message, if that is long

    @property
    def id(self) -> str:
        """UUID that all notices of one episode share."""
        return str(uuid5(NAMESPACE, f"alert:{self.finding.key}:{self.since:.3f}"))

    @property
    def over(self) -> bool:
        """Whether the alert is resolved."""
        return self.turn == "resolved"

    def dated(self, now: float) -> "Notice":
        """The notice with its delay, if it is late at `now` (s since the epoch)."""
        delay = now - self.last
        return replace(self, delay=delay) if delay > _LATE and not self.over else self


def make_finding(
    rule: str,
    span: GenAISpan,
    severity: Severity,
    summary: str,
    t: Thresholds,
    labels: Labels | None = None,
    **details: Any,
) -> Finding:
    """A finding about one call. `labels` defaults to the call's provider and model."""
    labels = model_labels(span) if labels is None else labels
    return Finding(rule, labels, severity, summary, _example(span, t), **details)


def model_labels(span: GenAISpan) -> Labels:
    """Labels for the provider and the requested model."""
    return (("provider", span.provider or "unknown"), ("model", model_of(span)))


def model_of(span: GenAISpan) -> str:
    """The requested model: the response's name can be more specific and change over time."""
    return span.request.model or span.response.model or "unknown"


def ended_at(span: GenAISpan) -> float:
    """When the call ended, s since the epoch."""
    return (span.end_ns or span.start_ns) / 1e9


def team_of(span: GenAISpan) -> str:
    """Alias or id of the team that made the call; empty if it is unknown."""
    return span.identity.team_alias or span.identity.team_id or ""


def _example(span: GenAISpan, t: Thresholds) -> Example:
    messages = span.input_messages or ()
    error = (span.error.message or "") if span.error is not None else ""
    if error:  # other instrumentations do not remove credentials; providers quote the request
        texts = [message.text for message in (*messages, *(span.output_messages or ()))]
        texts += [part.content or "" for part in span.system_instructions or ()]
        error = scrub_error(error, (), () if t.content else texts)
    return Example(
        call_id=span.call.id or "",
        trace_id=span.trace_id,
        service=span.service.name or "",
        environment=span.service.environment or "",
        user=span.identity.user or span.identity.end_user_id or "",
        team=team_of(span),
        trace_url=link_to(t.trace_url[0][1], span.trace_id, span.span_id) if t.trace_url else "",
        error=error,
        prompt=messages[-1].text[:_MAX_PROMPT] if t.content and messages else "",
    )
