"""The rules: pure functions that check one finished call against the calls before it.

`examine` applies all of them. Where LiteLLM's own alerting has the same rule, the default
threshold is close to LiteLLM's: https://docs.litellm.ai/docs/proxy/alerting
"""

from collections.abc import Callable, Iterator
from typing import Final

from litespan.alerting.alert import Finding, make_finding, model_labels, model_of
from litespan.alerting.calls import Recent
from litespan.alerting.thresholds import Thresholds
from litespan.export import GenAISpan

TEST_MODEL: Final = "litespan-check"
"""The model of the call that `litespan check` sends. It always causes a test alert."""
Rule = Callable[[GenAISpan, Recent, float, Thresholds], Finding | None]

_AUTH: Final = frozenset({"AuthenticationError", "PermissionDeniedError"})
_QUOTA: Final = frozenset({"BudgetExceededError"})
_QUOTA_WORDS: Final = ("insufficient_quota", "exceeded your current quota", "credit balance")
_OUTAGE: Final = frozenset(
    {
        # exceptions of LiteLLM
        "APIConnectionError",
        "APITimeoutError",
        "BadGatewayError",
        "InternalServerError",
        "MidStreamFallbackError",
        "ServiceUnavailableError",
        "Timeout",
        # exceptions of HTTP clients, raised by streams
        "ClientPayloadError",
        "ConnectError",
        "ConnectTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "ServerDisconnectedError",
        "SocketTimeoutError",
        "TimeoutError",
        # error types in responses and streams of providers
        "INTERNAL",
        "UNAVAILABLE",
        "api_error",
        "overloaded_error",
        "server_error",
        "timeout_error",
        "stream_dropped",
    }
)
_OUTAGE_SHARE: Final = 0.5  # of a model's calls


