"""Public functions that also instrument LiteLLM if it is not instrumented yet."""

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
        A handle with `remove()`. Adding a handler again returns its existing handle and logs one
        line.

    Raises:
        BadHandler: a TypeError whose message explains the problem and how to fix it.
    """
    added = add(handler, options)
    LiteLLMInstrumentor().instrument_implicitly()
    return added


def adopt() -> None:
    """Take over the entries of LiteLLM's callback lists that litespan supports.

    The lists are `litellm.input_callback`, `success_callback`, `failure_callback` and
    `callbacks`. From the next call on, litespan serves the names of exporters that are
    configured, and the user's `CustomLogger` instances that override logging methods only.
    Assigning a new list replaces the entries of the old one; appending adds to them.
    `LITESPAN_ADOPT=true` does the same.

    LiteLLM is instrumented with the global providers if it is not instrumented yet.
    """
    start_takeover()
    LiteLLMInstrumentor().instrument_implicitly()


def configure(
    *,
    input: Iterable[Entry] | Entry | None = None,  # noqa: A002 - LiteLLM's name
    success: Iterable[Entry] | Entry | None = None,
    failure: Iterable[Entry] | Entry | None = None,
) -> None:
    """Set the exporters for started, successful and failed calls.

    The three lists correspond to LiteLLM's callback lists. Each contains exporter names (entry
    points of `opentelemetry_traces_exporter`), `SpanExporter`s, or `Route`s that limit content
    or calls. A list replaces the previous one, including one from `LITESPAN_INPUT`,
    `LITESPAN_SUCCESS` or `LITESPAN_FAILURE`; None leaves a list unchanged. An exporter in
    several lists receives each call once.

    LiteLLM is instrumented with the global providers if it is not instrumented yet.

    Args:
        input: exporters that receive calls before their request is sent; they must have
            `export_started`.
        success: exporters that receive calls that succeeded, fully or partly.
        failure: exporters that receive calls that failed or were cancelled.

    Raises:
        BadRoute: a ValueError whose message explains the problem and how to fix it. The other
            entries take effect.
    """
    LiteLLMInstrumentor().instrument_implicitly()
    configuration.configure(input, success, failure)
