"""What a vendor defines: the format of its requests, its limits, and what its answers mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from opentelemetry.sdk.trace import ReadableSpan

from litespan.errors import suppress_errors
from litespan.export.batching import Batch, Item, pack, shrink
from litespan.export.client import Answer
from litespan.export.configured import Configured
from litespan.export.policy import Policy, Refusal, overridden
from litespan.export.tenant import Tenant
from litespan.genai.span import GenAISpan
from litespan.genai.values import parse
from litespan.objects import json_bytes


class Vendor(Configured):
    """The part of an exporter that a `Sender` needs; `HttpExporter` is the rest."""

    policy: ClassVar[Policy] = Policy()

    def __init__(self, of_tenant: Tenant | None, limits: Mapping[str, Any]) -> None:
        super().__init__(of_tenant)
        self.limits = overridden(self.policy, limits, type(self)) if limits else self.policy

    def item(self, span: GenAISpan) -> Item | None:
        """Convert a span to the vendor's format; None if the vendor does not receive such spans."""
        raise NotImplementedError

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """All items of one export. By default one `item` for each GenAI span."""
        mapping = f"export.{self.name}.mapping"
        for span in spans:
            with suppress_errors(mapping):
                view = GenAISpan.read(span)
                if view is not None and (item := self.item(view)) is not None:
                    yield item

    def encode(self, items: Sequence[Item]) -> bytes:
        """Encode the body of one request. By default a JSON array of the items."""
        return b"[" + b",".join([item.data for item in items]) + b"]"

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut `excess` bytes of content from `item`; None if it has less."""
        smaller = shrink(parse(item.data.decode()), len(item.data) - excess)
        return None if smaller is None else replace(item, data=json_bytes(smaller))

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Find the items that a 2xx answer rejects. By default none."""
        return ()

    def on_answer(self, answer: Answer) -> None:
        """Receive every answer before its items are settled. By default do nothing."""

    def forbidden(self, batch: Batch) -> str:
        """Return a one-word reason to drop `batch` unsent. By default it is sent."""
        return ""

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Put items into batches within the vendor's limits."""
        return pack(items, self.encode, self.limits.max_items, self.limits.max_bytes)
