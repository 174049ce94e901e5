"""Langfuse: OpenTelemetry spans, enriched so that nothing is lost on the way in.

https://langfuse.com/integrations/native/opentelemetry (seen 2026-11-20). Langfuse reads the
GenAI conventions, but not the cost split, the first chunk's time, tags, tool calls in
message parts; those travel in its own `langfuse.*` attributes.
"""

import base64
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan

from litespan import __version__
from litespan import semconv as s
from litespan.export import GenAISpan, Usage, is_genai, is_router, openai
from litespan.export.batching import Item, to_text
from litespan.export.content import is_content
from litespan.export.conventions import PARAMETERS
from litespan.export.http import Variables
from litespan.export.otlp import OtlpExporter, copy_of, is_valid, item_of
from litespan.export.policy import TRANSIENT, Policy
from litespan.export.values import JSON
from litespan.export.wire import Secret
from litespan.quiet import quiet
from litespan_exporters._ancestors import Ancestors
from litespan_exporters._times import iso

OTHER_SPANS: Final = "LITESPAN_LANGFUSE_OTHER_SPANS"
"""Which spans that are not GenAI spans Langfuse gets: ancestors (default), all or none."""

TYPES: Final = {
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "plan": "chain",
    "retrieval": "retriever",
}
"""Operation → observation type; a call of a model is a generation."""

_AGE: Final = 1e9  # s; nobody waited longer
_VERSION: Final = re.compile("[0-9]{1,9}")  # of a prompt: a number, by Langfuse


def attributes(span: GenAISpan) -> dict[str, Any]:
    """What Langfuse is told of a GenAI span beyond what it reads by itself. Pure."""
    who, call = span.identity, span.call
    kind = TYPES.get(span.operation, "generation")
    added: dict[str, Any] = {
        "langfuse.observation.type": kind,
        "langfuse.observation.model.name": span.model,
        "langfuse.observation.model.parameters": _json(openai.parameters(span)),
        "langfuse.observation.usage_details": _json(usage_details(span.usage)),
        "langfuse.observation.cost_details": _json(cost_details(span)),
        "langfuse.observation.completion_start_time": completion_start_time(span),
        "langfuse.observation.input": _json(_input(span)),
        "langfuse.observation.output": _json(openai.answered(span)),
        "langfuse.observation.metadata.litellm_call_id": call.id,
        "langfuse.observation.metadata.provider": span.provider,
        "langfuse.trace.name": who.metadata.get("trace_name"),
        "langfuse.trace.tags": list(who.tags) or None,
        **{f"langfuse.trace.metadata.{k}": v for k, v in who.metadata.items()},
        s.USER_ID: who.user,
        s.SESSION_ID: who.session,
        **_level(span),
    }
    if kind in ("agent", "tool", "retriever", "chain"):  # their calls carry usage and cost
        for name in ("model.name", "usage_details", "cost_details"):
            del added[f"langfuse.observation.{name}"]
    if kind == "generation" and _VERSION.fullmatch(span.request.prompt_version or ""):
        added["langfuse.observation.prompt.name"] = span.request.prompt_name
        added["langfuse.observation.prompt.version"] = int(span.request.prompt_version or 0)
    return added


REPLACED: Final = frozenset(
    {
        *(s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS),
        *(s.INPUT_TOKENS, s.OUTPUT_TOKENS, s.REASONING_TOKENS),
        *(s.CACHE_READ_TOKENS, s.CACHE_CREATION_TOKENS, s.CACHE_WRITE_TOKENS),
        *(s.COST, s.COST_TOTAL, s.COST_INPUT, s.COST_OUTPUT),
        *(s.TAGS, s.CALL_ID, s.PROVIDER, s.CONVERSATION_ID),
        *PARAMETERS.values(),
    }
)
"""What `attributes` says in Langfuse's own words travels once; metadata do, too."""

_TOOL_NAME: Final = "gen_ai.tool.name"  # on a call of a model it would rename the span


def usage_details(usage: Usage) -> dict[str, JSON]:
    """Tokens that add up to the total: Langfuse's `input` has no cached tokens in it."""
    cached, written = usage.cache_read or 0, usage.cache_creation or 0
    reasoning = usage.reasoning or 0
    details = {
        "input": None if usage.input is None else max(usage.input - cached - written, 0),
        "input_cached_tokens": cached or None,
        "input_cache_creation": written or None,
        "output": None if usage.output is None else max(usage.output - reasoning, 0),
        "output_reasoning_tokens": reasoning or None,
    }
    known = {name: tokens for name, tokens in details.items() if tokens is not None}
    return {**known, "total": sum(known.values())} if known else {}


def cost_details(span: GenAISpan) -> dict[str, JSON]:
    """USD as JSON numbers; a string would be dropped without a word."""
    costs = {"input": span.cost.input, "output": span.cost.output, "total": span.cost.total}
    return {name: usd for name, usd in costs.items() if usd is not None}


