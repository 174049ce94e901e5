"""The public functions that instrument LiteLLM where nothing else has: one line is enough."""

from collections.abc import Iterable
from typing import Any

from litespan.callbacks.registration import AddedCallback, add
from litespan.instrumentor import LiteLLMInstrumentor
from litespan.routing import configuration
from litespan.routing.destinations import Entry
from litespan.routing.takeover import start_takeover


def add_callback(handler: Any = None, **options: Any) -> AddedCallback:
    """Deliver the stages of every LiteLLM call, sampled or not, to a handler.

    LiteLLM is instrumented with the global providers if it is not instrumented yet.

    Args:
        handler: see `CallbackSpanProcessor`.
        options: the other arguments of `CallbackSpanProcessor`.

    Returns:
        A handle with `remove()`. A handler that was added before is not added again: the call
        returns the handle it has, and logs one line.

    Raises:
        BadHandler: a TypeError that says what is wrong and how to fix it.
    """
    added = add(handler, options)
    LiteLLMInstrumentor().instrument_if_nobody_has()
    return added


def adopt() -> None:
    """Take over what litespan serves in LiteLLM's callback lists, from the next call on.

    The lists are `litellm.input_callback`, `success_callback`, `failure_callback` and
    `callbacks`. litespan takes the names of its exporters that are set up, and the user's
    `CustomLogger` instances that override logging methods only. Assigning a new list replaces
    what was taken from the old one; appending adds to it. `LITESPAN_ADOPT=true` does the same.

    LiteLLM is instrumented with the global providers if it is not instrumented yet.
    """
    start_takeover()
    LiteLLMInstrumentor().instrument_if_nobody_has()


def configure(
    *,
    input: Iterable[Entry] | Entry | None = None,  # noqa: A002 - LiteLLM's word for it
    success: Iterable[Entry] | Entry | None = None,
    failure: Iterable[Entry] | Entry | None = None,
) -> None:
    """Give exporters the calls of one stage: LiteLLM's three callback lists, for exporters.

    Each list holds names of exporters (any in `opentelemetry_traces_exporter`), `SpanExporter`s,
    or `Route`s that limit content or calls. A list replaces the one set before, also the one set
    by `LITESPAN_INPUT`, `LITESPAN_SUCCESS` or `LITESPAN_FAILURE`; None leaves a list unchanged.
    An exporter in several lists gets each call once.

    LiteLLM is instrumented with the global providers if it is not instrumented yet.

    Args:
        input: get calls before their request is sent; they must have `export_started`.
        success: get the calls that succeeded, whole or in part.
        failure: get the calls that failed or were cancelled.

    Raises:
        BadRoute: a ValueError that says what is wrong and how to fix it. The other entries of
            the lists are in force.
    """
    LiteLLMInstrumentor().instrument_if_nobody_has()
    configuration.configure(input, success, failure)
