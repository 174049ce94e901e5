"""`litespan.configure`: which exporters are given which calls."""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Final
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.context import Context

from litespan.errors import log_once
from litespan.instrumentation.call import Call
from litespan.instrumentation.signals import Live
from litespan.instrumentation.stages import replace_watcher
from litespan.routing.destinations import (
    LISTS,
    BadRoute,
    Destination,
    Entry,
    StageList,
    as_list,
    destinations,
)
from litespan.routing.processor import RoutingProcessor
from litespan.routing.started_calls import StartedCalls
from litespan.settings import Settings

_lock: Final = Lock()


def give(
    input: Iterable[Entry] | Entry | None,  # noqa: A002 - LiteLLM's word for it
    success: Iterable[Entry] | Entry | None,
    failure: Iterable[Entry] | Entry | None,
) -> None:
    """Put the lists of `litespan.configure` in force. Raises BadRoute."""
    given = dict(zip(LISTS, map(as_list, (input, success, failure)), strict=True))
    problems = Routes.give({stage: list_ for stage, list_ in given.items() if list_ is not None})
    if problems:
        raise BadRoute("; ".join(problems))


def configure_from(settings: Settings) -> None:
    """The lists of the environment; what is wrong with them is one line each."""
    lists: Mapping[StageList, tuple[Entry, ...]] = {
        "input": settings.input,
        "success": settings.success,
        "failure": settings.failure,
    }
    named = {stage: list_ for stage, list_ in lists.items() if list_}
    variables = ", ".join(f"LITESPAN_{stage.upper()}" for stage in named)
    for problem in Routes.name(named, dict(settings.exporter_content)):
        log_once(f"routes:{problem}", "%s: %s", variables, problem)


def forget_environment() -> None:
    """Put the lists of the environment out of force."""
    Routes.name({}, {})


class Routes:
    """The lists in force, and what they lead to."""

    _given: Mapping[StageList, tuple[Entry, ...]] = {}
    _named: Mapping[StageList, tuple[Entry, ...]] = {}  # in the environment
    _adopted: Mapping[StageList, tuple[Entry, ...]] = {}  # out of LiteLLM's lists
    _content: Mapping[str, float] = {}
    _there: Mapping[str | int, Destination] = {}
    _started: tuple[StartedCalls, ...] = ()
    _routing: Final = RoutingProcessor()
    _attached: Final["WeakSet[Any]"] = WeakSet()  # the tracer providers

    @classmethod
    def give(cls, lists: Mapping[StageList, tuple[Entry, ...]]) -> list[str]:
        """Put lists in force that are given in code; what is wrong with them."""
        with _lock:
            cls._given = {**cls._given, **lists}
            return cls._change()

    @classmethod
    def name(
        cls, lists: Mapping[StageList, tuple[Entry, ...]], content: Mapping[str, float]
    ) -> list[str]:
        """Put lists in force that the environment names; what is wrong with them."""
        with _lock:
            cls._named, cls._content = lists, content
            return cls._change()

    @classmethod
    def adopt(cls, lists: Mapping[StageList, tuple[Entry, ...]]) -> list[str]:
        """Put lists in force beside the others; what is wrong with them."""
        with _lock:
            cls._adopted = lists
            return cls._change()

    @classmethod
    def _change(cls) -> list[str]:
        lists = {**cls._named, **cls._given}
        for stage, adopted in cls._adopted.items():
            lists[stage] = (*lists.get(stage, ()), *adopted)
        there, problems = destinations(lists, cls._content, cls._there)
        cls._there = there
        cls._routing.serve(there.values())
        for started in cls._started:
            replace_watcher(started.watch)
            started.delivery.close()
        cls._started = tuple(StartedCalls(each) for each in there.values() if "input" in each.lists)
        for started in cls._started:
            replace_watcher(None, started.watch)
        replace_watcher(cls._attach, *((cls._attach,) if there else ()))
        if there:
            cls._attach()
        return problems

    @classmethod
    def _attach(cls, call: Call | None = None, _ctx: Context | None = None) -> None:
        """Add the routing to the tracer provider, once there is one: at the latest at a call."""
        signals = Live.signals
        given = signals.providers[0] if signals is not None else None
        provider: Any = given or trace.get_tracer_provider()
        if provider in cls._attached:
            return
        if hasattr(provider, "add_span_processor"):
            cls._attached.add(provider)
            provider.add_span_processor(cls._routing)
        elif call is not None:
            log_once(
                "no provider to route",
                "exporters are listed by stage, but there is no OpenTelemetry TracerProvider: they "
                "are given nothing; start the program with opentelemetry-instrument, or set a "
                "provider before the first call",
            )
