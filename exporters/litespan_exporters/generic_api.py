"""Any URL: every call as JSON, in batches, signed.

A request has a JSON array of records with the columns of `litespan.stores.columns`, as in a JSONL
file. With a secret, the header `X-Signature-256` is `t=<s>,v1=<hex>`, as for alerts: see
`litespan_exporters.webhook`.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.re import parse_env_headers

from litespan.export import Batch, HttpExporter, Item, Policy, Secret, Variables
from litespan.stores.buffer import KEY
from litespan.stores.rows import rows
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.webhook import SIGNATURE, signature

HEADERS_VARIABLE: Final = "LITESPAN_GENERIC_API_HEADERS"
SECRET_VARIABLE: Final = "LITESPAN_GENERIC_API_SECRET"


class GenericApiExporter(HttpExporter):
    """Sends every call as JSON to any URL, in signed batches.

    Reads LITESPAN_GENERIC_API_URL, LITESPAN_GENERIC_API_SECRET. Also
    LITESPAN_GENERIC_API_HEADERS.
    """

    name: ClassVar[str] = "generic_api"
    variables = Variables(keys=(), url=("LITESPAN_GENERIC_API_URL",))
    policy = Policy(max_items=100, split=frozenset({400, 413}))

    def __init__(
        self,
        url: str | None = None,
        secret: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bool = True,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            url: where to post; default: LITESPAN_GENERIC_API_URL.
            secret: for signing; default: LITESPAN_GENERIC_API_SECRET, else not signed.
            headers: of every request, such as `Authorization`; default:
                LITESPAN_GENERIC_API_HEADERS (`name=value,name=value`).
            content: False excludes messages, instructions and tools.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.content = content
        self._secret = Secret((secret or self.variable(SECRET_VARIABLE)).strip())
        own = headers or parse_env_headers(self.variable(HEADERS_VARIABLE), liberal=True)
        if base := self.base_url(url, name="url"):
            self.connect(base, {name: Secret(value) for name, value in own.items()})

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """One record per call; tools and agents have none."""
        made = rows(spans, content=self.content)
        for row, line in zip(made, JsonlExporter.lines(made), strict=True):
            yield Item(str(row[KEY]), line.rstrip(b"\n"))

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Batches within the limits, each signed as a whole."""
        batches = super().pack(replace(item, headers=()) for item in items)
        return map(self._signed, batches) if self._secret.reveal() else batches

    def _signed(self, batch: Batch) -> Batch:
        header = (SIGNATURE, signature(self._secret.reveal(), batch.body, int(time.time())))
        first, *others = batch.items
        return replace(batch, items=(replace(first, headers=(header,)), *others))
