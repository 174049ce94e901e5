"""What a sender needs from the exporter that it sends for."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from litespan.export.batching import Batch, Item
from litespan.export.client import Answer
from litespan.export.policy import Refusal


class Destination(Protocol):
    """The limits and decisions of one vendor. `HttpExporter` is the implementation."""

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Put items into batches within the limits."""
        ...

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut `excess` bytes of content from an item; None if it has not that much."""
        ...

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Find the items that a 2xx answer rejects."""
        ...

    def on_answer(self, answer: Answer) -> None:
        """Receive every answer before its items are settled."""
        ...

    def forbidden(self, batch: Batch) -> str:
        """Return a one-word reason to drop the batch unsent, or an empty string."""
        ...
