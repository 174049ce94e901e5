"""The finished calls of a test as typed records."""

from collections.abc import Sequence
from typing import overload

from litespan.genai.span import GenAISpan
from litespan.testing.telemetry import Telemetry


class Calls(Sequence[GenAISpan]):
    """The LiteLLM calls that have finished so far, in the order of their ends.

    It is a sequence that grows while the test runs, so `(call,) = calls` also checks that there
    is one. A call is a `litespan.export.GenAISpan`.

    Attributes:
        telemetry: all spans, metrics and log records of these calls, as plain dicts.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry

    def clear(self) -> None:
        """Forget the calls so far."""
        self.telemetry.clear()

    @overload
    def __getitem__(self, index: int) -> GenAISpan: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[GenAISpan]: ...

    def __getitem__(self, index: int | slice) -> GenAISpan | Sequence[GenAISpan]:
        return self.telemetry.calls[index]

    def __len__(self) -> int:
        return len(self.telemetry.calls)

    def __repr__(self) -> str:
        return f"<calls: {[f'{call.name}: {call.call.outcome}' for call in self]}>"
