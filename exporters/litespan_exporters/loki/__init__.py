"""Grafana Loki: one log record for each call, over OTLP, or its push API before Loki 3.

https://grafana.com/docs/loki/latest/send-data/otel/ and
https://grafana.com/docs/loki/latest/reference/loki-http-api/ (seen 2026-11-20).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import (
    CONTENT_TYPE,
    JSON,
    Answer,
    GenAISpan,
    HttpExporter,
    Item,
    Policy,
    Refusal,
    Secret,
    Variables,
    dumps,
    suppress_errors,
)
from litespan_exporters.loki.otlp import request, resource_of, to_otlp
from litespan_exporters.loki.record import (
    Record,
    stage_records,
    started,
    to_entry,
    to_labels,
    to_record,
)

OTLP: Final = "/otlp/v1/logs"
PUSH: Final = "/loki/api/v1/push"
STAGES: Final = "LITESPAN_LOKI_STAGES"
"""`true`: also a record for each stage of a call, except chunks."""


class LokiExporter(HttpExporter):
    """Sends model calls to Grafana Loki.

    Reads LOKI_URL, LOKI_USERNAME, LOKI_PASSWORD. Also LOKI_TENANT_ID and LITESPAN_LOKI_STAGES.
    """

    name: ClassVar[str] = "loki"
    variables = Variables(keys=(), url=("LOKI_URL",))
    policy = Policy(max_items=500, max_bytes=1_000_000, split=frozenset({400, 413}))
    hints: ClassVar[Mapping[str, str]] = {
        "400": "rejected: older than a week, or exceeds limits of this Loki",
        "401": "unauthorized: check LOKI_USERNAME, LOKI_PASSWORD and LOKI_TENANT_ID",
        "403": "forbidden: check LOKI_USERNAME, LOKI_PASSWORD and LOKI_TENANT_ID",
        "404": f"not found: for Loki before 3.0, append {PUSH} to LOKI_URL",
    }

    def __init__(
        self,
        url: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        tenant: str | None = None,
        stages: bool | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            url: of Loki; default LOKI_URL. The suffix `/loki/api/v1/push` selects that API.
            username: for basic authentication; default LOKI_USERNAME.
            password: password or token; default LOKI_PASSWORD.
            tenant: default LOKI_TENANT_ID.
            stages: also send a record for each stage; default LITESPAN_LOKI_STAGES.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.stages = self.flag(STAGES, default=False) if stages is None else stages
        self.pushes = False
        user = username or self.variable("LOKI_USERNAME")
        secret = password or self.variable("LOKI_PASSWORD")
        tenant = tenant or self.variable("LOKI_TENANT_ID")
        if base := self.base_url(url, name="url"):
            self.pushes = base.endswith(PUSH)
            for path in (PUSH, "/v1/logs", "/otlp"):
                base = base.removesuffix(path)
            headers: dict[str, str | Secret] = {}
            if user or secret:
                headers["Authorization"] = Secret(f"{user}:{secret}").basic()
                self._secrets = [Secret(secret)]
            if tenant:
                headers["X-Scope-OrgID"] = tenant
            if not self.pushes:
                headers["Content-Type"] = CONTENT_TYPE
            self.connect(base + (PUSH if self.pushes else OTLP), headers)

    @classmethod
    def variables_for(cls, url: str, secret: str) -> dict[str, str]:
        """Variables for basic authentication."""
        return {"LOKI_URL": url, "LOKI_USERNAME": "litespan", "LOKI_PASSWORD": secret}

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """A record of each call and, if configured, of its stages."""
        return self._items(spans, self._records)

    def export_started(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a record of each started call. Never raises."""
        return self.send(self._items(spans, lambda view: [started(view)]))

    def _records(self, span: GenAISpan) -> list[Record]:
        return [*(stage_records(span) if self.stages else ()), to_record(span)]

    def _items(
        self, spans: Sequence[ReadableSpan], to_records: Callable[[GenAISpan], list[Record]]
    ) -> Iterator[Item]:
        for span in spans:
            with suppress_errors("export.loki.mapping"):
                view = GenAISpan.read(span)
                if view is not None and view.is_call:
                    for record in to_records(view):
                        yield self._item(f"{view.key_text}:{record.event}:{record.time_ns}", record)

    def _item(self, key: str, record: Record) -> Item:
        if self.pushes:
            return Item(key, (to_labels(record), to_entry(record)))
        return Item(key, (resource_of(record), to_otlp(record)))

    def encode(self, items: Sequence[Item]) -> bytes:
        """An OTLP request, or a push request with a stream for each set of labels."""
        pairs = [item.data for item in items]
        if not self.pushes:
            return request(pairs)
        streams: dict[str, JSON] = {}
        for labels, entry in pairs:
            values: Any = streams.setdefault(
                dumps(labels).decode(), {"stream": labels, "values": []}
            )
            values["values"].append(entry)
        return dumps({"streams": list(streams.values())})

    def shrink(self, item: Item, excess: int) -> Item | None:
        """None: lines are truncated when created, and are small compared to a request."""
        return None

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Partial success of OTLP."""
        if self.pushes:
            return
        try:
            partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
        except DecodeError:
            return
        if partial.rejected_log_records > 0:
            yield Refusal(partial.error_message, count=partial.rejected_log_records)
