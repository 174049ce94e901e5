"""Which spans above the GenAI spans are sent too, and what the calls below them say."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

Key = tuple[int, int]
"""Trace id and span id."""

REMEMBERED: Final = 10_000
"""Spans: parents that have not ended yet, and spans that have. Beyond that the oldest go."""

MOST_HELD: Final = 32_000_000
"""Characters of content kept for parents that have not ended yet, in total."""

LONGEST: Final = 1_000_000
"""Characters. A parent does not repeat content that is longer."""

UNANSWERED: Final = 20
"""Parents. If that many are awaited and none has ever come, then they go elsewhere: to another
tracer provider, or to a filter. Until one comes, their children are the topmost spans."""

_DEPTH: Final = 128  # of a chain of parents; a forged trace may have loops


@dataclass(frozen=True, slots=True)
class Below:
    """What the GenAI spans below a span say. Content is None where none is recorded."""

    begun: int  # ns, of the call that `input` is from
    ended: int  # ns, of the call that `output` is from
    input: str | None = None  # of the first call that has one
    output: str | None = None  # of the last call that has one
    trace_name: str | None = None
    user: str | None = None
    session: str | None = None

    def and_also(self, other: "Below") -> "Below":
        """Both: the first input and the last output. Doing this twice changes nothing."""
        first, last = self, self
        if self.input is None or (other.input is not None and other.begun < self.begun):
            first = other
        if self.output is None or (other.output is not None and other.ended > self.ended):
            last = other
        return Below(
            first.begun,
            last.ended,
            first.input,
            last.output,
            self.trace_name or other.trace_name,
            self.user or other.user,
            self.session or other.session,
        )

    def __len__(self) -> int:
        return len(self.input or "") + len(self.output or "")


Keeps = Callable[[ReadableSpan, Below | None, bool], bool]
"""Whether a span that is not GenAI is sent: the span, what is below it if anything is, and
whether a child of it was sent before, with this span as its parent."""


class Ancestors:
    """Finds the spans above GenAI spans in a stream of ended spans, which comes in batches.

    Children end before their parents. A parent that has not ended when its child is sent is
    awaited. A parent in another process is not, nor one that ended in an earlier batch and was
    not sent: its child is the topmost span that the service gets.
    """

    def __init__(self, keeps: Keeps, *, awaits: bool = True, remembered: int = REMEMBERED) -> None:
        """Remember nothing yet.

        Args:
            keeps: which spans that are not GenAI are sent.
            awaits: whether a parent that has not ended yet will be sent.
            remembered: how many spans of each kind are remembered.
        """
        self.keeps = keeps
        self.awaits = awaits
        self.remembered = remembered
        self._awaited: OrderedDict[Key, Below] = OrderedDict()
        self._past: OrderedDict[Key, bool] = OrderedDict()  # ended → was it sent?
        self._held = 0
        self._sought = 0
        self._came = False

    def among(self, spans: Sequence[ReadableSpan], said: Mapping[Key, Below]) -> "Lineage":
        """The lineage of one batch.

        Args:
            spans: all of them.
            said: those that are GenAI and are sent, and what they say.
        """
        awaits = self.awaits and (self._came or self._sought < UNANSWERED)
        ended = {key_of(span.context): span for span in spans}
        found: dict[Key, Below] = {}
        awaited: set[Key] = set()
        for key, span in ended.items():
            before = self._take(key)
            own = said.get(key)
            if before is not None:
                self._came = True
                awaited.add(key)
                own = before if own is None else own.and_also(before)
            if own is not None:
                if key not in said:
                    found[key] = found[key].and_also(own) if key in found else own
                self._climb(span, own, ended, found, said)
        kept = {
            key: found.get(key)
            for key, span in ended.items()
            if key not in said and self.keeps(span, found.get(key), key in awaited)
        }
        sent = {**dict.fromkeys(said), **kept}
        for key in ended:
            self._past[key] = key in sent
        _trim(self._past, self.remembered)
        return Lineage(ended, kept, frozenset(sent), self._past, awaits)

    def _climb(
        self,
        span: ReadableSpan,
        own: Below,
        ended: Mapping[Key, ReadableSpan],
        found: dict[Key, Below],
        said: Mapping[Key, Below],
    ) -> None:
        for key, above in _above(span, ended):
            if above is None:
                if self.awaits and key not in self._past:
                    self._await(key, own)
            elif key in said:
                return
            else:
                found[key] = found[key].and_also(own) if key in found else own

    def _await(self, key: Key, below: Below) -> None:
        before = self._take(key)
        self._sought += before is None
        below = below if before is None else before.and_also(below)
        if len(below) > LONGEST:
            below = replace(below, input=None, output=None)
        self._awaited[key] = below
        self._held += len(below)
        while self._awaited and (len(self._awaited) > self.remembered or self._held > MOST_HELD):
            self._held -= len(self._awaited.popitem(last=False)[1])

    def _take(self, key: Key) -> Below | None:
        before = self._awaited.pop(key, None)
        self._held -= 0 if before is None else len(before)
        return before


@dataclass(frozen=True, slots=True)
class Lineage:
    """Who is above whom in one batch, as the service gets it."""

    ended: Mapping[Key, ReadableSpan]
    kept: Mapping[Key, Below | None]
    """The spans to send that are not GenAI, and what is below them."""
    sent: frozenset[Key]
    past: Mapping[Key, bool]
    awaits: bool

    def parent(self, span: ReadableSpan) -> SpanContext | None:
        """The nearest span above that the service gets; None if `span` is the topmost."""
        context = span.parent
        for key, above in _above(span, self.ended):
            if key in self.sent:
                return context
            if above is None:
                return context if self.past.get(key, self.awaits) else None
            context = above.parent
        return None


def _above(
    span: ReadableSpan, ended: Mapping[Key, ReadableSpan]
) -> Iterator[tuple[Key, ReadableSpan | None]]:
    """The parents in this process, nearest first, up to one that is not in the batch."""
    parent = span.parent
    for _ in range(_DEPTH):
        if parent is None or parent.is_remote:
            return
        key = key_of(parent)
        above = ended.get(key)
        yield key, above
        if above is None:
            return
        parent = above.parent


def key_of(context: SpanContext | None) -> Key:
    """What spans are told apart by."""
    return (context.trace_id, context.span_id) if context is not None else (0, 0)


def _trim(past: OrderedDict[Key, bool], remembered: int) -> None:
    while len(past) > remembered:
        past.popitem(last=False)
