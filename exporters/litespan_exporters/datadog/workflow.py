"""Spans above calls, as Datadog's workflows: the router's, and those that outlive a batch.

Datadog's own library makes a router call one trace, with a workflow at the top that has an
input and an output: https://github.com/DataDog/dd-trace-py, `llmobs/_integrations/litellm.py`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, copy_of, is_router
from litespan.genai.ancestors import Descendants
from litespan_exporters.datadog.messages import answered, given


def keeps(span: ReadableSpan, under: Descendants | None, awaited: bool) -> bool:
    """The router's span is sent, and one that a call was put below before it ended."""
    return under is not None and (awaited or is_router(span))


def below(view: GenAISpan) -> Descendants:
    """What a workflow above this span shows of it: text, as Datadog has it of a workflow."""
    asked, said = _text(given("workflow", view)), _text(answered("workflow", view))
    return Descendants(view.start_ns, view.end_ns or 0, asked, said, session=view.identity.session)


def named(span: ReadableSpan, more: Mapping[str, Any] = MappingProxyType({})) -> ReadableSpan:
    """A copy with the operation that makes it a workflow, and with these attributes."""
    return copy_of(span, {**(span.attributes or {}), s.OPERATION: "invoke_workflow", **more})


def with_io(shaped: dict[str, JSON], under: Descendants) -> dict[str, JSON]:
    """The workflow with the first input and the last output of its calls, and their session."""
    texts = {"input": under.input, "output": under.output}
    io: dict[str, JSON] = {side: {"value": text} for side, text in texts.items() if text}
    meta = shaped["meta"] if isinstance(shaped["meta"], dict) else {}
    session: dict[str, JSON] = {"session_id": under.session} if under.session else {}
    return {**session, **shaped, "meta": {**meta, **io}}


def _text(io: JSON) -> str | None:
    text = io.get("value") if isinstance(io, dict) else None
    return text if isinstance(text, str) else None
