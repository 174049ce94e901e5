"""`litespan.adopt` and `LITESPAN_ADOPT`: take over the entries of LiteLLM's callback lists.

A program that fills `litellm.success_callback` and the other lists runs unchanged: names of our
exporters and handlers that only log are removed from the lists before LiteLLM uses them. Those
exporters and handlers then receive the calls of their list from litespan. Other entries stay.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from types import SimpleNamespace
from typing import Any, Final

from litespan.callbacks.handler import BadHandler
from litespan.callbacks.registration import AddedCallback, add
from litespan.errors import log_once, logger, suppress_errors
from litespan.instrumentation.signals import Live
from litespan.routing.configuration import Routes
from litespan.routing.destinations import BadRoute, StageList, create_exporter
from litespan.routing.litellm_names import answer, exporter_name

STAGES: Final[Mapping[str, tuple[StageList, ...]]] = {
    "input_callback": ("input",),
    "success_callback": ("success",),
    "failure_callback": ("failure",),
    "callbacks": ("success", "failure"),
}
"""LiteLLM's lists → the stage lists of an exporter that is named in them."""
_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "input_callback": ("log_pre_api_call", "log_post_api_call"),
    "success_callback": ("log_success_event", "log_stream_event"),
    "failure_callback": ("log_failure_event",),
}
_ALL: Final = tuple(name for names in _METHODS.values() for name in names)
_LOGGING: Final = frozenset([*_ALL, *(f"async_{name}" for name in _ALL)])
_INTERNAL: Final = frozenset({"cache"})  # LiteLLM adds it itself
_LITELLM: Final = ("litellm.", "litellm_enterprise.", "litellm_proxy_extras.")


@dataclass(slots=True)
class WatchedList:
    """One of LiteLLM's lists, as it was at the last check."""

    name: str
    entries: Any = None
    length: int = -1
    taken: list[Any] = field(default_factory=list)  # entries that were removed from it


