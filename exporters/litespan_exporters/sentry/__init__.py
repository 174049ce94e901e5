"""Sentry: spans over OTLP, and an error event for each failed call.

https://docs.sentry.io/concepts/otlp/ (seen 2026-11-20). OTLP spans create no issues, so
a failed call is also sent as an error event that is linked to its span. Sentry drops span events,
so the stages of a call are sent as attributes.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan import semconv as s
from litespan.export import (
    JSON,
    TRANSIENT,
    VERSION,
    Answer,
    Batch,
    GenAISpan,
    HttpExporter,
    Item,
    OtlpExporter,
    Policy,
    Refusal,
    Secret,
    Variables,
    dumps,
    log_once,
    suppress_errors,
    without_content,
)
from litespan.genai.copying import sampled
from litespan.parsers import number
from litespan_exporters.sentry.event import PERSON, input_crumb, names_person, to_event
from litespan_exporters.sentry.service import (
    ENVELOPE,
    TRACES,
    Limits,
    envelope,
    environment_name,
    read_dsn,
    release_name,
)
from litespan_exporters.sentry.span import attributes

_ENVELOPE: Final = (("Content-Type", "application/x-sentry-envelope"),)
_TRACES_REMEMBERED: Final = 1000  # with running calls; the oldest is dropped first
_CALLS_REMEMBERED: Final = 50  # of one trace


class SentryExporter(OtlpExporter):
    """Sends GenAI spans to Sentry, and an error event for each failed call.

    Reads SENTRY_DSN, SENTRY_ENVIRONMENT. Also SENTRY_RELEASE, SENTRY_API_SAMPLE_RATE,
    SENTRY_API_TRACE_RATE and SENTRY_SEND_DEFAULT_PII.
    """

    name: ClassVar[str] = "sentry"
    variables = Variables(keys=("SENTRY_DSN",))
    policy = Policy(
        max_items=100,
        max_bytes=1_000_000,  # one event, or one span, may have 1 MiB
        retry=TRANSIENT - {429},  # Sentry requires clients to drop it
        split=frozenset({400, 413}),
    )
    hints: ClassVar[Mapping[str, str]] = {
        "403": "forbidden: check SENTRY_DSN",
        "404": "not found: check SENTRY_DSN; a self-hosted server must support OTLP",
        "rate_limit": "Sentry asked for a pause (X-Sentry-Rate-Limits)",
    }

    def __init__(
        self,
        dsn: str | None = None,
        *,
        environment: str | None = None,
        release: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            dsn: `https://{key}@{host}/{project}`, else SENTRY_DSN.
            environment: default SENTRY_ENVIRONMENT, else the resource's.
            release: default SENTRY_RELEASE, else `service.version`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.environment = environment or self.env.get("SENTRY_ENVIRONMENT")
        self.release = release or self.env.get("SENTRY_RELEASE")
        self.error_rate = self._rate("SENTRY_API_SAMPLE_RATE")
        self.trace_rate = self._rate("SENTRY_API_TRACE_RATE")
        self.person = self.content = self.flag("SENTRY_SEND_DEFAULT_PII", default=True)
        self.paused = Limits()
        self.started_calls: OrderedDict[str, tuple[JSON, ...]] = OrderedDict()  # by trace
        if (keys := self.credentials(dsn=dsn)) is None:
            return
        read = read_dsn(keys[0].reveal())
        if read is None:
            self.disable("SENTRY_DSN is not https://KEY@HOST/PROJECT", "copy it again from Sentry")
        elif base := self.base_url(read.url):
            auth = f"sentry_key={read.key.reveal()}, sentry_version=7"
            client = f"sentry_client=litespan/{VERSION}"
            self.connect(base, {"X-Sentry-Auth": Secret(f"Sentry {auth}, {client}")})

    @classmethod
    def variables_for(cls, url: str, secret: str) -> dict[str, str]:
        """The DSN of project 1 at `url`."""
        scheme, _, host = url.partition("://")
        return {"SENTRY_DSN": f"{scheme}://{secret}@{host}/1"}

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """Attributes to change in the copy, with environment and release."""
        found = attributes(span)
        found["sentry.environment"], found["sentry.release"] = self._program(span)
        if not self.person:
            people = [name for name, value in found.items() if names_person(span, value)]
            found |= dict.fromkeys((*PERSON, *people, s.FOR_EMBEDDINGS_INPUT))
            found |= without_content(span)
        return found

    def kept(self, view: GenAISpan) -> dict[str, Any]:
        """None: `attributes` has all of them."""
        return {}

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """A copy of each GenAI span, and an event for each failed call."""
        for span in spans:
            with suppress_errors("export.sentry.mapping"):
                view = GenAISpan.read(span)
                if view is None or not self.takes(span):
                    continue
                if sampled(span, self.trace_rate):
                    yield Item(view.key_text, self.copy(span, view), path=TRACES)
                if view.error and view.is_call and sampled(span, self.error_rate):
                    yield self._event(view)

    def _event(self, span: GenAISpan) -> Item:
        before = self.started_calls.get(span.trace_id, ())
        environment, release = self._program(span)
        fields = to_event(span, environment, release, before, person=self.person)
        key = f"event:{span.key_text}"
        # A separate group, because an envelope has one event.
        return Item(key, dumps(fields), ENVELOPE, _ENVELOPE, group=span.key.hex)

    def export_started(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Remember started calls as breadcrumbs for errors in their trace."""
        for span in spans:
            with suppress_errors("export.sentry.started"):
                view = GenAISpan.read(span)
                if view is not None and view.is_call:
                    crumbs = (
                        *self.started_calls.pop(view.trace_id, ()),
                        input_crumb(view, self.person),
                    )
                    self.started_calls[view.trace_id] = crumbs[-_CALLS_REMEMBERED:]
                    if len(self.started_calls) > _TRACES_REMEMBERED:
                        self.started_calls.popitem(last=False)
        return SpanExportResult.SUCCESS

    def encode(self, items: Sequence[Item]) -> bytes:
        """An OTLP request, or one event in its envelope."""
        if items[0].path == TRACES:
            return super().encode(items)
        return envelope(items[0].group, items[0].data)

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut content of a span or an event."""
        if item.path == TRACES:
            return super().shrink(item, excess)
        return HttpExporter.shrink(self, item, excess)

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Partial success of OTLP."""
        return super().refusals(answer, items) if items[0].path == TRACES else ()

    def on_answer(self, answer: Answer) -> None:
        """Update the rate limits."""
        self.paused.update(answer)

    def forbidden(self, batch: Batch) -> str:
        """Drop rate-limited items, as Sentry requires of SDKs."""
        return "rate_limit" if self.paused.is_limited(batch.path) else ""

    def _program(self, span: GenAISpan) -> tuple[str | None, str | None]:
        """Environment and release."""
        environment = environment_name(self.environment or span.service.environment)
        return environment, release_name(self.release or span.service.version)

    def _rate(self, variable: str) -> float:
        text = self.variable(variable) or "1"
        rate = number(text)
        if 0 <= rate <= 1:
            return rate
        log_once(f"{variable}:{text}", "%s is not a number from 0 to 1: using 1", variable)
        return 1.0
