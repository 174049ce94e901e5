"""`HttpExporter`: a vendor reached over HTTP, as a `SpanExporter`.

A vendor is one pure function `GenAISpan` → JSON and one small subclass that says where to
send it and with which credentials. What the vendor's service is told, how it is retried and
when it is given up is the same for all: `litespan.export.sender`.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan import semconv as s
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export.batching import Batch, Item, pack, shrink
from litespan.export.client import (
    FORBIDDEN_HOST,
    Answer,
    Client,
    Secret,
    is_exposed,
    origin,
    url_problem,
)
from litespan.export.duplicates import check_service
from litespan.export.exporter_metrics import ExporterMetrics
from litespan.export.policy import Policy, Refusal, Tally
from litespan.export.sender import Outlet, Sender
from litespan.export.tenant import ALLOW_HOSTS, Tenant
from litespan.genai.json_text import dumps
from litespan.genai.span import GenAISpan
from litespan.genai.values import parse

ALLOW_HTTP = "LITESPAN_ALLOW_HTTP"
"""`true`: send to plain http URLs on the internet, too, and say nothing about others."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The environment variables that a vendor's users have already set."""

    keys: tuple[str, ...]  # credentials, all of them needed
    url: tuple[str, ...] = ()  # where to send to; the first that is set wins
    default_url: str = ""


