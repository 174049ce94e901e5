"""`AlertExporter`: an alert destination as a `SpanExporter`.

A destination is one pure function, from notices to a message body, and one small subclass with
the URL and credentials. Requests use the same HTTP transport as those of every other vendor.
"""

import os
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan import semconv as s
from litespan.alerting.alert import Notice
from litespan.alerting.engine import Engine
from litespan.alerting.kept import KeptNotices
from litespan.alerting.queues import SendResult
from litespan.alerting.rules import known_rules
from litespan.alerting.state import State, state_at
from litespan.alerting.thresholds import Thresholds, in_variables
from litespan.errors import log_once, suppress_errors
from litespan.export import GenAISpan
from litespan.export.batching import Item
from litespan.export.client import Secret, origin
from litespan.export.http import HttpExporter
from litespan.export.policy import Policy, is_permanent, overridden
from litespan.export.report import report
from litespan.genai.values import strings
from litespan.objects import JSON, json_bytes
from litespan.spool.recorder import Recorder

_MOST_WAIT: Final = 60.0  # s that an export waits until the alerts are on disk
_MOST_EXAMINED: Final = 10_000  # calls
_EXIT_TIMEOUT: Final = 5.0  # s for pending alerts, at shutdown
_FIRST_HOLD, _LONGEST_HOLD = 5.0, 300.0  # s without sending after a failure; doubles
_FINAL: Final = frozenset({"401", "403", "404", "405", "410"})  # of the first message, too
_MAX_REFUSALS: Final = 3  # in a row, with any status: then the destination stops


