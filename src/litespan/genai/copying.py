"""Copies of finished spans with other fields."""

from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

_FIELDS: Final = (
    *("name", "context", "parent", "resource", "attributes", "events", "links", "kind", "status"),
    *("start_time", "end_time", "instrumentation_scope"),
)


def changed(span: ReadableSpan, **fields: Any) -> ReadableSpan:
    """A copy of `span` with other `fields`, by the names of `ReadableSpan`'s arguments."""
    same = {name: getattr(span, name) for name in _FIELDS if name not in fields}
    return ReadableSpan(**same, **fields)


def at_top(span: ReadableSpan) -> ReadableSpan:
    """A copy with a remote parent, for an exporter that does not receive the parent."""
    above = span.parent
    if above is not None:
        above = SpanContext(
            above.trace_id, above.span_id, True, above.trace_flags, above.trace_state
        )
    return changed(span, parent=above)
