"""`AlertExporter`: an alert destination as a `SpanExporter`.

A destination is one pure function, notices → message, and one small subclass that says where to
send it. Rules, state and flow are the engine's; requests go by the same delivery as those of
every other vendor.
"""

import os
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.alerting.alert import Notice
from litespan.alerting.engine import Engine
from litespan.alerting.episodes import Flow
from litespan.alerting.outbox import Fate
from litespan.alerting.rules import NAMES
from litespan.alerting.state import State, state_at
from litespan.alerting.text import tidy
from litespan.alerting.thresholds import Thresholds
from litespan.errors import log_once, suppress_errors
from litespan.export import GenAISpan
from litespan.export.batching import Item
from litespan.export.client import Secret, origin
from litespan.export.http import HttpExporter
from litespan.export.policy import Policy
from litespan.genai.json_text import dumps
from litespan.genai.values import JSON

TITLE: Final = 140  # characters of a title
LONG: Final = 400  # characters of any other text
AT_EXIT: Final = 5.0  # s for what is pending, at shutdown
_FIRST_HOLD, _LONGEST_HOLD = 5.0, 300.0  # s without sending after a failure; doubles
_GONE: Final = frozenset({"401", "403", "404", "405", "410"})  # will not change by itself
_REFUSED: Final = 3  # refused messages one after another, whatever the status: as if gone


