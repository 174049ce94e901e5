"""Langfuse: OpenTelemetry spans, enriched so that nothing is lost on the way in.

https://langfuse.com/integrations/native/opentelemetry (seen 2026-11-20)
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.export import (
    TRANSIENT,
    VERSION,
    GenAISpan,
    Item,
    OtlpExporter,
    Policy,
    Secret,
    Service,
    Variables,
    copy_of,
    is_router,
    is_valid,
    item_of,
    suppress_errors,
)
from litespan.genai import readers
from litespan.genai.ancestors import Ancestors, Descendants, Keep, Lineage, SpanIds, ids_of
from litespan.genai.content import is_content
from litespan_exporters.langfuse.span import INPUT, OUTPUT, REPLACED, attributes, environment

OTHER_SPANS: Final = "LITESPAN_LANGFUSE_OTHER_SPANS"
"""Which spans that are not GenAI spans Langfuse gets: ancestors (default), all or none."""

_ENVIRONMENT: Final = "langfuse.environment"
_RELEASE: Final = "langfuse.release"
_TOOL_NAME: Final = "gen_ai.tool.name"  # on a call of a model it would rename the span
_TRACE_NAME: Final = "langfuse.trace.name"
_TOP: Final = "langfuse.internal.is_app_root"
"""Marks the topmost span that Langfuse gets of a program, as its own SDK does. Without it a trace
whose first span is another program's is missing from the list of traces."""

_KEEPS: Final[Mapping[str, Keep]] = {
    "ancestors": lambda _span, below, _awaited: below is not None,
    "all": lambda _span, _below, _awaited: True,
    "none": lambda _span, _below, _awaited: False,
}


