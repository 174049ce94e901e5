"""The processes of the model: each has two exporters, an alert destination and a handler."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextvars import Context
from types import SimpleNamespace
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from litespan.alerting import AlertExporter, Notice
from litespan.alerting.state import State
from litespan.alerting.thresholds import Thresholds
from litespan.background.pool import Pool
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import Handler
from litespan.callbacks.other_instrumentations import ExternalCalls
from litespan.export import Variables
from litespan.export.batching import Item
from litespan.export.policy import Policy, Tally
from litespan.spool.directory import Directory
from litespan.spool.file import ALERTS
from litespan.spool.handlers import HandlerKeeper
from litespan.spool.limits import Limits
from litespan.spool.processor import SpoolProcessor
from litespan.spool.record import encode
from litespan.spool.recorder import Recorder
from tests.spool.model import AUDIT, DESK, EXPORTERS, MAX_AGE, World

TRACER: Final = TracerProvider(shutdown_on_exit=False).get_tracer("model")
CAUSES: Final = {
    "fail": "503",
    "raise": "503",
    "partly": "503",
    "gone": "404",
    "refuse": "400",
    "accept unheard": "timeout",
}
FAILURE: Final = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "litellm.outcome": "failure",
    "error.type": "InternalServerError",
}


class Exporter(SpanExporter):
    """Sends to a destination that answers as the world says."""

    limits = Policy()

    def __init__(self, world: World, name: str, life: int) -> None:
        self.world, self.name, self.life = world, name, life
        self.last = Tally()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Accept, refuse or fail."""
        world = self.world
        calls = [world.calls[encode(span)[0]] for span in spans]
        answer, self.last = world.answers[self.name], Tally()
        world.step()
        if answer == "raise":
            world.failed.add(self.name)
            raise RuntimeError
        taken = calls[: (len(calls) + 1) // 2] if answer == "partly" else calls
        if answer in ("fail", "gone"):
            taken = []
        if answer != "refuse":
            world.arrive(self.name, taken)
        if answer in CAUSES:
            self.last.dropped[CAUSES[answer]] = len(calls)
            world.failed.add(self.name)
        if answer != "accept unheard":
            world.settle(self.name, taken, self.life)
            keys = {encode(span)[0] for span in spans[: len(taken)]}
            self.last.accepted.update(keys if answer != "refuse" else ())
        return SpanExportResult.FAILURE if self.last.dropped else SpanExportResult.SUCCESS


class Desk(AlertExporter):
    """A destination of alerts."""

    name: ClassVar[str] = DESK
    variables = Variables(keys=(), url=("DESK_URL",))
    rate = 1e9

    def __init__(self, world: World, life: int) -> None:
        super().__init__(thresholds=Thresholds(), state=State())
        self.turn_on("http://127.0.0.1:9", {})
        assert self.engine is not None
        self.engine.clock = lambda: world.now
        self.world, self.life = world, life
        delivery: Any = self.delivery
        delivery.send = self.deliver

    def message(self, notices: Sequence[Notice], lost: int) -> Any:
        """What the destination sees."""
        return [(dict(each.finding.labels)["model"], each.turn) for each in notices]

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Examine calls."""
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS:
            self.world.failed.add(DESK)
        return result

    def deliver(self, items: Sequence[Item]) -> Tally:
        """The destination receives one message."""
        world, tally = self.world, Tally()
        answer = world.answers[DESK]
        world.step()
        found = [(call, turn) for item in items for call, turn in json.loads(item.data)]
        begun = [call for call, turn in found if turn != "resolved"]
        cause = CAUSES.get(answer, "")
        if cause in ("", "timeout"):
            ended = {call for call, turn in found if turn == "resolved"}
            world.book.strange |= ended - world.alerted
            world.arrive(DESK, begun)
            world.alerted.update(begun)
        if cause in ("", "400"):
            world.alerted.update(begun)
            world.settle(DESK, begun, self.life)
        if cause:
            tally.dropped[cause] = 1
            world.failed.add(DESK + ALERTS)
        return tally


class Audit:
    """A handler that answers as the world says."""

    def __init__(self, world: World, life: int) -> None:
        self.world, self.life = world, life
        self.started: set[str] = set()
        self.inside: list[str] = []  # calls whose end a worker delivers
        self.waiting: list[asyncio.Future[None]] = []

    @property
    def stuck(self) -> bool:
        """Whether its methods do not return."""
        return self.world.answers[AUDIT] in ("stuck", "slow")

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """A call starts."""
        assert (self.life, (AUDIT, model)) not in self.world.book.heard
        self.started.add(model)

    def log_failure_event(self, kwargs: Any, **_: Any) -> None:
        """A call has ended."""
        self.receive(kwargs)
        self.inside.append(kwargs["model"])
        if self.world.answers[AUDIT] == "raise":
            raise RuntimeError

    async def async_log_failure_event(self, kwargs: Any, **_: Any) -> None:
        """The same, on an event loop."""
        self.receive(kwargs)
        if self.stuck:
            self.waiting.append(asyncio.get_running_loop().create_future())
            await self.waiting[-1]
        self.world.settle(AUDIT, [kwargs["model"]], self.life)
        if self.world.answers[AUDIT] == "raise":
            raise RuntimeError

    def receive(self, kwargs: Any) -> None:
        """The end of a call arrives."""
        self.world.step()
        self.world.arrive(AUDIT, [kwargs["model"]])
        if kwargs["litespan"]["late"] == (kwargs["model"] in self.started):
            self.world.book.strange.add(kwargs["model"])


class Threads(Executor):
    """The event loop of a handler and its workers, on the test's thread."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.workers = self
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)  # of tasks that die with the process
        self.waiting: list[Callable[[], None]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a method, now or once the handler is free."""
        future: Future[Any] = Future()
        audit, results, calls = self.audit, list[Any](), list[str]()

        def run() -> None:
            results.append(fn(*args))
            calls.extend(audit.inside)
            audit.inside.clear()

        def finish() -> None:
            audit.world.settle(AUDIT, calls, audit.life)
            future.set_result(results[0])

        steps = [run, finish]
        if audit.world.answers[AUDIT] != "stuck":
            steps.pop(0)()
        if audit.stuck:
            self.waiting += steps
        else:
            finish()
        return future

    def call(self, function: Callable[[], None]) -> None:
        """See `litespan.callbacks.threads.Threads`."""
        self.loop.call_soon(function, context=Context())

    def stop(self) -> None:
        """See `litespan.callbacks.threads.Threads`."""

    def turn(self) -> None:
        """Run until everything waits."""
        if not self.audit.stuck:
            for step in self.waiting:
                step()
            self.waiting.clear()
            for each in self.audit.waiting:
                each.set_result(None)
            self.audit.waiting.clear()
        loop: Any = self.loop
        while loop._ready or loop._scheduled:
            loop.call_soon(loop.stop)
            loop.run_forever()


class Life:
    """One process, from its start to its death.

    Args:
        world: where it lives.
        number: of the process.
        whole: whether it has the desk and the handler, and not only the exporters.
    """

    def __init__(self, world: World, number: int, *, whole: bool = True) -> None:
        self.world, self.number, self.whole = world, number, whole
        self.queued: list[str] = []  # calls that are not written
        self.ended: list[str] = []
        self.recorder = Recorder(Directory(world.folder, Limits(max_age=MAX_AGE, sync=world.sync)))
        exporters: dict[str, Any] = {name: Exporter(world, name, number) for name in EXPORTERS}
        if whole:
            exporters[DESK] = Desk(world, number)
            handler = Handler(Audit(world, number), {}, AUDIT)
            self.dispatcher = Dispatcher(handler)
            self.threads = Threads(handler.target)
            self.dispatcher._threads = self.threads  # type: ignore[assignment]
            self.keeper = self.dispatcher.keeper = HandlerKeeper(self.dispatcher, self.recorder)
            view: Any = SimpleNamespace(handler=handler, dispatcher=self.dispatcher)
            self.external = ExternalCalls(view)
        self.processors = {
            name: SpoolProcessor(each, self.recorder.join(name), self.recorder, None)
            for name, each in exporters.items()
        }
        self.engine: Any = exporters[DESK].engine if whole else None

    def end_call(self, number: int) -> str:
        """A call fails, and waits in the queues."""
        call = f"m{number}"
        attributes = {**FAILURE, "gen_ai.request.model": call}
        if number % 2:
            attributes["litellm.call_type"] = "acompletion"
        span: Any = TRACER.start_span("chat", attributes=attributes)
        self.world.calls[encode(span)[0]] = call
        self.world.on_loop = bool(number % 2)
        if self.whole:
            self.external.on_start(span, None, inside=False)
        span.set_status(StatusCode.ERROR)
        span.end()
        if self.whole:
            self.external.on_end(span)
            if not number % 5:  # the handler's queue has the end of a call before its span ends
                end, span._end_time = span.end_time, None
                self.recorder.wait(time.monotonic() + 60)
                span._end_time = end
        for each in self.processors.values():
            each.on_end(span)
        self.queued.append(call)
        self.ended.append(call)
        return call

    def write(self) -> list[str]:
        """Write the queues. Returns the calls."""
        if self.whole:
            run(self.keeper._pool)  # calls that had not ended when they were to be written
        assert self.recorder.wait(time.monotonic() + 60)
        calls, self.queued = self.queued, []
        return calls

    def work(self, name: str | None) -> None:
        """Deliver to one destination."""
        if name == AUDIT and self.whole:
            self.threads.turn()
            run(self.keeper._pool, self.keeper._remove, self.keeper._look)
            self.threads.turn()
            run(self.keeper._pool, self.keeper._remove)
        elif name in self.processors:
            self.processors[name].force_flush(60_000)
            if name == DESK:
                run(self.engine._pool, self.engine._turn)

    def stop(self) -> None:
        """End as a process should."""
        if self.whole:
            self.threads.turn()
            self.dispatcher.close()
            self.keeper.close(time.monotonic() + 60)
        for each in self.processors.values():
            each.shutdown()

    def die(self) -> None:
        """Release what the operating system releases."""
        for each in self.recorder.directory._files:
            each._leave()
        if self.whole:
            self.threads.loop.close()


def run(pool: Pool, *functions: Callable[[], object]) -> None:
    """Run functions, and what is due in a pool."""
    done: list[bool] = []
    for function in functions:
        pool.submit(function)
    pool.submit(lambda: done.append(True), time.monotonic())
    pool.wait_for(lambda: done or pool._closed, time.monotonic() + 60)
