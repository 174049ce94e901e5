"""`HttpExporter`: the base class of span exporters that send over HTTP.

A vendor is one pure function `GenAISpan` → JSON and one small subclass with its URL and
credentials. Retries and deadlines are the same for all: see `litespan.export.sender`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.export.batching import Item
from litespan.export.client import Client, Secret, origin
from litespan.export.duplicates import check_service
from litespan.export.exporter_metrics import ExporterMetrics
from litespan.export.policy import Tally, is_kept
from litespan.export.report import explain, report
from litespan.export.sender import Sender
from litespan.export.tenant import Tenant
from litespan.export.vendor import Vendor
from litespan.genai.values import strings


class HttpExporter(Vendor, SpanExporter):
    """Base class of vendors. Subclasses set the class attributes and implement `item`."""

    hints: ClassVar[Mapping[str, str]] = {}
    """HTTP status → how to fix it, where the vendor differs from the general text."""
    shows_routers: ClassVar[bool] = False
    """Whether the exporter also needs router spans, which are parents of the attempts."""

    spooled = False
    """Whether what is not accepted waits in the spool, which sets this."""
    unit: ClassVar[str] = "span(s)"
    """The word for items in log messages."""

    def __init__(self, *, of_tenant: Tenant | None = None, **limits: Any) -> None:
        """Create an exporter that is off until `connect` is called.

        Args:
            of_tenant: the rules for an exporter that a team or key of LiteLLM's proxy has
                configured: it reads no environment variables and may not send to every host.
            limits: fields of `Policy` that override the vendor's.
        """
        super().__init__(of_tenant, limits)
        self.delivery: Sender | None = None
        self.last = Tally()  # result of the last export

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

    # --- SpanExporter ----------------------------------------------------------------

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Map and send spans. Never raises; lost spans are counted and logged once."""
        kept = [span for span in spans if self.name not in strings(span.attributes or {}, s.MUTE)]
        return self.send(self.items(kept))

    def send(self, items: Iterable[Item]) -> SpanExportResult:
        """Send items. Of several with the same key, only the last is sent. Never raises."""
        delivery, self.last = self.delivery, Tally()
        if delivery is None or delivery.closed.is_set():
            return SpanExportResult.FAILURE
        with suppress_errors("duplicates"):  # reads objects of the application
            check_service(self.name)
        with suppress_errors(f"export.{self.name}"):
            unique = list({item.key: item for item in items}.values())
            if not unique:
                return SpanExportResult.SUCCESS
            started = time.perf_counter()
            self.metrics.begin(len(unique))
            self.last = delivery.send(unique)
            self.metrics.end(len(unique), self.last, time.perf_counter() - started)
            kept = {c for c in self.last.dropped if self.spooled and is_kept(c, self.limits.retry)}
            title = self.name if self.tenant is None else f"{self.name} of a team or key"
            report(self.name, self.last, self.unit, self.explain, kept, title)
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
        """Explain an HTTP status or transport error, and how to fix it."""
        to = origin(self.delivery.client.url) if self.delivery is not None else ""
        if self.tenant is not None:  # which has no variables
            return explain(cause, (), (), to)
        urls = sorted(self.variables.url, key=lambda name: not self.variable(name))
        return self.hints.get(cause) or explain(cause, self.variables.keys, urls, to)


def _is_header_value(value: str | Secret) -> bool:
    text = value.reveal() if isinstance(value, Secret) else value
    return text.isascii() and text.isprintable()
