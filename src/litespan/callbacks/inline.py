"""Delivers the stages of calls to one handler on the caller's thread."""

from litespan.callbacks.call_queue import CallQueue
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import STAGES
from litespan.callbacks.invoke import attempt, report_failure
from litespan.counters import count
from litespan.instrumentation.stages import ENDS, Stage


class InlineDispatcher(Dispatcher):
    """Runs sync methods at once. It has no threads, and nothing waits in its queues."""

    def dispatch(self, queue: CallQueue, stage: Stage) -> None:
        """Deliver a stage; that of the end closes the queue."""
        try:
            if queue in self.queues:  # else opened in the parent, before a fork
                queue.context.run(self._deliver_now, queue, stage)
        finally:
            if stage.name in ENDS:
                self.close_queue(queue)

    def _deliver_now(self, queue: CallQueue, stage: Stage) -> None:
        method = self.handler.method(STAGES[stage.name], asynchronous=False)
        if method is None:
            return
        run = queue.bind(method, stage)
        if run is None:
            count(f"callbacks.{self.name}.undelivered")
            return
        _, error = attempt(run)
        if isinstance(error, KeyboardInterrupt):  # Ctrl-C is meant for the program
            raise error
        if error is not None:
            report_failure(self.handler, method, error)
        else:
            count(f"callbacks.{self.name}.delivered")

    def _start_threads(self) -> None:
        """There are none."""