class LangfuseExporter(OtlpExporter):
    """Sends GenAI spans, and the spans above them, to Langfuse.

    Reads LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY, LANGFUSE_BASE_URL. Also LANGFUSE_OTEL_HOST,
    LANGFUSE_HOST, LANGFUSE_TRACING_ENVIRONMENT, LANGFUSE_RELEASE, LANGFUSE_TRACING_ENABLED and
    LITESPAN_LANGFUSE_OTHER_SPANS.
    """

    name: ClassVar[str] = "langfuse"
    shows_routers: ClassVar[bool] = True
    variables = Variables(
        keys=("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"),
        url=("LANGFUSE_OTEL_HOST", "LANGFUSE_BASE_URL", "LANGFUSE_HOST"),
        default_url="https://cloud.langfuse.com",
    )
    policy = Policy(
        max_bytes=15_000_000,  # the server complains above 16 MB
        gzip=True,
        retry=TRANSIENT | {501, 505, 507, 508, 511, 520, 521, 522, 523, 524},
        split=frozenset({400, 413}),  # one bad span is a 400 for all
    )
    hints: ClassVar[Mapping[str, str]] = {
        "403": "forbidden: the keys lack the right, or the plan's usage limit is reached",
        "404": "not found: check LANGFUSE_BASE_URL; a self-hosted server needs 3.22 or newer",
    }
    replaced = REPLACED

    def __init__(
        self,
        public_key: str | None = None,
        secret_key: str | None = None,
        base_url: str | None = None,
        *,
        environment: str | None = None,
        release: str | None = None,
        other_spans: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments win over the environment.

        Args:
            public_key: `pk-lf-…`, else LANGFUSE_PUBLIC_KEY.
            secret_key: `sk-lf-…`, else LANGFUSE_SECRET_KEY.
            base_url: the server, else LANGFUSE_OTEL_HOST, LANGFUSE_BASE_URL, LANGFUSE_HOST,
                else the EU cloud.
            environment: else LANGFUSE_TRACING_ENVIRONMENT, else the resource's.
            release: else LANGFUSE_RELEASE, else `service.version`.
            other_spans: `ancestors` of GenAI spans, `all` or `none`, else
                LITESPAN_LANGFUSE_OTHER_SPANS.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.environment = environment or self.env.get("LANGFUSE_TRACING_ENVIRONMENT")
        self.release = release or self.env.get("LANGFUSE_RELEASE")
        self.others = (other_spans or self.variable(OTHER_SPANS) or "ancestors").strip().lower()
        keeps = _KEEPS.get(self.others, _KEEPS["none"])
        self.ancestors = Ancestors(keeps, awaits=self.others != "none")
        if not self.flag("LANGFUSE_TRACING_ENABLED", default=True):
            self.disable("LANGFUSE_TRACING_ENABLED is false", "unset it to send")
            return
        if self.others not in _KEEPS:
            self.disable(f"{OTHER_SPANS} is not ancestors, all or none", "fix it")
            return
        keys = self.credentials(public_key=public_key, secret_key=secret_key)
        base = self.base_url(base_url)
        if keys and base:
            public, secret = keys
            pair = f"{public.reveal()}:{secret.reveal()}"
            base = base.removesuffix("/v1/traces").removesuffix("/api/public/otel")
            self.connect(
                f"{base}/api/public/otel/v1/traces",
                {
                    "Authorization": Secret("Basic " + base64.b64encode(pair.encode()).decode()),
                    "x-langfuse-public-key": public,
                    "x-langfuse-sdk-name": "litespan",
                    "x-langfuse-sdk-version": VERSION,
                    "x-langfuse-ingestion-version": "4",  # without it, ten minutes of delay
                },
            )

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans as enriched copies, other spans by choice."""
        calls: dict[SpanIds, tuple[str, dict[str, Any]]] = {}
        said: dict[SpanIds, Descendants] = {}
        valid = []
        for span in spans:
            with suppress_errors(f"export.{self.name}.mapping"):
                view = GenAISpan.read(span)
                if view is None:
                    valid += [span] if is_valid(span) else []
                elif self.takes(span):
                    key, told = ids_of(span.context), self._call(view)
                    calls[key], said[key] = (str(view.key), told), _below(span, told)
                    valid.append(span)
        lineage = self.ancestors.find(valid, said)
        for key, (name, told) in calls.items():
            span = lineage.ended[key]
            with suppress_errors(f"export.{self.name}.mapping"):
                yield Item(name, copy_of(span, _named(told, span, lineage)))
        for key, below in lineage.kept.items():
            span = lineage.ended[key]
            with suppress_errors(f"export.{self.name}.mapping"):
                yield item_of(copy_of(span, _named(self._structure(span, below), span, lineage)))

    def _call(self, view: GenAISpan) -> dict[str, Any]:
        own = {**self.kept(view), **attributes(view), **self._program(view.service)}
        return {**own, **_said(view.attributes)}

    def kept(self, view: GenAISpan) -> dict[str, Any]:
        """What Langfuse shows among an observation's metadata."""
        foreign = view.scope != s.SCOPE and view.is_call
        return {
            name: value
            for name, value in super().kept(view).items()
            if not name.startswith(s.METADATA_PREFIX)
            and not (foreign and (name == _TOOL_NAME or is_content(name)))
        }

    def _program(self, service: Service) -> dict[str, Any]:
        """What runs: by our settings, else by Langfuse's names for it, else by OpenTelemetry's."""
        names = service.attributes
        where = self.environment or names.get(_ENVIRONMENT) or service.environment
        release = self.release or names.get(_RELEASE) or service.version
        return {_ENVIRONMENT: environment(str(where or "")), _RELEASE: release}

    def _structure(self, span: ReadableSpan, below: Descendants | None) -> dict[str, Any]:
        """A span above calls, with the first input and the last output of these.

        The router's span holds model attributes, but is no generation. A user on a span above
        would replace the user of the call.
        """
        own = span.attributes or {}
        told: dict[str, Any] = {**own}
        if is_router(span):
            told["langfuse.observation.type"] = "span"
        if below is not None:
            told |= {INPUT: below.input, OUTPUT: below.output, _TRACE_NAME: below.trace_name}
            if below.user is not None:
                told[s.USER_ID] = None
        return {**told, **self._program(readers.service(span.resource)), **_said(own)}


def _below(span: ReadableSpan, told: Mapping[str, Any]) -> Descendants:
    """What the spans above a GenAI span get to know of it."""
    names = (INPUT, OUTPUT, _TRACE_NAME, s.USER_ID)
    texts = [value if isinstance(value := told.get(name), str) else None for name in names]
    return Descendants(span.start_time or 0, span.end_time or 0, *texts)


def _named(told: dict[str, Any], span: ReadableSpan, lineage: Lineage) -> dict[str, Any]:
    """`told`, with the mark and the trace's name if the span is the topmost that is sent."""
    if lineage.parent(span) is None:
        return {**told, _TRACE_NAME: told.get(_TRACE_NAME) or span.name, _TOP: True}
    return told


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the span says in Langfuse's words, by the user or by Langfuse's SDK, stands."""
    said = {name: value for name, value in attributes.items() if name.startswith("langfuse.")}
    if _ENVIRONMENT in said:
        said[_ENVIRONMENT] = environment(str(said[_ENVIRONMENT]))
    return said
