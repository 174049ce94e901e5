"""`HttpExporter`: the base class of span exporters that send over HTTP.

A vendor is one pure function `GenAISpan` → JSON and one small subclass with its URL and
credentials. Retries and deadlines are the same for all: see `litespan.export.sender`.
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
from litespan.export.policy import Policy, Refusal, Tally, overridden
from litespan.export.sender import Sender
from litespan.export.tenant import ALLOW_HOSTS, Tenant
from litespan.genai.json_text import dumps
from litespan.genai.span import GenAISpan
from litespan.genai.values import parse

ALLOW_HTTP = "LITESPAN_ALLOW_HTTP"
"""`true`: also send to plain http URLs on the internet, and do not warn about others."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The names of a vendor's environment variables."""

    keys: tuple[str, ...]  # credentials, all required
    url: tuple[str, ...] = ()  # the base URL; the first variable that is set wins
    default_url: str = ""


class HttpExporter(SpanExporter):
    """Base class of vendors. Subclasses set the class attributes and implement `item`."""

    name: ClassVar[str]
    """The name in `OTEL_TRACES_EXPORTER`."""
    variables: ClassVar[Variables]
    policy: ClassVar[Policy] = Policy()
    hints: ClassVar[Mapping[str, str]] = {}
    """HTTP status → how to fix it, where the vendor differs from the general text."""
    shows_routers: ClassVar[bool] = False
    """Whether the exporter also needs router spans, which are parents of the attempts."""

    unit: ClassVar[str] = "span(s)"
    """The word for items in log messages."""

    def __init__(self, *, of_tenant: Tenant | None = None, **limits: Any) -> None:
        """Create an exporter that is off until `connect` is called.

        Args:
            of_tenant: the rules for an exporter that a team or key of LiteLLM's proxy has
                configured: it reads no environment variables and may not send to every host.
            limits: fields of `Policy` that override the vendor's.
        """
        self.tenant = of_tenant
        self.limits = overridden(self.policy, limits, type(self)) if limits else self.policy
        self.delivery: Sender | None = None
        self.problem = ""  # why the exporter is off
        self.last = Tally()  # result of the last export
        self._secrets: list[Secret] = []

    # --- configuration: argument, then environment, then default -----------------------

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables; none for a tenant's exporter."""
        return os.environ if self.tenant is None else {}

    def credentials(self, *unnamed: str | None, **named: str | None) -> list[Secret] | None:
        """One credential for each variable in `variables.keys`: the argument, else the variable.

        If one is missing or invalid, this returns None and logs one line that names what to set:
        for a tenant the argument if passed by name, else the variable.
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
            self.report_missing(*missing)
        elif invalid := [name for name, value in values.items() if not is_credential(value)]:
            self.disable(
                f"{invalid[0]} contains characters that are not valid in an API key", "set it again"
            )
        else:
            self._secrets = [Secret(value) for value in values.values()]
            return self._secrets
        return None

    def variable(self, *names: str) -> str:
        """The value of the first of these environment variables that is set, or an empty string."""
        found = (self.env.get(name, "").strip() for name in names)
        return next(filter(None, found), "")

    def flag(self, name: str, default: bool) -> bool:
        """A Boolean environment variable; `default` if it is unset or invalid."""
        known = {"true": True, "1": True, "false": False, "0": False}
        return known.get(self.variable(name).lower(), default)

    def base_url(self, argument: str | None) -> str | None:
        """The base URL without a trailing slash; None if it must not be used."""
        url = argument or self.variable(*self.variables.url) or self.variables.default_url
        return url.rstrip("/") if self.may_use(url) else None

    def may_use(self, url: str) -> bool:
        """Whether requests may go to `url`. If not, the exporter stays off and logs why."""
        names = (name for name in self.variables.url if self.variable(name).startswith(url or "-"))
        variable = next(names, "the URL")
        allowed = self.flag(ALLOW_HTTP, default=False)
        problem = url_problem(url, allow_http=allowed or self.tenant is not None)
        if not problem and self.tenant is not None:
            problem = self.tenant.url_problem(url)
        if problem:
            fix = f"use https, or set {ALLOW_HTTP}=true" if "https" in problem else "fix it"
            self.disable(f"{variable} {problem}", fix)
        elif not allowed and is_exposed(url):
            log_once(
                f"http.{self.name}.{origin(url)}",
                "%s: %s is not https: others on the network between here and %s can read the "
                "credentials and all recorded data; use https, or set %s=true if the network is "
                "trusted",
                self.name,
                variable,
                origin(url),
                ALLOW_HTTP,
            )
        return not problem

    def report_missing(self, *names: str, argument: str = "") -> None:
        """Stay off because these settings are missing; tenants know it as `argument`."""
        shown = [argument] if argument and self.tenant is not None else [*names]
        several = len(shown) > 1
        problem = f"{' and '.join(shown)} {'are' if several else 'is'} not set"
        fix = f"set {'them' if several else 'it'} or remove {self.name} from the exporters"
        self.disable(problem, fix)

    def disable(self, problem: str, fix: str) -> None:
        """Stay off: send nothing, and log what is wrong and how to fix it.

        For a tenant's exporter, the caller logs it together with the tenant's name.
        """
        if self.tenant is not None:
            self.problem = self.problem or problem
            return
        self.problem = f"{problem}: {self.name} export is off; {fix}"
        log_once(f"off.{self.name}.{problem}", "%s", self.problem)

    def new_client(self, url: str, headers: Mapping[str, str | Secret], **options: Any) -> Client:
        """A client for `url` that follows the rules for this exporter."""
        return Client(url, headers, tenant=self.tenant, **options)

    def connect(
        self, url: str, headers: Mapping[str, str | Secret], socket: str | None = None
    ) -> None:
        """Turn the exporter on. The first export opens the connection.

        Args:
            url: where to post.
            headers: of every request; credentials as `Secret`.
            socket: path of a Unix socket to use instead of the host in the URL.
        """
        if invalid := next((k for k, value in headers.items() if not _is_header_value(value)), ""):
            self.disable(f"the header {invalid} has an invalid value", "use printable ASCII")
            return
        limits = self.limits
        client = self.new_client(
            url,
            headers,
            compress=limits.gzip,
            connections=limits.concurrency,
            attempt=limits.attempt,
            socket=socket,
            secrets=self._secrets,
        )
        # Not on the first export: the meter provider may already be shut down by then.
        self.metrics = ExporterMetrics(type(self), url, tenant=self.tenant is not None)
        self.delivery = Sender(client, limits, self)

    @classmethod
    def variables_for(cls, url: str, secret: str) -> dict[str, str]:
        """Environment variables that make the exporter use `url` with the credential `secret`."""
        names = cls.variables
        return {**dict.fromkeys(names.keys, secret), **dict.fromkeys(names.url[:1], url)}

    # --- what a vendor defines -------------------------------------------------------

    def item(self, span: GenAISpan) -> Item | None:
        """Convert a span to the vendor's format; None if the vendor does not receive such spans."""
        raise NotImplementedError

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """All items of one export. By default one `item` for each GenAI span."""
        for span in spans:
            with suppress_errors(f"export.{self.name}.mapping"):
                view = GenAISpan.read(span)
                if view is not None and (item := self.item(view)) is not None:
                    yield item

    def encode(self, items: Sequence[Item]) -> bytes:
        """Encode the body of one request. By default a JSON array of the items."""
        return b"[" + b",".join([item.data for item in items]) + b"]"

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut `excess` bytes of content from `item`; None if it has not that much."""
        smaller = shrink(parse(item.data.decode()), len(item.data) - excess)
        return None if smaller is None else replace(item, data=dumps(smaller))

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Find the items that a 2xx answer rejects. By default none."""
        return ()

    def on_answer(self, answer: Answer) -> None:
        """Receive every answer before its items are settled. By default do nothing."""

    def forbidden(self, batch: Batch) -> str:
        """Return a one-word reason to drop `batch` unsent. By default it is sent."""
        return ""

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Put items into batches within the vendor's limits."""
        return pack(items, self.encode, self.limits.max_items, self.limits.max_bytes)

    # --- SpanExporter ----------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Map and send spans. Never raises; lost spans are counted and logged once."""
        kept = [span for span in spans if self.name not in _muted_exporters(span)]
        return self.send(self.items(kept))

    def send(self, items: Iterable[Item]) -> SpanExportResult:
        """Send items; of those with the same key only the last. Never raises."""
        delivery, self.last = self.delivery, Tally()
        if delivery is None or delivery.closed.is_set():
            return SpanExportResult.FAILURE
        with suppress_errors(f"export.{self.name}"):
            check_service(self.name)
            unique = list({item.key: item for item in items}.values())
            if not unique:
                return SpanExportResult.SUCCESS
            started = time.perf_counter()
            self.metrics.begin(len(unique))
            self.last = delivery.send(unique)
            self.metrics.end(len(unique), self.last, time.perf_counter() - started)
            self._report(self.last)
            return SpanExportResult.FAILURE if self.last.dropped else SpanExportResult.SUCCESS
        return SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: no span is kept between exports."""
        return True

    def shutdown(self) -> None:
        """Stop. Running exports drop what they have not sent."""
        if self.delivery is not None:
            self.delivery.close()

    def __repr__(self) -> str:
        to = origin(self.delivery.client.url) if self.delivery is not None else "off"
        return f"<{type(self).__name__} {to}>"

    def explain(self, cause: str) -> str:
        """What an HTTP status or transport error means, and how to fix it."""
        keys = " and ".join(self.variables.keys)
        where = self.variables.url[0] if self.variables.url else "the URL"
        common = {
            "401": f"unauthorized: check {keys}",
            "403": f"forbidden: check {keys} and its permissions",
            "404": f"not found: check {where}",
            "413": "too large, even with truncated content",
            FORBIDDEN_HOST: f"not a public https host; the operator may allow it ({ALLOW_HOSTS})",
            "too_large": "too large, even with truncated content",
            "429": "rate limited",
            "rejected": "rejected by the service",
            "shutdown": "the process ended before they were accepted",
            "timeout": "no answer in time",
        }
        if cause in self.hints:
            return self.hints[cause]
        if cause.startswith("3"):
            return f"redirects are not followed: set {where} to the final URL"
        return common.get(cause, "HTTP error" if cause.isdigit() else "no connection")

    def _report(self, tally: Tally) -> None:
        amounts = {"sent": tally.sent, "retried": tally.retried, "truncated": tally.truncated}
        for what, amount in amounts.items():
            if amount:
                count(f"export.{self.name}.{what}", amount)
        if tally.truncated:
            log_once(
                f"export.{self.name}.cut",
                "%s: content was truncated to the size limit of the service (logged once)",
                self.name,
            )
        for cause, items in tally.dropped.items():
            count(f"export.{self.name}.dropped", items)
            count(f"export.{self.name}.dropped.{cause}", items)
            reason = f' ("{tally.reasons[cause]}")' if tally.reasons.get(cause) else ""
            log_once(
                f"export.{self.name}.dropped.{cause}",
                "%s: %d %s dropped: %s: %s%s (logged once)",
                self.name,
                items,
                self.unit,
                cause,
                self.explain(cause),
                reason,
            )


def _is_header_value(value: str | Secret) -> bool:
    text = value.reveal() if isinstance(value, Secret) else value
    return text.isascii() and text.isprintable()


def is_credential(text: str) -> bool:
    """Whether `text` can be a credential: printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


def _muted_exporters(span: ReadableSpan) -> tuple[object, ...]:
    """The exporters that must not get the span, by the settings of the call or its team."""
    muted = (span.attributes or {}).get(s.MUTE)
    return tuple(muted) if isinstance(muted, (list, tuple)) else ()