class AlertExporter(HttpExporter):
    """Base of the alert destinations. Subclasses set the class attributes and write `message`."""

    policy: ClassVar[Policy] = Policy(
        max_items=8, patience=10.0, timeout=30.0, hung_patience=5.0, exit_patience=3.0
    )
    unit: ClassVar[str] = "alert(s)"
    rate: ClassVar[float] = 1.0
    """Messages a second."""
    tells_end: ClassVar[bool] = True
    """Is the destination told when an alert is over?"""
    hidden_path: ClassVar[bool] = False
    """Is the URL's path a credential, as that of a webhook is?"""

    def __init__(
        self,
        *,
        thresholds: Thresholds | None = None,
        state: State | None = None,
        rules: Sequence[str] = (),
        **limits: Any,
    ) -> None:
        """Off until `turn_on` is called.

        Args:
            thresholds: what is worth an alert; else of the environment.
            state: where alerts' state is; else as LITESPAN_ALERTS_STATE says.
            rules: names of the rules that this destination hears of; else
                LITESPAN_<NAME>_ALERTS, else all.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.thresholds = Thresholds.from_env(self.env) if thresholds is None else thresholds
        self.engine: Engine | None = None
        self._state = state
        self._only = self._rules(rules)
        self._path = Secret("")
        self._failures = 0  # messages one after another that were not taken, for now
        self._refusals = 0  # or for good
        self._pid = os.getpid()

    def _rules(self, given: Sequence[str]) -> frozenset[str]:
        variable = f"LITESPAN_{self.name.upper()}_ALERTS"
        names = given or [
            name.strip() for name in self.variable(variable).split(",") if name.strip()
        ]
        for name in names:
            if name not in NAMES:
                log_once(
                    f"{variable}:{name}",
                    "%s: there is no rule %r; there are %s",
                    variable,
                    name,
                    ", ".join(NAMES),
                )
        return frozenset(names)

    # --- configuration ---------------------------------------------------------------------

    def turn_on(self, url: str | None, headers: Mapping[str, str | Secret]) -> None:
        """Accept calls and alert at `url` (None: it must not be used). Nothing is opened yet."""
        if url is None:
            return
        where = origin(url) if self.hidden_path else url.rstrip("/")
        if self.hidden_path:
            self._path = Secret(url[url.index("/", 8) :] if "/" in url[8:] else "")
            self._secrets = [*self._secrets, self._path]
        self.connect(where, headers)
        flow = self.flow(Flow.of(self.thresholds))
        state = state_at(self.thresholds.state) if self._state is None else self._state
        place = sha256(url.encode()).hexdigest()[:8]  # two of a kind are two destinations
        self.engine = Engine(
            f"{self.name}-{place}",
            self.thresholds,
            flow,
            state,
            self._tell,
            most=self.limits.max_items,
            only=self._only,
            tells_end=self.tells_end,
            rate=self.rate,
        )

    def webhook(self, **argument: str | None) -> str | None:
        """The URL, which is a credential, of the argument or the variable; None if there is none.

        Unlike `base_url` it may have a query: that is where some services have their signature.
        """
        ((name, given),) = argument.items()
        url = (given or self.variable(*self.variables.url)).strip()
        if not url:
            self.report_missing(self.variables.url[0], argument=name)
            return None
        return url if self.may_use(url.partition("?")[0]) else None

    def flow(self, flow: Flow) -> Flow:
        """How often this destination is told. By default as the thresholds say."""
        return flow

    # --- what a destination says -------------------------------------------------------------

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """The body that tells all `notices`, and that there was no room for `lost` more."""
        raise NotImplementedError

    def request(self, notices: Sequence[Notice], lost: int) -> Item:
        """One message as it is posted."""
        return Item(notices[0].id, dumps(self.message(notices, lost)), self._path.reveal())

    def encode(self, items: Sequence[Item]) -> bytes:
        """One message a request."""
        (item,) = items
        body: bytes = item.data
        return body

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Messages are short already."""
        return None

    # --- SpanExporter ------------------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Look at finished calls; what there is to tell is sent later. Never raises."""
        if self.engine is None or self.delivery is None or self.delivery.closed.is_set():
            return SpanExportResult.FAILURE
        with suppress_errors(f"export.{self.name}"):
            self._say_once_after_a_fork()
            self.engine.put([view for span in spans if (view := _call(span)) is not None])
            return SpanExportResult.SUCCESS
        return SpanExportResult.FAILURE

    def export_started(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Look after calls that have begun: those that do not end are told as hanging."""
        if self.engine is not None:
            with suppress_errors(f"export.{self.name}"):
                self.engine.started([view for span in spans if (view := _call(span)) is not None])
        return SpanExportResult.SUCCESS

    def export_ended(self, spans: Sequence[ReadableSpan]) -> None:
        """Calls have ended, which may be all that this destination learns of their end."""
        if self.engine is not None:
            with suppress_errors(f"export.{self.name}"):
                self.engine.ended([view.key for span in spans if (view := _call(span)) is not None])

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits, digests too; whether all was sent."""
        return self.engine is None or self.engine.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Send what waits, for a few seconds, and stop."""
        if self.engine is None or self.delivery is None:
            return
        over = self.delivery.closed.is_set()
        if (left := self.engine.close(0.0 if over else AT_EXIT)) and not over:
            log_once(
                f"alerts.{self.name}.shutdown",
                "%s: the process ended before %d alert(s) were sent",
                self.name,
                left,
            )
        self.delivery.close()
        self.engine.join(1.0)
        with suppress_errors("closing the state of alerts"):
            self.engine.state.close()

    # --- on the engine's thread ---------------------------------------------------------------

    def _tell(self, notices: Sequence[Notice], lost: int) -> Fate:
        delivery = self.delivery
        if delivery is None or delivery.closed.is_set() or self.engine is None:
            return "stopped"
        self.last = delivery.send([self.request(notices, lost)])
        if not self.last.dropped:
            self._failures = self._refusals = 0
            return "sent"
        cause = next(iter(self.last.dropped))
        if cause == "rejected" or (cause.isdigit() and int(cause) not in self.limits.retry):
            self._refusals += 1
            if cause in _GONE or self._refusals >= _REFUSED:
                self._stop(cause)
                return "stopped"
            self._report(self.last)
            return "refused"
        self._failures += 1
        wait = min(_FIRST_HOLD * 2 ** (self._failures - 1), _LONGEST_HOLD)
        self.engine.hold(max(wait, delivery.not_before - time.monotonic()))
        said = self.explain(cause)
        log_once(
            f"alerts.{self.name}.{cause}",
            "%s: an alert was not taken (%s: %s); it is kept and tried again (logged once)",
            self.name,
            cause,
            said,
        )
        return "later"

    def _stop(self, cause: str) -> None:
        said = self.last.reasons.get(cause)
        answer = f' ("{said}")' if said else ""
        self.problem = f"{self.name} alerts are off until the program is started anew"
        log_once(
            f"alerts.{self.name}.off.{cause}",
            "%s: %s: %s%s",
            self.problem,
            cause,
            self.explain(cause),
            answer,
        )

    def _say_once_after_a_fork(self) -> None:
        if self._pid == os.getpid() or self.engine is None:
            return
        self._pid = os.getpid()
        if self.tells_end and not self.engine.state.shared:
            log_once(
                "alerts.fork",
                "several processes alert each by itself: set LITESPAN_ALERTS_STATE to a file or "
                "database that they share",
            )


def _call(span: ReadableSpan) -> GenAISpan | None:
    view = GenAISpan.read(span)
    return view if view is not None and view.is_call else None


def titled(notice: Notice) -> str:
    """The one line that says it all, of any destination."""
    finding = notice.finding
    word = {"firing": "", "repeat": "Still: ", "resolved": "Resolved: ", "test": ""}[notice.turn]
    return tidy(f"{word}{finding.summary}", TITLE)


def details(notice: Notice) -> dict[str, str]:
    """What else there is to say, by name, of any destination; only what is known."""
    finding, example = notice.finding, notice.finding.example
    said = {name.capitalize(): value for name, value in finding.labels}
    said["Severity"] = finding.severity
    if notice.count > 1:
        said["Count"] = str(notice.count)
    if notice.suppressed:
        said["Suppressed"] = f"{notice.suppressed} since the last message"
    if notice.over:
        said["Lasted"] = f"{notice.last - notice.since:.0f} s"
    said["Service"] = ", ".join(filter(None, (example.service, example.environment)))
    said["User"] = example.user
    said["Error"] = example.error
    said["Prompt"] = example.prompt
    said["Call"] = example.call_id
    said["Trace"] = example.trace_id
    return {name: tidy(value, LONG) for name, value in said.items() if value}


def more(lost: int) -> str:
    """What is said of alerts that there was no room for."""
    return f"{lost} more suppressed: too many at once" if lost else ""