class Takeover:
    """The entries that were taken from LiteLLM's lists, and the handlers added for them."""

    def __init__(self) -> None:
        self._lists = [WatchedList(name) for name in STAGES]
        self._added: dict[int, tuple[Any, frozenset[str], AddedCallback]] = {}  # by id of handler
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
                    entries.extend(watched.taken)
                watched.taken = []
            self._apply()

    def _take_over(self, litellm: Any) -> None:
        with self._lock:
            before = [list(watched.taken) for watched in self._lists]
            for watched in self._lists:
                self._take_entries(litellm, watched)
            if before == [watched.taken for watched in self._lists]:
                return
            self._apply()
            self._log()

    def _take_entries(self, litellm: Any, watched: WatchedList) -> None:
        entries = getattr(litellm, watched.name, ())
        if not isinstance(entries, list):
            watched.entries, watched.length, watched.taken = entries, len(entries or ()), []
            return
        if entries is not watched.entries:  # a new list was assigned
            watched.taken = []
        taken = [entry for entry in entries if self._accepts(entry)]
        if taken:
            # Not in place: the program may use its list elsewhere.
            entries = [entry for entry in entries if not _contains(taken, entry)]
            setattr(litellm, watched.name, entries)
            watched.taken += [entry for entry in taken if not _contains(watched.taken, entry)]
            self._remove_copies(litellm, watched, taken)
        watched.entries, watched.length = entries, len(entries)
        for entry in entries:
            if isinstance(entry, str) and entry not in _INTERNAL and exporter_name(entry) is None:
                log_once(f"adopt:{entry}", "%s", answer(entry))

    def _remove_copies(self, litellm: Any, watched: WatchedList, taken: Sequence[Any]) -> None:
        """Remove the entries from the lists that LiteLLM copies them to."""
        copies = [f"_async_{watched.name}"]
        if watched.name == "callbacks":
            copies = [name for each in _METHODS for name in (each, f"_async_{each}")]
        for name in copies:
            if isinstance(entries := getattr(litellm, name, None), list):
                entries[:] = [entry for entry in entries if not _contains(taken, entry)]

    def _accepts(self, entry: Any) -> bool:
        if isinstance(entry, str):
            return (name := exporter_name(entry)) is not None and self._is_on(entry, name)
        return only_logs(entry) and self._is_handler(entry)

    def _is_on(self, entry: str, name: str) -> bool:
        """Whether our exporter is set up; if not, LiteLLM's own may be."""
        if name in self._off:
            return False
        if any(entry in watched.taken for watched in self._lists):
            return True
        problem = ""
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

    def _is_handler(self, handler: Any) -> bool:
        try:
            add(_stages(handler, frozenset(STAGES)), {}).remove()
        except BadHandler as error:
            log_once(f"adopt:{type(handler)!r}", "a callback is left to LiteLLM: %s", error)
            return False
        return True

    def _apply(self) -> None:
        """Configure the exporters and handlers for what is taken now."""
        lists: dict[StageList, tuple[str, ...]] = {}
        handlers: dict[int, tuple[Any, frozenset[str]]] = {}
        for watched in self._lists:
            for entry in watched.taken:
                if isinstance(entry, str):
                    for stage in STAGES[watched.name]:
                        name = exporter_name(entry) or entry
                        lists[stage] = (*(n for n in lists.get(stage, ()) if n != name), name)
                else:
                    _, where = handlers.get(id(entry), (entry, frozenset()))
                    handlers[id(entry)] = (entry, where | {watched.name})
        for problem in Routes.adopt(lists):
            log_once(f"adopt:{problem}", "LiteLLM's lists: %s", problem)
        for key, (_, where, added) in list(self._added.items()):
            if handlers.get(key, (None, None))[1] != where:
                added.remove()
                del self._added[key]
        for key, (handler, where) in handlers.items():
            if key not in self._added:
                name = f"{type(handler).__module__}.{type(handler).__qualname__}"
                added = add(_stages(handler, where), {"name": name})
                self._added[key] = (handler, where, added)

    def _log(self) -> None:
        names = {
            watched.name: [e if isinstance(e, str) else type(e).__qualname__ for e in watched.taken]
            for watched in self._lists
        }
        taken = "; ".join(f"{name}: {', '.join(found)}" for name, found in names.items() if found)
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


def only_logs(handler: Any) -> bool:
    """Whether it is a user's `CustomLogger` that overrides logging methods only.

    Other methods (proxy hooks, guardrails, changes to the request) can only be called by
    LiteLLM. A handler that wants redacted messages also stays with LiteLLM, which redacts them.
    """
    base: Any = getattr(sys.modules.get("litellm.integrations.custom_logger"), "CustomLogger", None)
    if base is None or not isinstance(handler, base):
        return False
    defined = set(vars(handler))
    for kind in type(handler).__mro__:
        if kind is base:
            break
        if f"{kind.__module__}.".startswith(_LITELLM):
            return False
        defined |= set(vars(kind))
    names = (name for name in defined if not name.startswith("__"))
    hooks = {name for name in names if callable(getattr(base, name, None))}
    redacted = (
        getattr(handler, "turn_off_message_logging", False) is True
        or getattr(handler, "message_logging", True) is False
    )
    return bool(hooks) and hooks <= _LOGGING and not redacted


def _stages(handler: Any, lists: frozenset[str]) -> SimpleNamespace:
    """A handler with the methods for the stages of these lists."""
    names = _ALL if "callbacks" in lists else [n for each in lists for n in _METHODS[each]]
    base: Any = sys.modules["litellm.integrations.custom_logger"].CustomLogger
    wanted = [each for name in names for each in (name, f"async_{name}")]
    return SimpleNamespace(
        **{
            name: getattr(handler, name)
            for name in wanted
            if name in vars(handler)
            or getattr(type(handler), name, None) is not getattr(base, name, None)
        }
    )


def _contains(entries: Sequence[Any], entry: Any) -> bool:
    """Compares strings by value and handlers by identity: they may define `__eq__`."""
    return any(
        entry is other or (isinstance(entry, str) and isinstance(other, str) and entry == other)
        for other in entries
    )
