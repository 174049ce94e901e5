"""The rules: each looks at one finished call, and at the calls before it, and may find fault.

`RULES` is all of them. They are pure; what lasts from call to call is in `recent` and `spend`.
The defaults are near those of LiteLLM's own alerting, where it has the rule:
https://docs.litellm.ai/docs/proxy/alerting
"""

from collections.abc import Callable, Iterator
from typing import Final

from litespan.alerting.alert import Example, Finding, Severity
from litespan.alerting.recent import Recent
from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan
from litespan.redaction.text import scrub_error

TEST_MODEL: Final = "litespan-check"
"""The model of the call that `litespan check` sends: always one alert, that it is a test."""
Rule = Callable[[GenAISpan, Recent, float, Thresholds], Finding | None]

_AUTH: Final = frozenset({"AuthenticationError", "PermissionDeniedError"})
_QUOTA: Final = frozenset({"BudgetExceededError"})
_QUOTA_WORDS: Final = ("insufficient_quota", "exceeded your current quota", "credit balance")
_OUTAGE: Final = frozenset(
    {
        # LiteLLM's exceptions
        "APIConnectionError",
        "APITimeoutError",
        "BadGatewayError",
        "InternalServerError",
        "MidStreamFallbackError",
        "ServiceUnavailableError",
        "Timeout",
        # those of HTTP clients, which come out of streams
        "ClientPayloadError",
        "ConnectError",
        "ConnectTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "ServerDisconnectedError",
        "SocketTimeoutError",
        "TimeoutError",
        # what providers call it in an answer or a stream
        "INTERNAL",
        "UNAVAILABLE",
        "api_error",
        "overloaded_error",
        "server_error",
        "timeout_error",
        "stream_dropped",
    }
)
_SHARE: Final = 0.5  # of a model's calls that must fail for an outage
_PROMPT: Final = 300  # characters of it that are quoted


