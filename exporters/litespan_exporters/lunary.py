"""Lunary: a start and an end event for each run.

https://docs.lunary.ai/docs/api/runs (seen 2026-11-20), and the receiver's source:
https://github.com/lunary-ai/lunary, `packages/backend/src/api/v1/runs/ingest.ts`. Its OTLP
endpoint does not support the current conventions and drops users and costs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Final
from uuid import UUID

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import (
    JSON,
    Answer,
    GenAISpan,
    HttpExporter,
    Item,
    Policy,
    Refusal,
    Secret,
    Variables,
    iso,
    known,
    openai,
    scalar_attributes,
    suppress_errors,
)
from litespan.stores.columns import to_clean_json

PATH: Final = "/v1/runs/ingest"
KEYS: Final = ("LUNARY_PRIVATE_KEY", "LUNARY_PUBLIC_KEY", "LUNARY_APP_ID")
"""Variables in which its SDK looks for the key, in this order."""

TYPES: Final = {
    "embeddings": "embed",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "retrieval": "retriever",
}
"""Operation → run type; `llm` for other model calls, else `tool`."""

PARENT: Final = "parent_run_id"
"""Metadata key with the `@lunary.chain` run of the call, as in LiteLLM's callback."""


def to_start(
    span: GenAISpan, parent: str | None = None, shared: dict[str, JSON] | None = None
) -> dict[str, JSON]:
    """The event that opens the run. Pure.

    Args:
        span: a call that may not have ended.
        parent: id of the parent run.
        shared: `metadata(span)` if already computed.
    """
    identity = span.identity
    return {
        **_common(span, "start", span.start_ns),
        "parentRunId": parent,
        "name": span.model or span.name,
        "input": openai.input_of(span),
        "userId": identity.user,
        "tags": [*identity.tags] or None,
        "params": {**_parameters(span)} or None,
        "metadata": metadata(span) if shared is None else shared,
    }


def to_end(span: GenAISpan, shared: dict[str, JSON] | None = None) -> dict[str, JSON]:
    """The event that closes the run: `end` or `error`. Pure.

    Args:
        span: the call.
        shared: `metadata(span)` if already computed.
    """
    used, error = span.usage, span.error
    fields: dict[str, JSON] = {
        **_common(span, "end" if error is None else "error", span.end_ns or span.start_ns),
        "output": openai.output_of(span),
        "metadata": metadata(span) if shared is None else shared,
    }
    if error is not None:
        message = error.message or error.type
        fields["error"] = {"message": message, "stack": f"{error.type}: {message}"}
    tokens = {
        "prompt": used.input,
        "completion": used.output,
        "promptCached": used.cache_read,
    }
    if used.total is not None:
        fields["tokensUsage"] = known(tokens)
    return fields


def metadata(span: GenAISpan) -> dict[str, JSON]:
    """Data without a field in the events, as a flat mapping of scalars."""
    own: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "session_id": span.identity.session,
        "provider": span.provider,
        "cost_usd": span.cost.total,
        "outcome": span.call.outcome,
        "error_code": span.error.code if span.error else None,
        "service": span.service.name,
        "service_version": span.service.version,
        "environment": span.service.environment,
    }
    return scalar_attributes(span, own)


def run_id(text: str, project: str) -> str:
    """The id that Lunary's Python SDK uses for a run of this name."""
    return str(UUID(sha256(f"{text}{project}".encode("utf-8", "replace")).hexdigest()[:32]))


def _common(span: GenAISpan, event: str, ns: int) -> dict[str, JSON]:
    return {
        "type": TYPES.get(span.operation, "llm" if span.is_call else "tool"),
        "event": event,
        "runId": span.key_text,
        "timestamp": iso(ns),
        "runtime": "litespan",
    }


def _parameters(span: GenAISpan) -> dict[str, JSON]:
    tools = openai.tools(span)
    return {**openai.parameters(span), **({"tools": tools} if tools else {})}


