"""Langfuse over OTLP, with attributes for what it does not read from the conventions.

https://langfuse.com/integrations/native/opentelemetry (seen 2026-11-20)
"""

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
from litespan.genai.ancestors import Ancestors, Keep, Lineage, SpanIds, Summary, ids_of
from litespan.genai.content import is_message
from litespan.genai.conventions import TOTALS
from litespan_exporters.langfuse.span import INPUT, OUTPUT, REPLACED, attributes, environment

OTHER_SPANS: Final = "LITESPAN_LANGFUSE_OTHER_SPANS"
"""Which other spans Langfuse receives: ancestors (default), all or none."""

_ENVIRONMENT: Final = "langfuse.environment"
_RELEASE: Final = "langfuse.release"
_TOOL_NAME: Final = "gen_ai.tool.name"  # on a model call it would rename the span
_TRACE_NAME: Final = "langfuse.trace.name"
_TOP: Final = "langfuse.internal.is_app_root"
"""Marks the topmost span of a process, as Langfuse's own SDK does. Without it, traces that start in
another process are missing from the list of traces."""

_KEEP: Final[Mapping[str, Keep]] = {
    "ancestors": lambda _span, summary, _awaited: summary is not None,
    "all": lambda _span, _summary, _awaited: True,
    "none": lambda _span, _summary, _awaited: False,
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
        split=frozenset({400, 413}),  # one invalid span fails the batch
    )
    hints: ClassVar[Mapping[str, str]] = {
        "403": "forbidden: the keys lack permission, or the plan's usage limit is reached",
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
        """Arguments take precedence over the environment.

        Args:
            public_key: `pk-lf-…`; default LANGFUSE_PUBLIC_KEY.
            secret_key: `sk-lf-…`; default LANGFUSE_SECRET_KEY.
            base_url: the server; default LANGFUSE_OTEL_HOST, LANGFUSE_BASE_URL, LANGFUSE_HOST,
                else the EU cloud.
            environment: default LANGFUSE_TRACING_ENVIRONMENT, else the resource's.
            release: default LANGFUSE_RELEASE, else `service.version`.
            other_spans: `ancestors` of GenAI spans, `all` or `none`; default
                LITESPAN_LANGFUSE_OTHER_SPANS.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.environment = environment or self.env.get("LANGFUSE_TRACING_ENVIRONMENT")
        self.release = release or self.env.get("LANGFUSE_RELEASE")
        self.others = (other_spans or self.variable(OTHER_SPANS) or "ancestors").strip().lower()
        keep = _KEEP.get(self.others, _KEEP["none"])
        self.ancestors = Ancestors(keep, awaits=self.others != "none")
        if not self.flag("LANGFUSE_TRACING_ENABLED", default=True):
            self.disable("LANGFUSE_TRACING_ENABLED is false", "unset it to send")
            return
        if self.others not in _KEEP:
            self.disable(f"{OTHER_SPANS} is invalid", "set it to ancestors, all or none")
            return
        keys = self.credentials(public_key=public_key, secret_key=secret_key)
        base = self.base_url(base_url)
        if keys and base:
            public, secret = keys
            pair = Secret(f"{public.reveal()}:{secret.reveal()}")
            base = base.removesuffix("/v1/traces").removesuffix("/api/public/otel")
            self.connect(
                f"{base}/api/public/otel/v1/traces",
                {
                    "Authorization": pair.basic(),
                    "x-langfuse-public-key": public,
                    "x-langfuse-sdk-name": "litespan",
                    "x-langfuse-sdk-version": VERSION,
                    "x-langfuse-ingestion-version": "4",  # else delayed by 10 minutes
                },
            )

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans as enriched copies, and other spans as configured."""
        calls: dict[SpanIds, tuple[str, dict[str, Any]]] = {}
        summaries: dict[SpanIds, Summary] = {}
        valid = []
        for span in spans:
            with suppress_errors(f"export.{self.name}.mapping"):
                view = GenAISpan.read(span)
                if view is None:
                    valid += [span] if is_valid(span) else []
                elif self.takes(span):
                    key, fields = ids_of(span.context), self._call(view)
                    calls[key], summaries[key] = (view.key_text, fields), _summary(span, fields)
                    valid.append(span)
        lineage = self.ancestors.find(valid, summaries)
        for key, (name, fields) in calls.items():
            span = lineage.ended[key]
            with suppress_errors(f"export.{self.name}.mapping"):
                yield Item(name, copy_of(span, _with_trace_name(fields, span, lineage)))
        for key, summary in lineage.kept.items():
            span = lineage.ended[key]
            with suppress_errors(f"export.{self.name}.mapping"):
                yield item_of(
                    copy_of(span, _with_trace_name(self._structure(span, summary), span, lineage))
                )

    def _call(self, view: GenAISpan) -> dict[str, Any]:
        own = {**self.kept(view), **attributes(view), **self._program(view.service)}
        return {**own, **_langfuse_attributes(view.attributes)}

    def kept(self, view: GenAISpan) -> dict[str, Any]:
        """Attributes that Langfuse shows as metadata."""
        others = view.scope != s.SCOPE
        dropped = (s.METADATA_PREFIX, *(TOTALS if others and not view.is_call else ()))
        return {
            name: value
            for name, value in super().kept(view).items()
            if not name.startswith(dropped)
            and not (others and view.is_call and (name == _TOOL_NAME or is_message(name)))
        }

    def _program(self, service: Service) -> dict[str, Any]:
        """Environment and release from settings, Langfuse attributes or the resource."""
        names = service.attributes
        where = self.environment or names.get(_ENVIRONMENT) or service.environment
        release = self.release or names.get(_RELEASE) or service.version
        return {_ENVIRONMENT: environment(str(where or "")), _RELEASE: release}

    def _structure(self, span: ReadableSpan, summary: Summary | None) -> dict[str, Any]:
        """An ancestor of calls, with their first input and last output.

        Router spans have model attributes but are no generations. A user on an ancestor would
        replace the user of the call.
        """
        own = span.attributes or {}
        fields: dict[str, Any] = {**own}
        if is_router(span):
            fields["langfuse.observation.type"] = "span"
        if summary is not None:
            fields |= {
                INPUT: summary.input,
                OUTPUT: summary.output,
                _TRACE_NAME: summary.trace_name,
            }
            if summary.user is not None:
                fields[s.USER_ID] = None
        return {
            **fields,
            **self._program(readers.service(span.resource)),
            **_langfuse_attributes(own),
        }


def _summary(span: ReadableSpan, fields: Mapping[str, Any]) -> Summary:
    """The data of a GenAI span for the spans above it."""
    names = (INPUT, OUTPUT, _TRACE_NAME, s.USER_ID)
    texts = [value if isinstance(value := fields.get(name), str) else None for name in names]
    return Summary(span.start_time or 0, span.end_time or 0, *texts)


def _with_trace_name(
    fields: dict[str, Any], span: ReadableSpan, lineage: Lineage
) -> dict[str, Any]:
    """`fields`, with the mark and the trace name if the span is the topmost one."""
    if lineage.parent(span) is None:
        return {**fields, _TRACE_NAME: fields.get(_TRACE_NAME) or span.name, _TOP: True}
    return fields


def _langfuse_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """`langfuse.*` attributes that the user or Langfuse's SDK set; they take precedence."""
    own = {name: value for name, value in attributes.items() if name.startswith("langfuse.")}
    if _ENVIRONMENT in own:
        own[_ENVIRONMENT] = environment(str(own[_ENVIRONMENT]))
    return own