def completion_start_time(span: GenAISpan) -> str | None:
    """When the first chunk came, as ISO 8601 in UTC; None unless it is a stream."""
    wait = span.response.time_to_first_chunk
    return None if wait is None else iso(span.start_ns + round(min(wait, _AGE) * 1e9))


def environment(name: str) -> str | None:
    """`name` as Langfuse takes it: lower case, `a-z0-9-_`, 40 characters, not `langfuse…`."""
    shaped = re.sub(r"[^a-z0-9_-]", "-", name.lower())
    while (bare := shaped.removeprefix("langfuse").lstrip("-_")) != shaped:
        shaped = bare
    return shaped[:40] or None


def _input(span: GenAISpan) -> JSON:
    asked, tools = openai.asked(span), openai.tools(span)
    return {"messages": asked, "tools": tools} if tools else asked


def _level(span: GenAISpan) -> dict[str, Any]:
    if span.error is not None:
        level, message = "ERROR", span.error.message or span.error.type
    elif span.call.outcome in ("cancelled", "abandoned"):
        level, message = "WARNING", span.call.outcome
    else:
        return {}
    return {
        "langfuse.observation.level": level,
        "langfuse.observation.status_message": message,
    }


def _json(value: JSON) -> str | None:
    return to_text(value) if value else None


class LangfuseExporter(OtlpExporter):
    """GenAI spans and the spans above them, to Langfuse's OpenTelemetry endpoint.

    Reads LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY, LANGFUSE_OTEL_HOST, LANGFUSE_BASE_URL,
    LANGFUSE_HOST, LANGFUSE_TRACING_ENVIRONMENT, LANGFUSE_RELEASE, LANGFUSE_TRACING_ENABLED
    and LITESPAN_LANGFUSE_OTHER_SPANS.
    """

    name: ClassVar[str] = "langfuse"
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
        "404": "no such path: check LANGFUSE_BASE_URL; a self-hosted server needs 3.22 or newer",
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
        self.environment = environment or os.environ.get("LANGFUSE_TRACING_ENVIRONMENT")
        self.release = release or os.environ.get("LANGFUSE_RELEASE")
        self.others = (other_spans or os.environ.get(OTHER_SPANS) or "ancestors").strip().lower()
        self.ancestors = Ancestors()
        if os.environ.get("LANGFUSE_TRACING_ENABLED", "").strip().lower() in ("false", "0"):
            self.off("LANGFUSE_TRACING_ENABLED is false", "unset it to send")
            return
        if self.others not in ("ancestors", "all", "none"):
            self.off(f"{OTHER_SPANS} is not ancestors, all or none", "mend it")
            return
        keys, base = self.credentials(public_key, secret_key), self.base_url(base_url)
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
                    "x-langfuse-sdk-version": __version__,
                    "x-langfuse-ingestion-version": "4",  # without it, ten minutes of delay
                },
            )

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans as enriched copies, other spans by choice."""
        valid = [span for span in spans if is_valid(span)]
        yield from super().items(valid)
        if self.others == "none":
            return
        others = [span for span in valid if not is_genai(span)]
        for span in others if self.others == "all" else self.ancestors.among(valid):
            with quiet(f"export.{self.name}.mapping"):
                yield item_of(copy_of(span, {**(span.attributes or {}), **self._structure(span)}))

    def copy(self, span: ReadableSpan, view: GenAISpan) -> ReadableSpan:
        """The enriched copy. A call at the top names the trace; else the span above does."""
        added = {**attributes(view), **self._program(view)}
        if span.parent is None or span.parent.is_remote or self.others == "none":
            added["langfuse.trace.name"] = added["langfuse.trace.name"] or span.name
        return copy_of(span, {**self.kept(view), **added})

    def kept(self, view: GenAISpan) -> dict[str, Any]:
        """What Langfuse shows among an observation's metadata."""
        foreign = view.scope != s.SCOPE and view.is_call
        return {
            name: value
            for name, value in super().kept(view).items()
            if not name.startswith(s.METADATA_PREFIX)
            and not (foreign and (name == _TOOL_NAME or is_content(name)))
        }

    def _program(self, span: GenAISpan) -> dict[str, Any]:
        return {
            "langfuse.environment": environment(self.environment or span.service.environment or ""),
            "langfuse.release": self.release or span.service.version,
        }

    def _structure(self, span: ReadableSpan) -> dict[str, Any]:
        """The router parent holds model attributes, but is no generation."""
        program: dict[str, Any] = {}
        if self.environment:
            program["langfuse.environment"] = environment(self.environment)
        if is_router(span):
            program["langfuse.observation.type"] = "span"
        return program
