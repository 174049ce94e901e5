"""PostHog LLM analytics over OTLP, or its capture API for older servers.

https://posthog.com/docs/llm-analytics/installation/opentelemetry (seen 2026-11-20), and the
source of the receiving service: https://github.com/PostHog/posthog, `rust/capture`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.export import (
    GenAISpan,
    HttpExporter,
    Item,
    OtlpExporter,
    Policy,
    Secret,
    Variables,
    count,
    dumps,
    log_once,
    openai,
    plain,
    renamed_attributes,
    to_text,
)
from litespan_exporters.posthog.event import common, to_event

ROUTE: Final = "LITESPAN_POSTHOG_ROUTE"
"""`otlp` (default), or `batch` for servers without an OTLP endpoint."""

OTLP: Final = "/i/v0/ai/otel"  # exactly: no `/v1/traces`
BATCH: Final = "/batch/"

KNOWN: Final = ("chat", "embeddings")
"""Operations that PostHog treats as model calls; others are spans."""

FOREIGN: Final = ("traceloop.", "llm.", "ai.", "eve.", "pydantic_ai.", "openinference.")
"""Prefixes of attributes that make PostHog apply another instrumentation's rules."""

_MAX_EVENT: Final = 900_000  # bytes of the JSON that the server creates from a span
_OVERHEAD: Final = 4_000  # bytes for ids, times and names
_SMALL: Final = _MAX_EVENT // 7  # characters, at up to six bytes each: \u0000


def attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes to change in PostHog's copy of the span. Pure."""
    return {
        **renamed_attributes(span),
        **{name: None for name in span.attributes if name.startswith(FOREIGN)},
        s.OPERATION: classified(span),
        "posthog.distinct_id": span.identity.user,
        "$ai_tools": to_text(tools) if (tools := openai.tools(span)) else None,
        **common(span),
    }


def classified(span: GenAISpan) -> str:
    """The operation; `chat` for model calls that PostHog would not treat as generations."""
    return span.operation if span.operation in KNOWN or not span.is_call else "chat"


class PosthogExporter(OtlpExporter):
    """Sends GenAI spans to PostHog.

    Reads POSTHOG_API_KEY, POSTHOG_HOST. Also POSTHOG_PROJECT_API_KEY, POSTHOG_PROJECT_TOKEN,
    POSTHOG_API_URL and LITESPAN_POSTHOG_ROUTE.
    """

    name: ClassVar[str] = "posthog"
    variables = Variables(
        keys=("POSTHOG_API_KEY",),
        url=("POSTHOG_API_URL", "POSTHOG_HOST"),
        default_url="https://us.i.posthog.com",
    )
    policy = Policy(
        max_items=100,  # PostHog rejects larger batches with a 400
        max_bytes=4_000_000,
        split=frozenset({400, 413}),
    )
    hints: ClassVar[Mapping[str, str]] = {
        "400": "rejected: an invalid span, or the quota is exhausted",
        "404": f"not found: check POSTHOG_API_URL; for an older server set {ROUTE}=batch",
    }

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        route: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: the project's, `phc_…`; default POSTHOG_API_KEY, POSTHOG_PROJECT_API_KEY,
                POSTHOG_PROJECT_TOKEN.
            base_url: default POSTHOG_API_URL, POSTHOG_HOST, else the US cloud.
            route: `otlp` or `batch`; default LITESPAN_POSTHOG_ROUTE, else `otlp`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.route = (route or self.variable(ROUTE)).strip().lower() or "otlp"
        self.key: Secret | None = None
        if self.route not in ("otlp", "batch"):
            self.disable(f"{ROUTE} is invalid", "set it to otlp or batch")
            return
        others = ("POSTHOG_API_KEY", "POSTHOG_PROJECT_API_KEY", "POSTHOG_PROJECT_TOKEN")
        keys = self.credentials(api_key=api_key or self.variable(*others) or None)
        if keys and (base := self.base_url(base_url)):
            (self.key,) = keys
            headers = {"Authorization": self.key.bearer()}
            base = ingestion(base.removesuffix(OTLP))
            if self.route == "batch":
                # By class, to skip the protobuf content type of `OtlpExporter`.
                HttpExporter.connect(self, base + BATCH, headers)
            else:
                self.connect(base + OTLP, headers)

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """Attributes to add to the copy."""
        return attributes(span)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans within PostHog's size limit."""
        if self.route == "batch":
            yield from map(self._fit, HttpExporter.items(self, spans))
        else:
            yield from map(self._fit, super().items(spans))

    def item(self, span: GenAISpan) -> Item:
        """An event for the capture API."""
        return Item(span.key_text, dumps(to_event(span)))

    def encode(self, items: Sequence[Item]) -> bytes:
        """An OTLP request, or a batch of events with the project's key."""
        if self.route == "otlp":
            return super().encode(items)
        key = dumps(self.key.reveal() if self.key else "")
        batch = b",".join([item.data for item in items])
        return b'{"api_key":%b,"historical_migration":false,"batch":[%b]}' % (key, batch)

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut content."""
        if self.route == "batch":
            return HttpExporter.shrink(self, item, excess)
        return super().shrink(item, excess)

    def _fit(self, item: Item) -> Item:
        """`item`, truncated to the maximum size of an event."""
        if _characters(item.data) < _SMALL:
            return item
        fitting: Item | None = item
        while fitting is not None and (size := _bytes(fitting.data)) > _MAX_EVENT:
            fitting = self.shrink(fitting, size - _MAX_EVENT)
        if fitting is None or fitting is item:
            return item
        count("export.posthog.truncated")
        log_once(
            "export.posthog.cut",
            "posthog: content was truncated to the size limit of the service (logged once)",
        )
        return fitting


def _characters(data: Any) -> int:
    if isinstance(data, bytes):
        return len(data)
    values = (data.attributes or {}).values()
    return sum([len(value) if type(value) is str else _length(value) for value in values])


def _length(value: Any) -> int:
    if isinstance(value, list | tuple):
        return sum(map(_length, value))
    return len(value) if isinstance(value, str) else 100


def _bytes(data: Any) -> int:
    """The size of the event as JSON; JSON text in attributes stays text."""
    if isinstance(data, bytes):
        return len(data) + _OVERHEAD
    fields = {**data.resource.attributes, **(data.attributes or {})}
    return len(dumps(plain(fields))) + _OVERHEAD


def ingestion(url: str) -> str:
    """The URL for events if `url` is that of the UI, else `url`."""
    parts = urlsplit(url)
    regions = {f"{region}.posthog.com": region for region in ("us", "eu")}
    regions["app.posthog.com"] = "us"
    if (region := regions.get(parts.hostname or "")) is None:
        return url
    return f"{parts.scheme}://{region}.i.posthog.com"
