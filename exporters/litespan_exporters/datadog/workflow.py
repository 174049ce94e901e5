"""Ancestors of calls as Datadog workflows: router spans, and spans that ended after the batch.

As Datadog's own library does, a router call is one trace with a workflow that has an input and an
output: https://github.com/DataDog/dd-trace-py, `llmobs/_integrations/litellm.py`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, copy_of, is_router
from litespan.genai.ancestors import Summary
from litespan_exporters.datadog.messages import answered, given


def keep(span: ReadableSpan, summary: Summary | None, awaited: bool) -> bool:
    """Keep router spans, and spans of which a descendant was sent before they ended."""
    return summary is not None and (awaited or is_router(span))


def summary_of(view: GenAISpan) -> Summary:
    """Input and output of this span as text for the workflows above it."""
    inputs, outputs = _text(given("workflow", view)), _text(answered("workflow", view))
    return Summary(view.start_ns, view.end_ns or 0, inputs, outputs, session=view.identity.session)


def named(span: ReadableSpan, more: Mapping[str, Any] = MappingProxyType({})) -> ReadableSpan:
    """A copy with the workflow operation and these attributes."""
    return copy_of(span, {**(span.attributes or {}), s.OPERATION: "invoke_workflow", **more})


def with_io(shaped: dict[str, JSON], summary: Summary) -> dict[str, JSON]:
    """The workflow with the first input, last output and session of its calls."""
    texts = {"input": summary.input, "output": summary.output}
    io: dict[str, JSON] = {side: {"value": text} for side, text in texts.items() if text}
    meta = shaped["meta"] if isinstance(shaped["meta"], dict) else {}
    session: dict[str, JSON] = {"session_id": summary.session} if summary.session else {}
    return {**session, **shaped, "meta": {**meta, **io}}


def _text(io: JSON) -> str | None:
    text = io.get("value") if isinstance(io, dict) else None
    return text if isinstance(text, str) else None