def examine(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Iterator[Finding]:
    """Add the call to `recent` and apply every rule.

    Args:
        span: a finished call.
        recent: the windows of the call's model.
        now: s since the epoch.
        t: thresholds.
    """
    if span.request.model == TEST_MODEL:
        yield make_finding("test", span, "info", "This is a test alert of litespan.", t, ())
        return
    recent.calls.add(now)
    if span.duration is not None:
        recent.durations.add(now, span.duration)
    if _failed(span):
        recent.failures.add(now)
        if _is_outage(span):
            recent.outages.add(now)
    for rule in RULES:
        finding = rule(span, recent, now, t)
        if finding is not None:
            yield finding


def _failed(span: GenAISpan) -> bool:
    """Whether the call failed; a cancelled call did not."""
    return span.error is not None and span.call.outcome != "cancelled"


def _is_outage(span: GenAISpan) -> bool:
    """Whether the call failed because the provider was unreachable or had a server error."""
    error = span.error
    if error is None:
        return False
    if error.code is not None:
        return error.code == 408 or error.code >= 500
    # LiteLLM wraps a rate limit in the middle of a stream in MidStreamFallbackError.
    return error.type in _OUTAGE and "RateLimitError" not in (error.message or "")


def _access(span: GenAISpan) -> str:
    """`auth` or `quota` if the call failed for that reason, else an empty string."""
    error = span.error
    if error is None or not _failed(span):
        return ""
    message = (error.message or "").lower()
    if error.type in _QUOTA or error.code == 402 or any(word in message for word in _QUOTA_WORDS):
        return "quota"
    return "auth" if error.type in _AUTH or error.code in (401, 403) else ""


# --- rules about one call ---------------------------------------------------------------


def _failure(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if not _failed(span) or span.error is None:
        return None
    access = _access(span)
    if not (t.access if access else t.failures):
        return None
    kind = span.error.type
    reason = {"auth": " (credentials refused)", "quota": " (quota exhausted)"}.get(access, "")
    return make_finding(
        access or "failure",
        span,
        "critical" if access else "error",
        f"{kind} from {model_of(span)}{reason}",
        t,
        (*model_labels(span), ("error", kind)),
        patient=not access,
    )


def _slow(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    took = span.duration
    if t.slow is None or took is None or took <= t.slow:
        return None
    summary = f"A call of {model_of(span)} took {took:.1f} s (more than {t.slow:g} s)"
    return make_finding("slow", span, "warning", summary, t, value=took, threshold=t.slow)


def _first_chunk(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    took, limit = span.response.time_to_first_chunk, t.first_chunk
    if limit is None or took is None or took <= limit:
        return None
    summary = f"First chunk of {model_of(span)} after {took:.1f} s (more than {limit:g} s)"
    return make_finding("first_chunk", span, "warning", summary, t, value=took, threshold=limit)


def _call_cost(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    cost, limit = span.cost.total, t.call_cost
    if limit is None or cost is None or cost <= limit:
        return None
    summary = f"A call of {model_of(span)} cost {cost:.2f} USD (more than {limit:g} USD)"
    return make_finding(
        "call_cost", span, "warning", summary, t, value=cost, threshold=limit, lasting=False
    )


def _fallback(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    source, target = span.call.fallback_from, span.call.fallback_to
    if not t.fallback or not source or not target:
        return None
    labels = (("from", source), ("to", target))
    return make_finding(
        "fallback", span, "warning", f"Fallback from {source} to {target}", t, labels
    )


# --- rules about the recent calls of a model ----------------------------------------------


def _burst(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.burst is None or not _failed(span) or (failures := recent.failures.count(now)) < t.burst:
        return None
    summary = f"{failures} calls of {model_of(span)} failed in {t.window:g} s"
    return make_finding(
        "burst", span, "error", summary, t, value=failures, threshold=t.burst, window=t.window
    )


def _outage(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.outage is None or not _failed(span) or not _is_outage(span):
        return None
    outages, calls = recent.outages.count(now), recent.calls.count(now)
    if outages < t.outage or outages < _OUTAGE_SHARE * calls:
        return None
    major = outages >= 2 * t.outage
    return make_finding(
        "outage_major" if major else "outage",
        span,
        "critical" if major else "error",
        f"{'Major outage' if major else 'Outage'} of {model_of(span)}: {outages} of {calls} calls "
        f"got no answer or a server error in {t.window:g} s",
        t,
        value=outages,
        threshold=2 * t.outage if major else t.outage,
        window=t.window,
    )


# A call below the threshold cannot raise the mean or the p95 above it, so `_slow_mean` and
# `_slow_p95` read the window only for a call above it.


def _slow_mean(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.slow_mean is None or span.duration is None or span.duration <= t.slow_mean:
        return None
    took = recent.durations.numbers(now)
    if len(took) < t.slow_calls or (mean := sum(took) / len(took)) <= t.slow_mean:
        return None
    return _slow_model("mean", span, len(took), mean, t.slow_mean, t)


def _slow_p95(span: GenAISpan, recent: Recent, now: float, t: Thresholds) -> Finding | None:
    if t.slow_p95 is None or span.duration is None or span.duration <= t.slow_p95:
        return None
    took = sorted(recent.durations.numbers(now))
    if len(took) < t.slow_calls or (p95 := took[int(0.95 * (len(took) - 1))]) <= t.slow_p95:
        return None
    return _slow_model("p95", span, len(took), p95, t.slow_p95, t)


def _slow_model(
    figure: str, span: GenAISpan, calls: int, value: float, limit: float, t: Thresholds
) -> Finding:
    return make_finding(
        f"slow_{figure}",
        span,
        "warning",
        f"{model_of(span)} is slow: {figure} {value:.1f} s (more than {limit:g} s) over {calls} "
        f"calls in {t.slow_window:g} s",
        t,
        value=value,
        threshold=limit,
        window=t.slow_window,
    )


RULES: Final[tuple[Rule, ...]] = (
    *(_failure, _burst, _outage),
    *(_slow, _slow_mean, _slow_p95, _first_chunk),
    *(_call_cost, _fallback),
)
NAMES: Final = (
    *("failure", "auth", "quota", "burst", "outage", "outage_major"),
    *("slow", "slow_mean", "slow_p95", "first_chunk", "hanging"),
    *("call_cost", "budget", "anomaly", "daily", "fallback"),
)
"""The rule names that `LITESPAN_<DESTINATION>_ALERTS` accepts."""