def examine(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Iterator[Finding]:
    """All that the rules find. Notes the call in `recent`.

    Args:
        span: a finished call of a model.
        recent: the windows of its model.
        now: s since the epoch.
        t: what is worth an alert.
    """
    if span.request.model == TEST_MODEL:
        yield found("test", span, "info", "This is a test alert of litespan.", t, ())
        return
    recent.calls.add(now)
    if span.duration is not None:
        recent.durations.add(now, span.duration)
    if failed(span):
        recent.failures.add(now)
        if is_outage(span):
            recent.outages.add(now)
    for rule in RULES:
        finding = rule(span, recent, now, t)
        if finding is not None:
            yield finding


def found(
    rule: str,
    span: GenAISpan,
    severity: Severity,
    summary: str,
    t: Thresholds,
    labels: tuple[tuple[str, str], ...] | None = None,
    *,
    value: float | None = None,
    threshold: float | None = None,
    window: float | None = None,
    lasting: bool = True,
    patient: bool = True,
) -> Finding:
    """A finding of `rule`; about the call's model, unless `labels` say otherwise."""
    return Finding(
        rule=rule,
        labels=model_labels(span) if labels is None else labels,
        severity=severity,
        summary=summary,
        example=example(span, content=t.content),
        value=value,
        threshold=threshold,
        window=window,
        lasting=lasting,
        patient=patient,
    )


def model_labels(span: GenAISpan) -> tuple[tuple[str, str], ...]:
    """Provider and model, as asked for."""
    return (("provider", span.provider or "unknown"), ("model", model_of(span)))


def model_of(span: GenAISpan) -> str:
    """As the caller named it: the answer's name may be more precise, and change."""
    return span.request.model or span.response.model or "unknown"


def example(span: GenAISpan, *, content: bool) -> Example:
    """What an alert says of the call. Without `content`, no error text quotes the prompt."""
    messages = span.input_messages or ()
    error = (span.error.message or "") if span.error is not None else ""
    if error and not content:
        said = [message.text for message in (*messages, *(span.output_messages or ()))]
        said += [part.content or "" for part in span.system_instructions or ()]
        error = scrub_error(error, {}, said)
    return Example(
        call_id=span.call.id or "",
        trace_id=span.trace_id,
        service=span.service.name or "",
        environment=span.service.environment or "",
        user=span.identity.user or span.identity.end_user_id or "",
        error=error,
        prompt=messages[-1].text[:_PROMPT] if content and messages else "",
    )


def failed(span: GenAISpan) -> bool:
    """Did it fail, and not because the caller gave up?"""
    return span.error is not None and span.call.outcome != "cancelled"


def is_outage(span: GenAISpan) -> bool:
    """Did it fail because the provider was not there, or not well?"""
    error = span.error
    if error is None:
        return False
    if error.code is not None:
        return error.code == 408 or error.code >= 500
    # A stream may break off with a refusal, which LiteLLM wraps.
    return error.type in _OUTAGE and "RateLimitError" not in (error.message or "")


def _access(span: GenAISpan) -> str:
    """`auth` or `quota`, if that is why the call failed."""
    error = span.error
    if error is None or not failed(span):
        return ""
    said = (error.message or "").lower()
    if error.type in _QUOTA or error.code == 402 or any(word in said for word in _QUOTA_WORDS):
        return "quota"
    return "auth" if error.type in _AUTH or error.code in (401, 403) else ""


# --- one call ---------------------------------------------------------------------------


def _failure(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if not failed(span) or span.error is None:
        return None
    access = _access(span)
    if not (t.access if access else t.failures):
        return None
    kind = span.error.type
    labels = (*model_labels(span), ("error", kind))
    what = {"auth": " (credentials refused)", "quota": " (quota used up)"}.get(access, "")
    summary = f"{kind} from {model_of(span)}{what}"
    return found(
        access or "failure",
        span,
        "critical" if access else "error",
        summary,
        t,
        labels,
        patient=not access,
    )


def _slow(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    took = span.duration
    if t.slow is None or took is None or took <= t.slow:
        return None
    summary = f"A call of {model_of(span)} took {took:.1f} s (more than {t.slow:g} s)"
    return found("slow", span, "warning", summary, t, value=took, threshold=t.slow)


def _first_chunk(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    took = span.response.time_to_first_chunk
    if t.first_chunk is None or took is None or took <= t.first_chunk:
        return None
    summary = f"First chunk of {model_of(span)} after {took:.1f} s (more than {t.first_chunk:g} s)"
    return found("first_chunk", span, "warning", summary, t, value=took, threshold=t.first_chunk)


def _call_cost(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    cost = span.cost.total
    if t.call_cost is None or cost is None or cost <= t.call_cost:
        return None
    summary = f"A call of {model_of(span)} cost {cost:.2f} USD (more than {t.call_cost:g} USD)"
    return found(
        "call_cost", span, "warning", summary, t, value=cost, threshold=t.call_cost, lasting=False
    )


def _fallback(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    came, went = span.call.fallback_from, span.call.fallback_to
    if not t.fallback or not came or not went:
        return None
    labels = (("from", came), ("to", went))
    return found("fallback", span, "warning", f"Fallback from {came} to {went}", t, labels)


# --- the calls of a model -----------------------------------------------------------------


def _burst(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.burst is None or not failed(span) or (many := recent.failures.count(now)) < t.burst:
        return None
    summary = f"{many} calls of {model_of(span)} failed in {t.window:g} s"
    return found("burst", span, "error", summary, t, value=many, threshold=t.burst, window=t.window)


def _outage(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.outage is None or not failed(span) or not is_outage(span):
        return None
    many, calls = recent.outages.count(now), recent.calls.count(now)
    if many < t.outage or many < _SHARE * calls:
        return None
    major = many >= 2 * t.outage
    summary = (
        f"{'Major outage' if major else 'Outage'} of {model_of(span)}: {many} of {calls} calls "
        f"got no answer or a server error in {t.window:g} s"
    )
    return found(
        "outage_major" if major else "outage",
        span,
        "critical" if major else "error",
        summary,
        t,
        value=many,
        threshold=2 * t.outage if major else t.outage,
        window=t.window,
    )


# A call that is not itself slower can not have made the mean or the p95 worse: so these two
# look at the window only then.


def _slow_mean(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.slow_mean is None or span.duration is None or span.duration <= t.slow_mean:
        return None
    took = recent.durations.numbers(now)
    if len(took) < t.slow_calls or (mean := sum(took) / len(took)) <= t.slow_mean:
        return None
    return _slower("slow_mean", "mean", span, len(took), mean, t.slow_mean, t)


def _slow_p95(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.slow_p95 is None or span.duration is None or span.duration <= t.slow_p95:
        return None
    took = sorted(recent.durations.numbers(now))
    if len(took) < t.slow_calls or (p95 := took[int(0.95 * (len(took) - 1))]) <= t.slow_p95:
        return None
    return _slower("slow_p95", "p95", span, len(took), p95, t.slow_p95, t)


def _slower(
    rule: str, what: str, span: GenAISpan, calls: int, value: float, limit: float, t: Thresholds
) -> Finding:
    summary = (
        f"{model_of(span)} is slow: {what} {value:.1f} s (more than {limit:g} s) over {calls} "
        f"calls in {t.slow_window:g} s"
    )
    return found(
        rule, span, "warning", summary, t, value=value, threshold=limit, window=t.slow_window
    )


RULES: Final[tuple[Rule, ...]] = (
    _failure,
    _burst,
    _outage,
    _slow,
    _slow_mean,
    _slow_p95,
    _first_chunk,
    _call_cost,
    _fallback,
)
NAMES: Final = (
    *("failure", "auth", "quota", "burst", "outage", "outage_major"),
    *("slow", "slow_mean", "slow_p95", "first_chunk", "hanging"),
    *("call_cost", "budget", "anomaly", "fallback"),
)
"""Of all findings, for `LITESPAN_<DESTINATION>_ALERTS`."""
