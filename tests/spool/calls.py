"""Ended calls without LiteLLM, a vendor that counts them, and exporters for it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from litespan.spool import batches
from litespan.spool.file import SUFFIX
from litespan.spool.overview import overview
from litespan_exporters.helicone import HeliconeExporter
from tests.support.server import Reply, Vendor, running
from tests.support.vendors import SECRET

LIMITS: dict[str, Any] = {"concurrency": 1, "backoff": 0.01, "patience": 20.0}
SHORT: dict[str, Any] = {**LIMITS, "patience": 0.1, "hung_patience": 0.1}
CONTENT = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "secret " * 500}]}])


class Destination:
    """A fake Helicone: what it has accepted, in order, and refused, and how it answers now."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.refused = 0
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self.answer: Callable[[dict[str, Any]], int] = lambda _: self.status
        self.vendor: Vendor

    @property
    def models(self) -> list[str]:
        """The models of accepted calls, in order."""
        return [body["providerRequest"]["json"]["model"] for body in self.bodies]

    def exporter(self, limits: dict[str, Any] = LIMITS) -> HeliconeExporter:
        """An exporter for it."""
        return HeliconeExporter(SECRET, self.vendor.url, **limits)


@contextmanager
def destination() -> Iterator[Destination]:
    """A running destination."""
    made = Destination()

    def accept(request: Any) -> Reply:
        body = json.loads(request.body)
        status = made.answer(body)
        if status == 200:
            made.taken[body["providerRequest"]["meta"]["Helicone-Request-Id"]] += 1
            made.bodies.append(body)
        else:
            made.refused += 1
        return Reply(status)

    with running(accept) as made.vendor:
        yield made


class Program:
    """A provider whose one exporter uses a spool."""

    def __init__(self, exporter: Any, folder: Path) -> None:
        self.provider = TracerProvider(
            resource=Resource({"service.name": "spooled"}), shutdown_on_exit=False
        )
        self.processor: Any = batches(exporter, str(folder))
        self.provider.add_span_processor(self.processor)

    def call(self, number: int, **attributes: Any) -> None:
        """End a call of the model `m{number}`."""
        given = {"gen_ai.operation.name": "chat", "gen_ai.request.model": f"m{number}"}
        tracer = self.provider.get_tracer("spooled")
        tracer.start_span(f"chat m{number}", attributes={**given, **attributes}).end()

    def deliver(self) -> bool:
        """Write and send; whether everything was accepted."""
        until = time.monotonic() + 60
        return self.processor._recorder.wait(until) and self.processor.send(until) is True

    def calls(self, number: int, **attributes: Any) -> None:
        """End calls of the models `m0`, `m1` and so on."""
        for each in range(number):
            self.call(each, **attributes)


def eventually(done: Callable[[], object], seconds: float = 60) -> None:
    """Wait until `done()`."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def waiting(folder: Path) -> int:
    """The number of calls in the spool."""
    return sum(each.calls for each in overview(folder).waiting)


def file_of(folder: Path) -> Path:
    """The only file of a spool."""
    (path,) = (path for path in folder.iterdir() if path.suffix == SUFFIX)
    return path
