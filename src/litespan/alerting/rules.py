"""The rules: functions that check one finished call against the calls before it.

Where LiteLLM's own alerting has the same rule, the default
threshold is close to LiteLLM's: https://docs.litellm.ai/docs/proxy/alerting
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from litespan.alerting.alert import Finding, ended_at, make_finding, model_labels, model_of
from litespan.alerting.calls import Models, Recent
from litespan.alerting.thresholds import Thresholds
from litespan.errors import log_once, suppress_errors
from litespan.export import GenAISpan
from litespan.genai.groups import Error
from litespan.parsers import names

TEST_MODEL: Final = "litespan-check"
"""The model of the call that `litespan check` sends. It always causes a test alert."""
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
            time when they ended: an alert about one must not be about calls of now.
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
    if span.error is not None and span.call.outcome != "cancelled":
        yield from _failed(span, span.error, recent, now, t)
    if span.duration is not None:
        yield from _slow(span, span.duration, recent, now, t)
    yield from _first_chunk(span, t)
    yield from _call_cost(span, t)
    yield from _fallback(span, t)


def _failed(
    span: GenAISpan, error: Error, recent: Recent, now: float, t: Thresholds
) -> Iterator[Finding]:
    """`failure` or, by the reason, `auth` or `quota`; `burst`; `outage` or `outage_major`."""
    model, access = model_of(span), _access(error)
    if t.access if access else t.failures:
        reason = {"auth": " (credentials refused)", "quota": " (quota exhausted)"}.get(access, "")
        yield make_finding(
            access or "failure",
            span,
            "critical" if access else "error",
            f"{error.type} from {model}{reason}",
            t,
            (*model_labels(span), ("error", error.type)),
            patient=not access,
        )
    recent.failures.add(now)
    if t.burst is not None and (failures := recent.failures.count(now)) >= t.burst:
        summary = f"{failures} calls of {model} failed in {t.window:g} s"
        yield make_finding(
            "burst", span, "error", summary, t, value=failures, threshold=t.burst, window=t.window
        )
    if t.outage is None or not _is_outage(error):
        return
    recent.outages.add(now)
    outages, calls = recent.outages.count(now), recent.calls.count(now)
    if outages >= t.outage and outages >= _OUTAGE_SHARE * calls:
        major = outages >= 2 * t.outage
        yield make_finding(
            "outage_major" if major else "outage",
            span,
            "critical" if major else "error",
            f"{'Major outage' if major else 'Outage'} of {model}: {outages} of {calls} calls got "
            f"no answer or a server error in {t.window:g} s",
            t,
            value=outages,
            threshold=2 * t.outage if major else t.outage,
            window=t.window,
        )


def _is_outage(error: Error) -> bool:
    """Whether the call failed because the provider was unreachable or had a server error."""
    if error.code is not None:
        return error.code == 408 or error.code >= 500
    # LiteLLM wraps a rate limit in the middle of a stream in MidStreamFallbackError.
    return error.type in _OUTAGE and "RateLimitError" not in (error.message or "")


def _access(error: Error) -> str:
    """`auth` or `quota` if the call failed for that reason, else an empty string."""
    message = (error.message or "").lower()
    if error.type in _QUOTA or error.code == 402 or any(word in message for word in _QUOTA_WORDS):
        return "quota"
    return "auth" if error.type in _AUTH or error.code in (401, 403) else ""


def _slow(
    span: GenAISpan, took: float, recent: Recent, now: float, t: Thresholds
) -> Iterator[Finding]:
    """`slow` for the call; `slow_mean` and `slow_p95` for its model."""
    model = model_of(span)
    recent.durations.add(now, took)
    if t.slow is not None and took > t.slow:
        summary = f"A call of {model} took {took:.1f} s (more than {t.slow:g} s)"
        yield make_finding("slow", span, "warning", summary, t, value=took, threshold=t.slow)
    for figure, limit in (("mean", t.slow_mean), ("p95", t.slow_p95)):
        if limit is None or took <= limit:
            continue  # such a call cannot raise the figure above the limit
        durations = sorted(recent.durations.numbers(now))
        calls = len(durations)
        if calls < t.slow_calls:
            continue
        value = sum(durations) / calls if figure == "mean" else durations[int(0.95 * (calls - 1))]
        if value > limit:
            yield make_finding(
                f"slow_{figure}",
                span,
                "warning",
                f"{model} is slow: {figure} {value:.1f} s (more than {limit:g} s) over {calls} "
                f"calls in {t.slow_window:g} s",
                t,
                value=value,
                threshold=limit,
                window=t.slow_window,
            )


def _first_chunk(span: GenAISpan, t: Thresholds) -> Iterator[Finding]:
    took, limit = span.response.time_to_first_chunk, t.first_chunk
    if took is not None and limit is not None and took > limit:
        summary = f"First chunk of {model_of(span)} after {took:.1f} s (more than {limit:g} s)"
        yield make_finding("first_chunk", span, "warning", summary, t, value=took, threshold=limit)


def _call_cost(span: GenAISpan, t: Thresholds) -> Iterator[Finding]:
    cost, limit = span.cost.total, t.call_cost
    if cost is not None and limit is not None and cost > limit:
        summary = f"A call of {model_of(span)} cost {cost:.2f} USD (more than {limit:g} USD)"
        yield make_finding(
            "call_cost", span, "warning", summary, t, value=cost, threshold=limit, lasting=False
        )


def _fallback(span: GenAISpan, t: Thresholds) -> Iterator[Finding]:
    source, target = span.call.fallback_from, span.call.fallback_to
    if t.fallback and source and target:
        summary, labels = f"Fallback from {source} to {target}", (("from", source), ("to", target))
        yield make_finding("fallback", span, "warning", summary, t, labels)


NAMES: Final = (
    *("failure", "auth", "quota", "burst", "outage", "outage_major"),
    *("slow", "slow_mean", "slow_p95", "first_chunk", "hanging"),
    *("call_cost", "budget", "anomaly", "daily", "fallback"),
)
"""The rule names that `LITESPAN_<DESTINATION>_ALERTS` accepts."""


def known_rules(given: str | Iterable[str], variable: str) -> frozenset[str]:
    """The names of rules in a list or a comma-separated text; reports unknown ones.

    Args:
        given: the value of the variable, or what replaces it.
        variable: `LITESPAN_<DESTINATION>_ALERTS`.
    """
    chosen = frozenset(names(given) if isinstance(given, str) else map(str, given))
    for name in sorted(chosen - {*NAMES}):
        log_once(
            f"{variable}:{name}",
            "%s: there is no rule %r; there are %s",
            *(variable, name, ", ".join(NAMES)),
        )
    return chosen