class HttpExporter(SpanExporter):
    """Base of the vendors. Subclasses set the class attributes and write `item`."""

    name: ClassVar[str]
    """As in `OTEL_TRACES_EXPORTER`."""
    variables: ClassVar[Variables]
    policy: ClassVar[Policy] = Policy()
    hints: ClassVar[Mapping[str, str]] = {}
    """What to mend, by HTTP status, in addition to what holds for every vendor."""
    shows_routers: ClassVar[bool] = False
    """Is the span above a router's attempts of use to it? Then stage lists give it that, too."""

    unit: ClassVar[str] = "span(s)"
    """What the items are, in the log."""

    def __init__(self, *, of_tenant: Tenant | None = None, **limits: Any) -> None:
        """Off until `connect` is called.

        Args:
            of_tenant: the rules for an exporter that a team or key of LiteLLM's proxy has
                configured: it reads no environment variable, and may not send everywhere.
            limits: fields of `Policy`, to override the vendor's.
        """
        self.tenant = of_tenant
        self.limits = replace(self.policy, **limits) if limits else self.policy
        self.delivery: Sender | None = None
        self.problem = ""  # why the exporter is off
        self.last = Tally()  # what became of the last export
        self._secrets: list[Secret] = []

    # --- configuration: argument, then environment, then default -----------------------

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables that count: for a tenant's exporter none."""
        return os.environ if self.tenant is None else {}

    def credentials(self, *unnamed: str | None, **named: str | None) -> list[Secret] | None:
        """One credential a key variable: the argument, else the variable.

        None, with one line in the log, unless all of them are there. That line names what was to
        be set: for a tenant the argument, if it has been given by name.
        """
        keys = self.variables.keys
        names = (*keys[: len(unnamed)], *named) if self.tenant is not None else keys
        values = {
            name: (self.variable(variable) if argument is None else argument.strip())
            for name, variable, argument in zip(
                names, keys, (*unnamed, *named.values()), strict=True
            )
        }
        if missing := [name for name, value in values.items() if not value]:
            self.lacks(*missing)
        elif odd := [name for name, value in values.items() if not is_credential(value)]:
            self.off(f"{odd[0]} holds characters that no key has", "set it anew")
        else:
            self._secrets = [Secret(value) for value in values.values()]
            return self._secrets
        return None

    def variable(self, *names: str) -> str:
        """The value of the first of these environment variables that is set, or nothing."""
        found = (self.env.get(name, "").strip() for name in names)
        return next(filter(None, found), "")

    def flag(self, name: str, default: bool) -> bool:
        """Whether an environment variable says true or false."""
        known = {"true": True, "1": True, "false": False, "0": False}
        return known.get(self.variable(name).lower(), default)

    def base_url(self, argument: str | None) -> str | None:
        """Where to send to, without a slash at the end; None if it must not be used."""
        url = argument or self.variable(*self.variables.url) or self.variables.default_url
        return url.rstrip("/") if self.may_use(url) else None

    def may_use(self, url: str) -> bool:
        """Whether `url` may be sent to. If not, the exporter is off, and one line says why."""
        said = (name for name in self.variables.url if self.variable(name).startswith(url or "-"))
        variable = next(said, "the URL")
        allowed = self.flag(ALLOW_HTTP, default=False)
        problem = url_problem(url, allow_http=allowed or self.tenant is not None)
        if not problem and self.tenant is not None:
            problem = self.tenant.url_problem(url)
        if problem:
            mend = f"use https, or set {ALLOW_HTTP}=true" if "https" in problem else "mend it"
            self.off(f"{variable} {problem}", mend)
        elif not allowed and is_exposed(url):
            log_once(
                f"http.{self.name}.{origin(url)}",
                "%s: %s is not https: whoever can watch the network between here and %s can read "
                "the credentials and all that is recorded; use https, or set %s=true if nobody "
                "can",
                self.name,
                variable,
                origin(url),
                ALLOW_HTTP,
            )
        return not problem

    def lacks(self, *names: str, argument: str = "") -> None:
        """Stay off because these settings are missing; `argument`: what a tenant calls it."""
        shown = [argument] if argument and self.tenant is not None else [*names]
        several = len(shown) > 1
        stand = f"{' and '.join(shown)} {'are' if several else 'is'} not set"
        mend = f"set {'them' if several else 'it'} or take {self.name} off the exporters"
        self.off(stand, mend)

    def off(self, problem: str, mend: str) -> None:
        """Stay off: nothing is sent, and one line says why and what to do.

        For a tenant's exporter that line is written where the tenant is known.
        """
        if self.tenant is not None:
            self.problem = self.problem or problem
            return
        self.problem = f"{problem}: {self.name} export is off; {mend}"
        log_once(f"off.{self.name}.{problem}", "%s", self.problem)

    def wire(self, url: str, headers: Mapping[str, str | Secret], **options: Any) -> Client:
        """A connection to `url` that keeps to the rules for this exporter."""
        return Client(url, headers, tenant=self.tenant, **options)

    def connect(
        self, url: str, headers: Mapping[str, str | Secret], socket: str | None = None
    ) -> None:
        """Turn the exporter on. No connection is made before the first export.

        Args:
            url: where to post.
            headers: of every request; credentials as `Secret`.
            socket: path of a Unix socket to go through.
        """
        if odd := next((name for name, value in headers.items() if not _fits(value)), ""):
            self.off(f"the header {odd} would hold what no header can", "use printable ASCII")
            return
        limits = self.limits
        wire = self.wire(
            url,
            headers,
            compress=limits.gzip,
            connections=limits.concurrency,
            attempt=limits.attempt,
            socket=socket,
            secrets=self._secrets,
        )
        # Not at the first export: that may come when the meter provider is already shut down.
        self.metrics = ExporterMetrics(type(self), url, tenant=self.tenant is not None)
        outlet = Outlet(self.pack, self.shrink, self.refusals, self.heard, self.forbidden)
        self.delivery = Sender(wire, limits, outlet)

    @classmethod
    def variables_for(cls, url: str, secret: str) -> dict[str, str]:
        """The variables that point this exporter to `url` with the credential `secret`."""
        names = cls.variables
        return {**dict.fromkeys(names.keys, secret), **dict.fromkeys(names.url[:1], url)}

    # --- what a vendor says ----------------------------------------------------------

    def item(self, span: GenAISpan) -> Item | None:
        """The span as the vendor takes it; None if the vendor does not get such spans."""
        raise NotImplementedError

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """All that this export sends. By default the GenAI spans, each by `item`."""
        for span in spans:
            with suppress_errors(f"export.{self.name}.mapping"):
                view = GenAISpan.read(span)
                if view is not None and (item := self.item(view)) is not None:
                    yield item

    def encode(self, items: Sequence[Item]) -> bytes:
        """The body of one request. By default a JSON array of the items."""
        return b"[" + b",".join([item.data for item in items]) + b"]"

    def shrink(self, item: Item, excess: int) -> Item | None:
        """`item` with `excess` bytes less of content; None if it has not got them."""
        smaller = shrink(parse(item.data.decode()), len(item.data) - excess)
        return None if smaller is None else replace(item, data=dumps(smaller))

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """What a 2xx answer refuses all the same. By default nothing."""
        return ()

    def heard(self, answer: Answer) -> None:
        """Every answer, before it is acted upon. By default nobody listens."""

    def forbidden(self, batch: Batch) -> str:
        """One word why `batch` is dropped instead of sent. By default it is sent."""
        return ""

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Requests within the vendor's limits."""
        return pack(items, self.encode, self.limits.max_items, self.limits.max_bytes)

    # --- SpanExporter ----------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Map and send. Never raises; what could not be sent is counted and logged once."""
        kept = [span for span in spans if self.name not in _muted(span)]
        return self.bring(self.items(kept))

    def bring(self, made: Iterable[Item]) -> SpanExportResult:
        """Send items, which may be made only now; of those with one key the last. Never raises."""
        delivery, self.last = self.delivery, Tally()
        if delivery is None or delivery.closed.is_set():
            return SpanExportResult.FAILURE
        with suppress_errors(f"export.{self.name}"):
            check_service(self.name)
            items = list({item.key: item for item in made}.values())
            if not items:
                return SpanExportResult.SUCCESS
            begun = time.perf_counter()
            self.metrics.begin(len(items))
            self.last = delivery.send(items)
            self.metrics.end(len(items), self.last, time.perf_counter() - begun)
            self._report(self.last)
            return SpanExportResult.FAILURE if self.last.dropped else SpanExportResult.SUCCESS
        return SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept between exports."""
        return True

    def shutdown(self) -> None:
        """Stop: what an export is still trying to send is given up."""
        if self.delivery is not None:
            self.delivery.close()

    def __repr__(self) -> str:
        to = origin(self.delivery.wire.url) if self.delivery is not None else "off"
        return f"<{type(self).__name__} {to}>"

    def explain(self, cause: str) -> str:
        """What a status or transport error means for the user, in a few words."""
        keys = " and ".join(self.variables.keys)
        where = self.variables.url[0] if self.variables.url else "the URL"
        common = {
            "401": f"not authorised: check {keys}",
            "403": f"forbidden: check {keys} and what they may do",
            "404": f"no such path: check {where}",
            "413": "too large, even with its content cut",
            FORBIDDEN_HOST: f"not a public https host; the operator may allow it ({ALLOW_HOSTS})",
            "too_large": "too large, even with its content cut",
            "429": "rate limit",
            "rejected": "refused by the service",
            "shutdown": "the process ended before they were accepted",
            "timeout": "no answer in time",
        }
        if cause in self.hints:
            return self.hints[cause]
        if cause.startswith("3"):
            return f"redirects are not followed: set {where} to the final URL"
        return common.get(cause, "HTTP error" if cause.isdigit() else "no connection")

    def _report(self, tally: Tally) -> None:
        amounts = {"sent": tally.sent, "retried": tally.retried, "truncated": tally.cut}
        for what, amount in amounts.items():
            if amount:
                count(f"export.{self.name}.{what}", amount)
        if tally.cut:
            log_once(
                f"export.{self.name}.cut",
                "%s: content was cut to fit the size that the service takes (logged once)",
                self.name,
            )
        for cause, items in tally.dropped.items():
            count(f"export.{self.name}.dropped", items)
            count(f"export.{self.name}.dropped.{cause}", items)
            said = f' ("{tally.said[cause]}")' if tally.said.get(cause) else ""
            log_once(
                f"export.{self.name}.dropped.{cause}",
                "%s: %d %s dropped: %s: %s%s (logged once)",
                self.name,
                items,
                self.unit,
                cause,
                self.explain(cause),
                said,
            )


def _fits(value: str | Secret) -> bool:
    text = value.reveal() if isinstance(value, Secret) else value
    return text.isascii() and text.isprintable()


def is_credential(text: str) -> bool:
    """Could `text` be one? They are printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


def _muted(span: ReadableSpan) -> tuple[object, ...]:
    """The exporters that the call's own settings, or its team's, keep the span from."""
    muted = (span.attributes or {}).get(s.MUTE)
    return tuple(muted) if isinstance(muted, (list, tuple)) else ()
