"""The stage lists of `litespan.configure` and of the environment, and their exporters."""

from collections.abc import Iterable, Mapping
from threading import RLock
from typing import Any, ClassVar, Final
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
    Key,
    StageList,
    as_list,
    destinations,
    key_of,
)
from litespan.routing.processor import RoutingProcessor
from litespan.routing.started_calls import StartedCalls
from litespan.settings import Settings

Lists = Mapping[StageList, tuple[Entry, ...]]
_lock: Final = RLock()


def configure(
    input: Iterable[Entry] | Entry | None,  # noqa: A002 - LiteLLM's word for it
    success: Iterable[Entry] | Entry | None,
    failure: Iterable[Entry] | Entry | None,
) -> None:
    """Apply the lists of `litespan.configure`; None leaves a list unchanged.

    Raises BadRoute for the entries that are given here, not for those of other lists.
    """
    lists = zip(LISTS, map(as_list, (input, success, failure)), strict=True)
    problems = Routes.configure({stage: names for stage, names in lists if names is not None})
    if problems:
        raise BadRoute("; ".join(problems))


def configure_from(settings: Settings) -> None:
    """Apply the lists of the environment; each problem is logged in one line."""
    used = {stage: names for stage in LISTS if (names := getattr(settings, stage))}
    variables = ", ".join(f"LITESPAN_{stage.upper()}" for stage in used)
    for problem in Routes.configure_from_environment(used, dict(settings.exporter_content)):
        log_once(f"routes:{problem}", "%s: %s", variables, problem)


class Routes:
    """The current lists and their destinations."""

    _configured: ClassVar[Lists] = {}  # in code
    _from_environment: ClassVar[Lists] = {}
    _adopted: ClassVar[Lists] = {}  # from LiteLLM's lists
    _content: Mapping[str, float] = {}
    _destinations: Mapping[Key, Destination] = {}
    _started: tuple[StartedCalls, ...] = ()
    _processor: Final = RoutingProcessor()
    _attached: Final["WeakSet[Any]"] = WeakSet()  # the tracer providers

    @classmethod
    def configure(cls, lists: Lists) -> list[str]:
        """Replace these lists from code. Returns the problems."""
        with _lock:
            cls._configured = {**cls._configured, **lists}
            return cls._apply(lists)

    @classmethod
    def configure_from_environment(cls, lists: Lists, content: Mapping[str, float]) -> list[str]:
        """Replace all lists from the environment. Returns the problems."""
        with _lock:
            cls._from_environment, cls._content = lists, content
            return cls._apply(lists)

    @classmethod
    def adopt(cls, lists: Lists) -> list[str]:
        """Replace the additional lists from LiteLLM. Returns the problems."""
        with _lock:
            cls._adopted = lists
            return cls._apply(lists)

    @classmethod
    def _apply(cls, given: Lists) -> list[str]:
        """Apply all lists. Returns the problems with the entries in `given`."""
        lists = {**cls._from_environment, **cls._configured}
        for stage, adopted in cls._adopted.items():
            lists[stage] = (*lists.get(stage, ()), *adopted)
        found, problems = destinations(lists, cls._content, cls._destinations)
        cls._destinations = found
        cls._processor.set_destinations(found.values())
        for started in cls._started:
            replace_watcher(started.watch)
            started.dispatcher.close()
        cls._started = tuple(StartedCalls(each) for each in found.values() if "input" in each.lists)
        for started in cls._started:
            replace_watcher(None, started.watch)
        replace_watcher(cls._attach, *((cls._attach,) if found else ()))
        if found:
            cls._attach()
        changed = {key_of(entry) for entries in given.values() for entry in entries}
        return [problem for key, problem in problems.items() if key in changed]

    @classmethod
    def _attach(cls, call: Call | None = None, _ctx: Context | None = None) -> None:
        """Add the processor to the tracer provider: now, or when a call starts."""
        signals = Live.signals
        own = signals.providers[0] if signals is not None else None
        provider: Any = own or trace.get_tracer_provider()
        if provider in cls._attached:
            return
        if hasattr(provider, "add_span_processor"):
            with _lock:
                if provider not in cls._attached:  # another call may have started meanwhile
                    cls._attached.add(provider)
                    provider.add_span_processor(cls._processor)
        elif call is not None:
            log_once(
                "no provider to route",
                "exporters are listed by stage, but there is no OpenTelemetry TracerProvider, so "
                "they receive nothing: start the program with opentelemetry-instrument, or set a "
                "provider before the first call",
            )
