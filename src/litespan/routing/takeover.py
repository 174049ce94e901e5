"""`litespan.adopt` and `LITESPAN_ADOPT`: take over the entries of LiteLLM's callback lists.

A program that fills `litellm.success_callback` and the other lists runs unchanged: names of our
exporters and handlers that only log are removed from the lists before LiteLLM uses them. Those
exporters and handlers then receive the calls of their list from litespan. Other entries stay.
"""

import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from litespan.callbacks.handler import name_of
from litespan.callbacks.registration import AddedCallback, add
from litespan.errors import log_once, logger, suppress_errors
from litespan.instrumentation.signals import Live
from litespan.routing.configuration import Routes
from litespan.routing.destinations import BadRoute, StageList, create_exporter
from litespan.routing.litellm_handlers import METHODS, has_stages_of, of_stages, only_logs
from litespan.routing.litellm_names import answer, exporter_name

STAGES: Final[Mapping[str, tuple[StageList, ...]]] = {
    "input_callback": ("input",),
    "success_callback": ("success",),
    "failure_callback": ("failure",),
    "callbacks": ("success", "failure"),
}
"""LiteLLM's lists → the stage lists of an exporter that is named in them."""
_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CACHE: Final = "cache"  # LiteLLM adds it itself


@dataclass(slots=True)
class WatchedList:
    """One of LiteLLM's lists, as it was at the last check."""

    name: str
    entries: Any = None
    length: int = -1
    taken: dict[str | int, Any] = field(default_factory=dict)  # entries that were removed from it


class Takeover:
    """The entries that were taken from LiteLLM's lists, and the handlers added for them."""

    def __init__(self) -> None:
        self._lists = [WatchedList(name) for name in STAGES]
        self._added: dict[str | int, tuple[Any, frozenset[str], AddedCallback]] = {}
        self._off: set[str] = set()  # names of exporters that are off
        self._lock = Lock()

    def check_lists(self) -> None:
        """Take over new entries, if a list was assigned or its length changed."""
        with suppress_errors("adopting LiteLLM's callbacks"):
            litellm = sys.modules["litellm"]
            for watched in self._lists:
                entries = getattr(litellm, watched.name, ())
                if entries is not watched.entries or len(entries or ()) != watched.length:
                    self._take_over(litellm)
                    return

    def stop(self) -> None:
        """Put all entries back into LiteLLM's lists."""
        litellm: Any = sys.modules.get("litellm")
        with self._lock:
            for watched in self._lists:
                if watched.taken and isinstance(entries := getattr(litellm, watched.name), list):
                    entries.extend(watched.taken.values())
                watched.taken = {}
            self._apply()

    def _take_over(self, litellm: Any) -> None:
        with self._lock:
            before = [[*watched.taken] for watched in self._lists]
            for watched in self._lists:
                self._take_entries(litellm, watched)
            if before == [[*watched.taken] for watched in self._lists]:
                return
            self._apply()
            self._log()

    def _take_entries(self, litellm: Any, watched: WatchedList) -> None:
        entries = getattr(litellm, watched.name, ())
        if entries is not watched.entries:  # a new list was assigned
            watched.taken = {}
        if isinstance(entries, list):
            taken = {_key(entry): entry for entry in entries if self._accepts(entry, watched.name)}
            if taken:
                # Not in place: the program may use its list elsewhere.
                entries = _without(taken, entries)
                setattr(litellm, watched.name, entries)
                watched.taken |= taken
                _remove_copies(litellm, watched.name, taken)
            for entry in entries:
                if isinstance(entry, str) and entry != _CACHE and exporter_name(entry) is None:
                    log_once(f"adopt:{entry}", "%s", answer(entry))
        watched.entries, watched.length = entries, len(entries or ())

    def _accepts(self, entry: Any, list_: str) -> bool:
        with suppress_errors("reading an entry of LiteLLM's callback lists"):
            if isinstance(entry, str):
                return (name := exporter_name(entry)) is not None and self._is_on(entry, name)
            return only_logs(entry) and has_stages_of(entry, list_)
        return False

    def _is_on(self, entry: str, name: str) -> bool:
        """Whether our exporter is set up; if not, LiteLLM's own may be."""
        if name in self._off:
            return False
        if any(entry in watched.taken for watched in self._lists):
            return True
        try:
            exporter: Any = create_exporter(name)
        except BadRoute as error:
            problem = str(error)
        else:
            problem = getattr(exporter, "problem", "")
            exporter.shutdown()
        if problem:
            self._off.add(name)
            log_once(f"adopt:{entry}", "%r is left to LiteLLM: %s", entry, problem)
        return not problem

    def _apply(self) -> None:
        """Configure the exporters and handlers for what is taken now."""
        lists: dict[StageList, tuple[str, ...]] = {}
        handlers: dict[str | int, tuple[Any, frozenset[str]]] = {}
        for watched in self._lists:
            for key, entry in watched.taken.items():
                if isinstance(entry, str):
                    for stage in STAGES[watched.name]:
                        lists[stage] = (*lists.get(stage, ()), exporter_name(entry) or entry)
                else:
                    _, where = handlers.get(key, (entry, frozenset()))
                    handlers[key] = (entry, where | {watched.name})
        for problem in Routes.adopt(lists):
            log_once(f"adopt:{problem}", "LiteLLM's lists: %s", problem)
        for key, (_, where, added) in list(self._added.items()):
            if handlers.get(key, (None, None))[1] != where:
                added.remove()
                del self._added[key]
        for key, (handler, where) in handlers.items():
            if key not in self._added:
                added = add(of_stages(handler, where), {"name": name_of(type(handler))})
                self._added[key] = (handler, where, added)

    def _log(self) -> None:
        names = {
            watched.name: ", ".join(
                entry if isinstance(entry, str) else type(entry).__qualname__
                for entry in watched.taken.values()
            )
            for watched in self._lists
        }
        taken = "; ".join(f"{name}: {found}" for name, found in names.items() if found)
        logger.warning(
            "taken over from LiteLLM's lists: %s. Exporters receive messages only if %s=SPAN_ONLY "
            "is set",
            taken or "nothing (all entries were removed)",
            _CONTENT,
        )


def start_takeover() -> None:
    """Check LiteLLM's lists before each call, and take over their entries."""
    if Live.look is None:
        Live.look = Takeover().check_lists


def stop_takeover() -> None:
    """Put the entries back into LiteLLM's lists, and stop checking them."""
    check_lists: Any = Live.look
    Live.look = None
    if check_lists is not None:
        check_lists.__self__.stop()


def _remove_copies(litellm: Any, list_: str, taken: Container[Any]) -> None:
    """Remove the entries from the lists that LiteLLM copies them to."""
    copies = [f"_async_{list_}"]
    if list_ == "callbacks":
        copies = [name for each in METHODS for name in (each, f"_async_{each}")]
    for name in copies:
        if isinstance(entries := getattr(litellm, name, None), list):
            entries[:] = _without(taken, entries)


def _without(taken: Container[Any], entries: Sequence[Any]) -> list[Any]:
    return [entry for entry in entries if _key(entry) not in taken]


def _key(entry: Any) -> str | int:
    """Compares strings by value and handlers by identity: they may define `__eq__`."""
    return entry if isinstance(entry, str) else id(entry)
