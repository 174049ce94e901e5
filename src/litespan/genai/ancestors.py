"""Ancestors of GenAI spans: which of them are sent, and the content of the calls below them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

SpanIds = tuple[int, int]
"""Trace id and span id."""

MAX_REMEMBERED: Final = 10_000
"""Parents that have not ended, and spans that have; each limit drops the oldest."""

MAX_HELD: Final = 32_000_000
"""Characters of content held for all parents that have not ended."""

MAX_CONTENT: Final = 1_000_000
"""Characters. Longer content is not copied to parents."""

MAX_MISSING_PARENTS: Final = 20
"""If this number of parents is missing and none has ever arrived, they probably go to another
tracer provider or are filtered. Until one arrives, their children are treated as topmost spans."""

_DEPTH: Final = 128  # of a chain of parents, which may contain loops in a forged trace


@dataclass(frozen=True, slots=True)
class Summary:
    """Combined data of the GenAI spans below a span. Content is None if not captured."""

    started: int  # ns, of the call that `input` is from
    ended: int  # ns, of the call that `output` is from
    input: str | None = None  # of the first call that has one
    output: str | None = None  # of the last call that has one
    trace_name: str | None = None
    user: str | None = None
    session: str | None = None

    def merge(self, other: "Summary") -> "Summary":
        """Combine both: the first input and the last output. Idempotent."""
        first, last = self, self
        if self.input is None or (other.input is not None and other.started < self.started):
            first = other
        if self.output is None or (other.output is not None and other.ended > self.ended):
            last = other
        return Summary(
            first.started,
            last.ended,
            first.input,
            last.output,
            self.trace_name or other.trace_name,
            self.user or other.user,
            self.session or other.session,
        )

    def __len__(self) -> int:
        return len(self.input or "") + len(self.output or "")


Keep = Callable[[ReadableSpan, Summary | None, bool], bool]
"""Decides whether to send a span that is not a GenAI span. Arguments: the span, the summary of the
calls below it if any, and whether a child was sent earlier with this span as its parent."""


class Ancestors:
    """Finds ancestors of GenAI spans in batches of ended spans.

    Children end before their parents, so a parent that has not ended is expected in a later batch.
    A parent in another process is not, nor one that ended earlier and was not sent: its child is
    the topmost span that the service receives.
    """

    def __init__(
        self, keep: Keep, *, awaits: bool = True, remembered: int = MAX_REMEMBERED
    ) -> None:
        """Start without any spans.

        Args:
            keep: decides which spans that are not GenAI spans are sent.
            awaits: whether parents that have not ended will be sent.
            remembered: how many awaited and how many ended spans to remember.
        """
        self.keep = keep
        self.awaits = awaits
        self.remembered = remembered
        self._awaited: OrderedDict[SpanIds, Summary] = OrderedDict()
        self._ended: OrderedDict[SpanIds, bool] = OrderedDict()  # ids → whether it was sent
        self._held = 0
        self._expected = 0
        self._parent_seen = False

    def find(
        self, spans: Sequence[ReadableSpan], summaries: Mapping[SpanIds, Summary]
    ) -> "Lineage":
        """Find the ancestors in one batch.

        Args:
            spans: all ended spans of the batch.
            summaries: the data of each GenAI span that is sent.
        """
        awaits = self.awaits and (self._parent_seen or self._expected < MAX_MISSING_PARENTS)
        ended = {ids_of(span.context): span for span in spans}
        found: dict[SpanIds, Summary] = {}
        awaited: set[SpanIds] = set()
        for key, span in ended.items():
            before = self._take(key)
            own = summaries.get(key)
            if before is not None:
                self._parent_seen = True
                awaited.add(key)
                own = before if own is None else own.merge(before)
            if own is not None:
                if key not in summaries:
                    found[key] = found[key].merge(own) if key in found else own
                self._add_to_parents(span, own, ended, found, summaries)
        kept = {
            key: found.get(key)
            for key, span in ended.items()
            if key not in summaries and self.keep(span, found.get(key), key in awaited)
        }
        sent = {**dict.fromkeys(summaries), **kept}
        for key in ended:
            self._ended[key] = key in sent
        while len(self._ended) > self.remembered:
            self._ended.popitem(last=False)
        return Lineage(ended, kept, frozenset(sent), self._ended, awaits)

    def _add_to_parents(
        self,
        span: ReadableSpan,
        own: Summary,
        ended: Mapping[SpanIds, ReadableSpan],
        found: dict[SpanIds, Summary],
        summaries: Mapping[SpanIds, Summary],
    ) -> None:
        for key, above in _parents(span, ended):
            if above is None:
                if self.awaits and key not in self._ended:
                    self._await(key, own)
            elif key in summaries:
                return
            else:
                found[key] = found[key].merge(own) if key in found else own

    def _await(self, key: SpanIds, below: Summary) -> None:
        before = self._take(key)
        self._expected += before is None
        below = below if before is None else before.merge(below)
        if len(below) > MAX_CONTENT:
            below = replace(below, input=None, output=None)
        self._awaited[key] = below
        self._held += len(below)
        while self._awaited and (len(self._awaited) > self.remembered or self._held > MAX_HELD):
            self._held -= len(self._awaited.popitem(last=False)[1])

    def _take(self, key: SpanIds) -> Summary | None:
        before = self._awaited.pop(key, None)
        self._held -= 0 if before is None else len(before)
        return before


@dataclass(frozen=True, slots=True)
class Lineage:
    """The spans of one batch and their parents, as the service receives them."""

    ended: Mapping[SpanIds, ReadableSpan]
    kept: Mapping[SpanIds, Summary | None]
    """Spans to send that are not GenAI spans, and the summary of the calls below each."""
    sent: frozenset[SpanIds]
    earlier: Mapping[SpanIds, bool]
    awaits: bool

    def parent(self, span: ReadableSpan) -> SpanContext | None:
        """The nearest ancestor that the service receives; None if `span` is the topmost."""
        context = span.parent
        for key, above in _parents(span, self.ended):
            if key in self.sent:
                return context
            if above is None:
                return context if self.earlier.get(key, self.awaits) else None
            context = above.parent
        return None


def _parents(
    span: ReadableSpan, ended: Mapping[SpanIds, ReadableSpan]
) -> Iterator[tuple[SpanIds, ReadableSpan | None]]:
    """Ancestors in this process, nearest first, up to one that is not in the batch."""
    parent = span.parent
    for _ in range(_DEPTH):
        if parent is None or parent.is_remote:
            return
        key = ids_of(parent)
        above = ended.get(key)
        yield key, above
        if above is None:
            return
        parent = above.parent


def ids_of(context: SpanContext | None) -> SpanIds:
    """Trace id and span id; zeros without a context."""
    return (context.trace_id, context.span_id) if context is not None else (0, 0)