class LunaryExporter(HttpExporter):
    """Sends GenAI spans to Lunary.

    Reads LUNARY_PUBLIC_KEY, LUNARY_API_URL. Also LUNARY_PRIVATE_KEY and LUNARY_APP_ID.
    """

    name: ClassVar[str] = "lunary"
    variables = Variables(
        keys=("LUNARY_PUBLIC_KEY",),
        url=("LUNARY_API_URL",),
        default_url="https://api.lunary.ai",
    )
    policy = Policy(
        max_items=100,
        split=frozenset({400, 413}),
        attempt=12.0,  # Lunary waits 5 s for an unknown parent
    )
    hints: ClassVar[Mapping[str, str]] = {
        "401": f"no such project: check {', '.join(KEYS)}",
        "402": f"no such project: check {', '.join(KEYS)}",
    }

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, **limits: Any
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: default LUNARY_PRIVATE_KEY, LUNARY_PUBLIC_KEY, LUNARY_APP_ID.
            base_url: default LUNARY_API_URL, else https://api.lunary.ai.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.key: Secret | None = None
        keys = self.credentials(api_key=api_key or self.variable(*KEYS) or None)
        if keys and (base := self.base_url(base_url)):
            (self.key,) = keys
            self.connect(base.removesuffix(PATH) + PATH, {"Authorization": self.key.bearer()})

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """Start and end of each run together, because an end only updates."""
        return self._items(spans, finished=True)

    def export_started(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the start events of calls. Sending them again is harmless. Never raises."""
        return self.send(self._items(spans, finished=False))

    def _items(self, spans: Sequence[ReadableSpan], *, finished: bool) -> Iterator[Item]:
        views = []
        for span in spans:
            with suppress_errors("export.lunary.mapping"):
                views += [view] if (view := GenAISpan.read(span)) is not None else []
        runs = {(view.trace_id, view.span_id): view.key_text for view in views}
        for view in _parents_first(views):
            with suppress_errors("export.lunary.mapping"):
                here = runs.get((view.trace_id, view.parent_span_id or ""))
                shared = metadata(view)
                events = [to_start(view, self._parent(view) or here, shared)]
                events += [to_end(view, shared)] if finished else []
                # Without NUL, which Lunary's PostgreSQL rejects.
                yield Item(view.key_text, b",".join(map(to_clean_json, map(known, events))))

    def _parent(self, span: GenAISpan) -> str | None:
        named = span.identity.metadata.get(PARENT)
        if not isinstance(named, str) or self.key is None:
            return None
        return run_id(named, self.key.reveal())

    def encode(self, items: Sequence[Item]) -> bytes:
        """The events of the runs, in order."""
        return b'{"events":[%b]}' % b",".join([item.data for item in items])

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut content; an item has two events."""
        pair = Item(item.key, b"[%b]" % item.data)
        smaller = super().shrink(pair, excess)
        return None if smaller is None else Item(item.key, smaller.data[1:-1])

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """A 200 has a result for each event; duplicates are not errors."""
        results = answer.fields.get("results")
        lost: dict[str, str] = {}  # run → why; an event may be the second one of its run
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict) and result.get("success") is False:
                reason = str(result.get("error") or "")
                if not _KNOWN.search(reason):
                    lost.setdefault(str(result.get("id") or ""), reason)
        return [Refusal(reason, keys=frozenset({run})) for run, reason in lost.items()]


def _parents_first(views: Sequence[GenAISpan]) -> list[GenAISpan]:
    """Sort by start time in milliseconds, as Lunary does, then by depth.

    For a run with an unknown parent, Lunary waits 5 s and then drops the parent.
    """
    here = {(view.trace_id, view.span_id): view for view in views}

    def order(view: GenAISpan) -> tuple[int, int]:
        depth, above = 0, view
        while (parent := here.get((view.trace_id, above.parent_span_id or ""))) is not None:
            depth, above = depth + 1, parent
            if depth > len(views):  # a loop in a forged trace
                break
        return view.start_ns // 1_000_000, depth

    return sorted(views, key=order)


_KNOWN: Final = re.compile("duplicate|already exists|unique constraint", re.IGNORECASE)
