"""Loki on loopback: OTLP logs and the push API, with its default limits."""

import base64
import re
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, Anyone, strict
from tests.support.vendors.otlp import attributes_of


class Loki(Anyone):
    """A tenant. Rules: https://github.com/grafana/loki, `pkg/validation/limits.go`."""

    RESOURCE = frozenset({"service.name", "deployment.environment.name"})
    LABELS = frozenset(
        {
            "service_name",
            "deployment_environment_name",
            "level",
            "gen_ai_operation_name",
            "gen_ai_provider_name",
        }
    )

    def __call__(self, request: Received) -> Reply:
        pair = base64.b64encode(f"litespan:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return Reply(401)
        if request.path == "/loki/api/v1/push":
            self._push(strict(request.body))
            return Reply(204)
        assert request.path == "/otlp/v1/logs"
        assert request.headers["content-type"] == "application/x-protobuf"
        for group in ExportLogsServiceRequest.FromString(request.body).resource_logs:
            resource = attributes_of(group.resource.attributes)
            assert set(resource) <= self.RESOURCE, "an index label for each process"
            assert resource["service.name"]
            for scope in group.scope_logs:
                for record in scope.log_records:
                    self._record(record)
        return Reply(200, b"", {"Content-Type": "application/x-protobuf"})

    def _record(self, record: Any) -> None:
        assert record.severity_number in (9, 13, 17)
        assert record.time_unix_nano == record.observed_time_unix_nano
        assert len(record.trace_id) == 16
        assert len(record.span_id) == 8
        metadata = attributes_of(record.attributes)
        assert all(isinstance(value, str | bool | int | float) for value in metadata.values())
        self._entry(record.body.string_value, metadata)
        key = f"{record.span_id.hex()}:{metadata['event.name']}"
        self.take(key, (strict(record.body.string_value.encode()), metadata))

    def _push(self, body: dict[str, Any]) -> None:
        for stream in body["streams"]:
            labels = stream["stream"]
            assert labels
            assert set(labels) <= self.LABELS, "of high cardinality"
            for name, value in labels.items():
                assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)
                assert 0 < len(value.encode()) <= 2048
            for time, line, metadata in stream["values"]:
                assert re.fullmatch("[0-9]{1,19}", time)
                assert all(isinstance(value, str) for value in metadata.values())
                assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in metadata)
                self._entry(line, metadata)
                key = f"{metadata['span_id']}:{metadata['event_name']}"
                self.take(key, (strict(line.encode()), {**metadata, **labels}))

    def _entry(self, line: str, metadata: dict[str, Any]) -> None:
        assert len(line.encode()) <= 256 * 1024, "max entry size"
        assert len(metadata) <= 128
        size = sum(len(name.encode()) + len(str(v).encode()) for name, v in metadata.items())
        assert size <= 64 * 1024
