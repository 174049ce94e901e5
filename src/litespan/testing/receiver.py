"""A minimal collector: receives OTLP over HTTP on 127.0.0.1 and decodes it to dicts."""

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from litespan.testing import decode
from litespan.testing.decode import Record

SIGNALS: Final[dict[str, Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class OtlpReceiver:
    """Receives the telemetry of other processes.

    In `with OtlpReceiver() as receiver:`, run a program with the variables `receiver.env`, then
    read `receiver.spans`. `litespan.testing.decode` documents the keys of the dicts.
    """

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def env(self) -> dict[str, str]:
        """The OpenTelemetry variables that send a program's telemetry here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    @property
    def spans(self) -> list[Record]:
        """Every span so far, ordered by end time."""
        found = [span for request in self._received("/v1/traces") for span in decode.spans(request)]
        return sorted(found, key=lambda span: span["end"])

    @property
    def metrics(self) -> list[Record]:
        """Every metric point so far; cumulative points repeat with each export."""
        return [
            point for request in self._received("/v1/metrics") for point in decode.metrics(request)
        ]

    @property
    def logs(self) -> list[Record]:
        """Every log record so far."""
        return [log for request in self._received("/v1/logs") for log in decode.logs(request)]

    @property
    def resources(self) -> list[Record]:
        """The resource attributes of every batch of spans."""
        return [
            decode.attributes(batch.resource.attributes)
            for request in self._received("/v1/traces")
            for batch in request.resource_spans
        ]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "OtlpReceiver":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _received(self, path: str) -> list[Any]:
        with self._server.lock:
            return [message for at, message in self._server.messages if at == path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self.lock = Lock()
        self.messages: list[tuple[str, Any]] = []
        super().__init__(*args)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        if self.path not in SIGNALS:
            self.send_error(404, f"send to one of {', '.join(SIGNALS)}")
            return
        if self.headers.get_content_type() != "application/x-protobuf":
            self.send_error(415, "send protobuf: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
            return
        message = SIGNALS[self.path].FromString(raw)
        with self.server.lock:
            self.server.messages.append((self.path, message))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()
