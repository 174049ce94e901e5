"""Which spans stand above the GenAI spans and give them structure."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from litespan.genai.span import is_genai

_Key = tuple[int, int]  # trace id, span id

REMEMBERED: Final = 10_000
"""Parents that have not ended yet; beyond that the oldest is forgotten."""


class Ancestors:
    """Finds the ancestors of GenAI spans in a stream of ended spans.

    Children end before their parents: the parents of what was sent are remembered, and
    wanted when they end. Not found are parents in another process, and parents that ended
    in an earlier export than their child.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.remembered = remembered
        self._wanted: OrderedDict[_Key, None] = OrderedDict()

    def among(self, spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
        """Those of `spans` that are no GenAI spans but stand above some."""
        ended = {_key(span.get_span_context()): span for span in spans}
        found: dict[_Key, ReadableSpan] = {}
        for key, span in ended.items():
            asked_for = self._wanted.pop(key, self) is None
            if is_genai(span):
                self._climb(span, ended, found)
            elif asked_for and key not in found:
                found[key] = span
                self._climb(span, ended, found)
        return list(found.values())

    def _climb(
        self, span: ReadableSpan, ended: dict[_Key, ReadableSpan], found: dict[_Key, ReadableSpan]
    ) -> None:
        parent = span.parent
        while parent is not None and not parent.is_remote:
            key = _key(parent)
            above = ended.get(key)
            if above is None:
                self._remember(key)
                return
            if key in found or is_genai(above):
                return
            found[key] = above
            parent = above.parent

    def _remember(self, key: _Key) -> None:
        self._wanted[key] = None
        if len(self._wanted) > self.remembered:
            self._wanted.popitem(last=False)


def _key(context: SpanContext | None) -> _Key:
    return (context.trace_id, context.span_id) if context is not None else (0, 0)
