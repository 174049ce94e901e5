"""The export target of the proxies: counts OTLP spans of calls, or never answers.

`python -m benchmarks._sink` prints its URL. A path names whose spans they are:
`/NAME/…/v1/traces`; `GET /NAME` returns the number of calls so far.
"""

import gzip
import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CALLS = {"chat gpt-4o-mini", "litellm_request"}  # a call's span: litespan's, LiteLLM's
HANGS = "hangs"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Sink"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        name = self.path.split("/")[1]
        if name == HANGS:
            threading.Event().wait()
        if self.path.endswith("/v1/traces"):
            encoded = self.headers.get("content-encoding") == "gzip"
            self.server.bodies[name].append(gzip.decompress(raw) if encoded else raw)
        self._answer(b"")

    def do_GET(self) -> None:
        bodies = self.server.bodies[self.path.strip("/")]
        spans: dict[str, int] = defaultdict(int)
        for body in list(bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans[span.name] += 1
        calls = sum(count for name, count in spans.items() if name in CALLS)
        self._answer(json.dumps({"calls": calls, "spans": spans}).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Sink(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = defaultdict(list)
        super().__init__(("127.0.0.1", 0), Handler)


if __name__ == "__main__":
    sink = Sink()
    print(f"http://127.0.0.1:{sink.server_port}", flush=True)
    sink.serve_forever()
