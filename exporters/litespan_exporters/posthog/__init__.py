"""PostHog LLM analytics, by OTLP; by its capture API where a server is too old for that.

https://posthog.com/docs/llm-analytics/installation/opentelemetry (seen 2026-11-20), and the
checks of the service that receives it: https://github.com/PostHog/posthog, `rust/capture`.
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
"""How: `otlp` (default), or `batch` for servers without PostHog's OTLP endpoint."""

OTLP: Final = "/i/v0/ai/otel"  # exactly: no `/v1/traces`
BATCH: Final = "/batch/"

KNOWN: Final = ("chat", "embeddings")
"""The operations that PostHog takes for calls of models; all others are spans to it."""

FOREIGN: Final = ("traceloop.", "llm.", "ai.", "eve.", "pydantic_ai.", "openinference.")
"""Attributes that would have the span read by the rules of another instrumentation."""

_MOST_OF_AN_EVENT: Final = 900_000  # bytes of the JSON that the server makes of a span
_BESIDES: Final = 4_000  # bytes of it that are ids, times and names
_SMALL: Final = _MOST_OF_AN_EVENT // 7  # characters; one takes at most six bytes: \u0000


def attributes(span: GenAISpan) -> dict[str, Any]:
    """What PostHog's copy of the span has that differs from the span. Pure."""
    return {
        **renamed_attributes(span),
        **{name: None for name in span.attributes if name.startswith(FOREIGN)},
        s.OPERATION: classified(span),
        "posthog.distinct_id": span.identity.user,
        "$ai_tools": to_text(tools) if (tools := openai.tools(span)) else None,
        **common(span),
    }


def classified(span: GenAISpan) -> str:
    """The operation, and of a call one that makes it a generation, with its cost."""
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
        max_items=100,  # one more is a 400 for all of them
        max_bytes=4_000_000,
        split=frozenset({400, 413}),
    )
    hints: ClassVar[Mapping[str, str]] = {
        "400": "refused: a span against PostHog's rules, or the quota is used up",
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
        """Arguments win over the environment.

        Args:
            api_key: of the project, `phc_…`; else POSTHOG_API_KEY, POSTHOG_PROJECT_API_KEY,
                POSTHOG_PROJECT_TOKEN.
            base_url: else POSTHOG_API_URL, POSTHOG_HOST, else the US cloud.
            route: `otlp` or `batch`, else LITESPAN_POSTHOG_ROUTE, else `otlp`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.route = (route or self.variable(ROUTE)).strip().lower() or "otlp"
        self.key: Secret | None = None
        if self.route not in ("otlp", "batch"):
            self.disable(f"{ROUTE} is neither otlp nor batch", "fix it")
            return
        others = ("POSTHOG_API_KEY", "POSTHOG_PROJECT_API_KEY", "POSTHOG_PROJECT_TOKEN")
        keys = self.credentials(api_key=api_key or self.variable(*others) or None)
        base = None
        if keys:
            base = self.base_url(base_url)
        if keys and base:
            (self.key,) = keys
            base = ingestion(base.removesuffix(OTLP))
            if self.route == "batch":
                # By name, so that an answer that echoes the key is scrubbed.
                HttpExporter.connect(self, base + BATCH, {"Authorization": self._bearer()})
            else:
                self.connect(base + OTLP, {"Authorization": self._bearer()})

    def _bearer(self) -> Secret:
        return Secret(f"Bearer {self.key.reveal() if self.key else ''}")

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """`attributes(span)`."""
        return attributes(span)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """The GenAI spans, none of them larger than PostHog takes."""
        if self.route == "batch":
            yield from map(self._fit, HttpExporter.items(self, spans))
        else:
            yield from map(self._fit, super().items(spans))

    def item(self, span: GenAISpan) -> Item:
        """An event of the capture API."""
        return Item(str(span.key), dumps(to_event(span)))

    def encode(self, items: Sequence[Item]) -> bytes:
        """An OTLP request, or a batch of events; the latter holds the project's key."""
        if self.route == "otlp":
            return super().encode(items)
        key = dumps(self.key.reveal() if self.key else "")
        batch = b",".join([item.data for item in items])
        return b'{"api_key":%b,"historical_migration":false,"batch":[%b]}' % (key, batch)

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Less content, by either route."""
        if self.route == "batch":
            return HttpExporter.shrink(self, item, excess)
        return super().shrink(item, excess)

    def _fit(self, item: Item) -> Item:
        """`item`, with its content cut if it is larger than one event may be."""
        if _characters(item.data) < _SMALL:
            return item
        fitting: Item | None = item
        while fitting is not None and (size := _bytes(fitting.data)) > _MOST_OF_AN_EVENT:
            fitting = self.shrink(fitting, size - _MOST_OF_AN_EVENT)
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
    return sum([_length(value) for value in (data.attributes or {}).values()])


def _length(value: Any) -> int:
    if isinstance(value, list | tuple):
        return sum(map(_length, value))
    return len(value) if isinstance(value, str) else 100


def _bytes(data: Any) -> int:
    """What the event takes as JSON, in which the JSON text of a span's attributes stays text."""
    if isinstance(data, bytes):
        return len(data) + _BESIDES
    told = {**data.resource.attributes, **(data.attributes or {})}
    return len(dumps(plain(told))) + _BESIDES


def ingestion(url: str) -> str:
    """`url`, where events go if it is the address of the UI."""
    parts = urlsplit(url)
    regions = {f"{region}.posthog.com": region for region in ("us", "eu")}
    regions["app.posthog.com"] = "us"
    if (region := regions.get(parts.hostname or "")) is None:
        return url
    return f"{parts.scheme}://{region}.i.posthog.com"