class AlertExporter(HttpExporter):
    """Base class of alert destinations. A subclass sets the class attributes and `message`."""

    policy: ClassVar[Policy] = Policy(
        max_items=8, patience=10.0, timeout=30.0, hung_patience=5.0, exit_patience=3.0
    )
    unit: ClassVar[str] = "alert(s)"
    rate: ClassVar[float] = 1.0
    """Messages a second."""
    sends_resolved: ClassVar[bool] = True
    """Whether the destination receives resolved alerts."""
    hidden_path: ClassVar[bool] = False
    """Whether the URL's path is a credential, as a webhook's is."""

    def __init__(
        self,
        *,
        thresholds: Thresholds | Mapping[str, Any] | None = None,
        state: State | None = None,
        rules: Sequence[str] = (),
        **limits: Any,
    ) -> None:
        """Off until `turn_on` is called.

        Args:
            thresholds: default: from the environment. A mapping, as a configuration file has it,
                overrides single ones.
            state: where the alerts' state is; default: LITESPAN_ALERTS_STATE.
            rules: names of the rules that this destination receives; default:
                LITESPAN_<NAME>_ALERTS, else all.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        if not isinstance(thresholds, Thresholds):
            variables, others = in_variables(thresholds or {})
            from_env = Thresholds.from_env({**self.env, **variables})
            thresholds = overridden(from_env, others, type(self))
        self.thresholds = thresholds
        self.engine: Engine | None = None
        self._state = state
        variable = f"LITESPAN_{self.name.upper()}_ALERTS"
        self._rules = known_rules(rules or self.variable(variable), variable)
        self._path = Secret("")
        self._failures = 0  # messages in a row that failed and are tried again
        self._refusals = 0  # messages in a row that were refused
        self._pid = os.getpid()
        self._examined: set[UUID] = set()  # calls whose alerts are not on disk yet

    # --- configuration ---------------------------------------------------------------------

    def turn_on(self, url: str | None, headers: Mapping[str, str | Secret]) -> None:
        """Accept spans and send alerts to `url`; stay off if it is None. Opens no connection."""
        if url is None:
            return
        if self.hidden_path:
            self._path = Secret(urlunsplit(("", "", *urlsplit(url)[2:])))
            self._secrets = [*self._secrets, self._path]
        self.connect(origin(url) if self.hidden_path else url.rstrip("/"), headers)
        digest = sha256(url.encode()).hexdigest()[:8]  # two URLs of one vendor alert separately
        self.engine = Engine(
            f"{self.name}-{digest}",
            self.thresholds,
            state_at(self.thresholds.state) if self._state is None else self._state,
            self._send,
            limit=self.limits.max_items,
            rules=self._rules,
            sends_resolved=self.sends_resolved,
            rate=self.rate,
        )

    def webhook(self, **argument: str | None) -> str | None:
        """The webhook's URL, from the argument or the variable; None if it is missing or unsafe.

        Unlike `base_url` it may have a query: some services put their signature there.
        """
        ((name, value),) = argument.items()
        url = (value or self.variable(*self.variables.url)).strip()
        if not url:
            self.report_missing(self.variables.url[0], argument=name)
            return None
        return url if self.may_use(url.partition("?")[0]) else None

    # --- what a destination defines ----------------------------------------------------------

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """The body of one message about `notices`, and about `lost` alerts that did not fit."""
        raise NotImplementedError

    def request(self, notices: Sequence[Notice], lost: int) -> Item:
        """The request that posts one message."""
        return Item(notices[0].id, json_bytes(self.message(notices, lost)), self._path.reveal())

    def encode(self, items: Sequence[Item]) -> bytes:
        """One message per request."""
        return b"".join([item.data for item in items])

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Messages are short already."""
        return None

    # --- SpanExporter ------------------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Examine finished calls; alerts are sent in the background. Never raises."""
        if self.engine is None or self.delivery is None or self.delivery.closed.is_set():
            return SpanExportResult.FAILURE
        with suppress_errors(f"export.{self.name}"):
            if os.getpid() != self._pid and self.sends_resolved and not self.engine.state.shared:
                log_once(
                    "alerts.fork",
                    "several processes send alerts independently, so alerts repeat: set "
                    "LITESPAN_ALERTS_STATE to a file that all of them can use",
                )
            calls = {call.key: call for call in self._calls(spans)}
            number = self.engine.put([calls[key] for key in calls if key not in self._examined])
            if self.spooled:
                if len(self._examined) > _MOST_EXAMINED:
                    self._examined.clear()
                self._examined.update(calls)  # if this fails, they come again
                if not self.engine.wait(number, time.monotonic() + _MOST_WAIT):
                    return SpanExportResult.FAILURE
                self._examined.difference_update(calls)
            return SpanExportResult.SUCCESS
        return SpanExportResult.FAILURE

    def keep_in(self, recorder: Recorder, key: str) -> None:
        """Keep alerts in the spool until they are sent, under this exporter's name there."""
        if self.engine is not None:
            self.engine.keep_in(KeptNotices(recorder, key))

    def export_started(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Watch calls that have started, to alert if they hang. Never raises."""
        if self.engine is not None:
            with suppress_errors(f"export.{self.name}"):
                self.engine.started(self._calls(spans))
        return SpanExportResult.SUCCESS

    def export_ended(self, spans: Sequence[ReadableSpan]) -> None:
        """Stop watching calls that have ended, whether or not `export` gets them. Never raises."""
        if self.engine is not None:
            with suppress_errors(f"export.{self.name}"):
                self.engine.ended([call.key for call in self._calls(spans)])

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send pending alerts, digests included. Returns whether all were sent."""
        return self.engine is None or self.engine.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Send pending alerts for up to 5 s, then stop."""
        if self.engine is None or self.delivery is None:
            return
        closed = self.delivery.closed.is_set()
        if (left := self.engine.close(0.0 if closed else _EXIT_TIMEOUT)) and not closed:
            kept = "; they wait in the spool" if self.engine.kept is not None else ""
            log_once(
                f"alerts.{self.name}.shutdown",
                "%s: the process ended before %d alert(s) were sent%s",
                *(self.name, left, kept),
            )
        self.delivery.close()
        self.engine.join(1.0)
        with suppress_errors("closing the state of alerts"):
            self.engine.state.close()
            if self.engine.kept is not None:
                self.engine.kept.close()

    def _calls(self, spans: Sequence[ReadableSpan]) -> list[GenAISpan]:
        views = [view for span in spans if (view := GenAISpan.read(span)) is not None]
        return [v for v in views if v.is_call and self.name not in strings(v.attributes, s.MUTE)]

    # --- on the engine's thread ---------------------------------------------------------------

    def _send(self, notices: Sequence[Notice], lost: int) -> SendResult:
        delivery = self.delivery
        if delivery is None or delivery.closed.is_set() or self.engine is None:
            return "stopped"
        if self.engine.kept is not None:
            now = self.engine.clock()
            notices = [notice.dated(now) for notice in notices]
        self.last = delivery.send([self.request(notices, lost)])
        if not self.last.dropped:
            self._failures = self._refusals = 0
            return "sent"
        cause = next(iter(self.last.dropped))
        if is_permanent(cause, self.limits.retry):
            self._refusals += 1
            if cause in _FINAL or self._refusals >= _MAX_REFUSALS:
                self.problem = f"{self.name} alerts are off until the program restarts"
                answer = f' ("{self.last.reasons[cause]}")' if self.last.reasons.get(cause) else ""
                log_once(
                    f"alerts.{self.name}.off.{cause}",
                    "%s: %s: %s%s",
                    *(self.problem, cause, self.explain(cause), answer),
                )
                return "stopped"
            report(self.name, self.last, self.unit, self.explain)
            return "refused"
        self._failures += 1
        wait = min(_FIRST_HOLD * 2 ** min(self._failures - 1, 10), _LONGEST_HOLD)
        self.engine.hold(max(wait, delivery.not_before - time.monotonic()))
        log_once(
            f"alerts.{self.name}.{cause}",
            "%s: an alert was not accepted (%s: %s); it is kept and sent again later (logged once)",
            *(self.name, cause, self.explain(cause)),
        )
        return "later"
