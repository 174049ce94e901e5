"""`ReadableSpan` → `GenAISpan`: one frozen, typed view of a finished GenAI span.

Exporters and stores read this view instead of attributes. So they support spans of litespan, the
official GenAI instrumentations, OpenLLMetry and OpenInference: `conventions.py` maps their names to
those in `litespan.semconv`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar, cast
from uuid import UUID

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import format_span_id, format_trace_id

from litespan import semconv as s
from litespan.genai import content, conventions, groups, messages, readers, translation
from litespan.genai.keys import key_text
from litespan.genai.values import Attributes, integer, string
from litespan.objects import JSON, plain

T = TypeVar("T")


def is_router(span: ReadableSpan) -> bool:
    """Whether this is litespan's `litellm.router …` or `litellm.session …` span.

    They are the parents of model calls.
    """
    return span.name.startswith((s.ROUTER_SPAN, s.SESSION_SPAN)) and _scope(span) == s.SCOPE


def is_genai(span: ReadableSpan) -> bool:
    """Whether this is a GenAI span of any supported instrumentation.

    GenAI spans are model calls, and tool, agent and retrieval spans of other instrumentations; see
    `GenAISpan.is_call`. Router spans are not GenAI spans.
    """
    return translation.is_genai(span.attributes or {})


@dataclass(frozen=True)
class GenAISpan:
    """A typed view of a finished GenAI span.

    The snapshot of a call that has only started has `end_ns` None and `call.outcome` "started".
    """

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    parent_span_id: str | None  # 16 hex digits
    name: str
    operation: str  # chat, embeddings, text_completion, execute_tool, …
    provider: str | None  # openai, anthropic, aws.bedrock, …
    start_ns: int  # since the epoch
    end_ns: int | None  # not before the start
    identity: groups.Identity
    request: groups.Request
    response: groups.Response
    usage: groups.Usage
    cost: groups.Cost
    error: groups.Error | None
    call: groups.Call
    service: groups.Service
    scope: str  # instrumentation scope: `litespan` for our own spans
    attributes: Attributes = field(repr=False)  # all, unchanged
    _named: Attributes = field(repr=False, compare=False)  # under the current names
    _events: tuple[Event, ...] = field(repr=False, compare=False)
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, span: ReadableSpan) -> "GenAISpan | None":
        """Read `span`; None if it is not a GenAI span. Never raises.

        Attribute values of a wrong type are ignored.
        """
        context = span.context
        attributes = _attributes(span)
        if context is None or not translation.is_genai(attributes):
            return None
        scope = _scope(span)
        events = tuple(span.events)
        start_ns = span.start_time or 0
        own = scope == s.SCOPE
        named = attributes if own else translation.rename(attributes, events, start_ns)
        error = readers.error(span, named, events, own=own)
        return readers.construct(
            cls,
            trace_id=format_trace_id(context.trace_id),
            span_id=format_span_id(context.span_id),
            parent_span_id=format_span_id(span.parent.span_id) if span.parent else None,
            name=span.name,
            operation=string(named, s.OPERATION) or "",
            provider=string(named, s.PROVIDER),
            start_ns=start_ns,
            end_ns=None if span.end_time is None else max(span.end_time, start_ns),
            identity=readers.identity(named),
            request=readers.request(named),
            response=readers.response(named),
            usage=readers.usage(named),
            cost=readers.cost(named),
            error=error,
            call=readers.call(span, named, failed=error is not None),
            service=readers.service(span.resource),
            scope=scope,
            attributes=attributes,
            _named=named,
            _events=events,
            _cache={},
        )

    @property
    def key(self) -> UUID:
        """Idempotency key for every exporter and retry: uuid5 of trace id and span id."""
        return self._once("key", lambda: UUID(self.key_text))

    @property
    def key_text(self) -> str:
        """`key` as text, which is faster to compute."""
        return self._once("key_text", lambda: key_text(self.trace_id, self.span_id))

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None if the span has not ended."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / 1e9

    @property
    def model(self) -> str | None:
        """The response model, else the requested one."""
        return self.response.model or self.request.model

    @property
    def exact_cost(self) -> Decimal | None:
        """Total cost in USD as an exact decimal; None if unknown."""
        return self.cost.exact

    @property
    def is_call(self) -> bool:
        """Whether this is a model call, or another request of LiteLLM with a cost of its own.

        False for tools, agents, workflows and requests such as file uploads.
        """
        own = self.scope == s.SCOPE
        if own and self.cost.total is not None:
            return True
        return conventions.is_call(self.operation, named=own or self.model is not None)

    @property
    def input_messages(self) -> tuple[messages.Message, ...] | None:
        """Input messages, parsed on first use; None if the span has no content."""
        return self._content(s.INPUT_MESSAGES, messages.read_messages)

    @property
    def output_messages(self) -> tuple[messages.Message, ...] | None:
        """Output messages, one for each choice; None if the span has no content.

        A message without a finish reason, as in the conventions v0.1.0, has the one of its choice
        in `response.finish_reasons`.
        """
        return self._content(s.OUTPUT_MESSAGES, self._read_output)

    @property
    def system_instructions(self) -> tuple[messages.Part, ...] | None:
        """System instructions sent separately from messages; None if there are none."""
        return self._content(s.SYSTEM_INSTRUCTIONS, messages.read_parts)

    @property
    def tool_definitions(self) -> tuple[messages.ToolDefinition, ...] | None:
        """Tool definitions; None if the span has none."""
        return self._content(s.TOOL_DEFINITIONS, messages.read_tools)

    @property
    def facts(self) -> dict[str, JSON]:
        """Attributes without content, under the current names, as JSON values.

        For spans of other instrumentations this is an allowlist, because their attributes can
        contain headers and prompts.
        """
        own = self.scope == s.SCOPE
        return {
            name: value if type(value) is str else plain(value)  # most are text
            for name, value in self._named.items()
            if name not in conventions.CONTENT
            and (own or name in conventions.KNOWN or name.startswith(s.METADATA_PREFIX))
        }

    @property
    def content_truncated(self) -> int | None:
        """Original length in characters of truncated content; None if not truncated."""
        return integer(self._named, s.CONTENT_ORIGINAL_LENGTH)

    @property
    def stages(self) -> tuple[groups.Stage, ...]:
        """LiteLLM stages on the span, ordered by time."""
        return self._once("stages", lambda: readers.stages(self._events))

    def _read_output(self, value: object) -> tuple[messages.Message, ...] | None:
        found, reasons = messages.read_messages(value), self.response.finish_reasons
        if found is None or len(found) != len(reasons):
            return found
        return tuple([message.finished(by) for message, by in zip(found, reasons, strict=True)])

    def _content(self, name: str, read: Callable[[object], T | None]) -> T | None:
        if self.scope == s.SCOPE and self.operation != "execute_tool":  # one source
            if name not in self._named:
                return None
            return self._once(name, lambda: read(self._named[name]))
        return self._once(name, lambda: read(content.find(name, self._named, self._events)))

    def _once(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._cache:
            self._cache[name] = make()
        return cast(T, self._cache[name])


def _attributes(span: ReadableSpan) -> dict[str, object]:
    """A plain dict, because each look-up in the SDK's mapping takes a lock."""
    attributes = span.attributes
    if not attributes:
        return {}
    copy = getattr(attributes, "copy", None)
    copied = copy() if copy is not None else None
    return copied if type(copied) is dict else dict(attributes)


def _scope(span: ReadableSpan) -> str:
    scope = span.instrumentation_scope
    return scope.name if scope is not None else ""
