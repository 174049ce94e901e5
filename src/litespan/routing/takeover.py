"""`litespan.adopt` and `LITESPAN_ADOPT`: LiteLLM's callback lists lead to our exporters.

A program that fills `litellm.success_callback` and its like runs unchanged: the names that we
serve are taken out of LiteLLM's lists before LiteLLM makes anything of them, and the exporters
of those names are given the calls of that list. Handlers that only log are told their stages by
us. All else stays where it is.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from types import SimpleNamespace
from typing import Any, Final

from litespan.callbacks.handler import BadHandler
from litespan.callbacks.registration import AddedCallback, add
from litespan.errors import log_once, logger, suppress_errors
from litespan.export import registry
from litespan.instrumentation.signals import Live
from litespan.routing.configuration import Routes
from litespan.routing.destinations import BadRoute, StageList, made

STAGES: Final[Mapping[str, tuple[StageList, ...]]] = {
    "input_callback": ("input",),
    "success_callback": ("success",),
    "failure_callback": ("failure",),
    "callbacks": ("success", "failure"),
}
"""LiteLLM's lists, and what an exporter's name in each stands for."""
_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "input_callback": ("log_pre_api_call", "log_post_api_call"),
    "success_callback": ("log_success_event", "log_stream_event"),
    "failure_callback": ("log_failure_event",),
}
_ALL: Final = tuple(name for names in _METHODS.values() for name in names)
_LOGGING: Final = frozenset([*_ALL, *(f"async_{name}" for name in _ALL)])
_ALIASES: Final[Mapping[str, str]] = {
    "datadog_llm_observability": "datadog",
    "langfuse_otel": "langfuse",
    "ms_teams": "teams",
}
"""LiteLLM's names that differ from ours."""
_LITELLM: Final = ("litellm.", "litellm_enterprise.", "litellm_proxy_extras.")


@dataclass(slots=True)
class WatchedList:
    """One of LiteLLM's lists, as it was left."""

    name: str
    entries: Any = None
    length: int = -1
    taken: list[Any] = field(default_factory=list)  # as they stood there


class Takeover:
    """What has been taken out of LiteLLM's lists, and where it leads to."""

    def __init__(self) -> None:
        self._lists = [WatchedList(name) for name in STAGES]
        self._told: dict[int, tuple[Any, frozenset[str], AddedCallback]] = {}  # by id of handler
        self._left: set[str] = set()  # names whose exporters are off
        self._lock = Lock()

    def look(self) -> None:
        """A call starts: has any list been assigned, or its length changed?"""
        with suppress_errors("adopting LiteLLM's callbacks"):
            litellm = sys.modules["litellm"]
            for watched in self._lists:
                entries = getattr(litellm, watched.name, ())
                if entries is not watched.entries or len(entries or ()) != watched.length:
                    self._adopt(litellm)
                    return

    def stop(self) -> None:
        """Put everything back into LiteLLM's lists."""
        litellm: Any = sys.modules.get("litellm")
        with self._lock:
            for watched in self._lists:
                if watched.taken and isinstance(there := getattr(litellm, watched.name), list):
                    there.extend(watched.taken)
                watched.taken = []
            self._follow()

    def _adopt(self, litellm: Any) -> None:
        with self._lock:
            before = [list(watched.taken) for watched in self._lists]
            for watched in self._lists:
                self._read(litellm, watched)
            if before == [watched.taken for watched in self._lists]:
                return
            self._follow()
            self._say()

    def _read(self, litellm: Any, watched: WatchedList) -> None:
        entries = getattr(litellm, watched.name, ())
        if not isinstance(entries, list):
            watched.entries, watched.length, watched.taken = entries, len(entries or ()), []
            return
        if entries is not watched.entries:  # assigned: what was there before is no more
            watched.taken = []
        taken = [entry for entry in entries if self._serves(entry)]
        if taken:
            # Not in place: the list may be a constant of the program's.
            entries = [entry for entry in entries if not _among(entry, taken)]
            setattr(litellm, watched.name, entries)
            watched.taken += [entry for entry in taken if not _among(entry, watched.taken)]
            self._forget(litellm, watched, taken)
        watched.entries, watched.length = entries, len(entries)

    def _forget(self, litellm: Any, watched: WatchedList, taken: Sequence[Any]) -> None:
        """LiteLLM keeps copies for async calls, of what it has seen before us."""
        copies = [f"_async_{watched.name}"]
        if watched.name == "callbacks":
            copies = [name for each in _METHODS for name in (each, f"_async_{each}")]
        for name in copies:
            if isinstance(there := getattr(litellm, name, None), list):
                there[:] = [entry for entry in there if not _among(entry, taken)]

    def _serves(self, entry: Any) -> bool:
        if isinstance(entry, str):
            return (name := exporter_name(entry)) is not None and self._works(entry, name)
        return only_logs(entry) and self._can_be_told(entry)

    def _works(self, entry: str, name: str) -> bool:
        """Whether the exporter is on; if not, LiteLLM's own may be."""
        if name in self._left:
            return False
        if any(entry in watched.taken for watched in self._lists):
            return True
        problem = ""
        try:
            exporter: Any = made(name)
        except BadRoute as error:
            problem = str(error)
        else:
            problem = getattr(exporter, "problem", "")
            exporter.shutdown()
        if problem:
            self._left.add(name)
            log_once(f"adopt:{entry}", "%r is left to LiteLLM: %s", entry, problem)
        return not problem

    def _can_be_told(self, handler: Any) -> bool:
        try:
            add(_stages(handler, frozenset(STAGES)), {}).remove()
        except BadHandler as error:
            log_once(f"adopt:{type(handler)!r}", "a callback is left to LiteLLM: %s", error)
            return False
        return True

    def _follow(self) -> None:
        """Give exporters and handlers what they are to have now."""
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
        for key, (_, where, added) in list(self._told.items()):
            if handlers.get(key, (None, None))[1] != where:
                added.remove()
                del self._told[key]
        for key, (handler, where) in handlers.items():
            if key not in self._told:
                name = f"{type(handler).__module__}.{type(handler).__qualname__}"
                told = add(_stages(handler, where), {"name": name})
                self._told[key] = (handler, where, told)

    def _say(self) -> None:
        taken = "; ".join(
            f"{watched.name}: {', '.join(map(_shown, watched.taken))}"
            for watched in self._lists
            if watched.taken
        )
        logger.warning(
            "taken over from LiteLLM's lists: %s. Exporters get no messages unless %s=SPAN_ONLY "
            "is set",
            taken or "nothing any more",
            _CONTENT,
        )


def look_at_lists() -> None:
    """Take over what is in LiteLLM's lists, once its calls are wrapped."""
    if Live.look is None:
        Live.look = Takeover().look


def give_back() -> None:
    """End it: what was taken is in LiteLLM's lists again."""
    look: Any = Live.look
    Live.look = None
    if look is not None:
        look.__self__.stop()


@cache
def exporter_name(entry: str) -> str | None:
    """Our exporter for a name in LiteLLM's lists; None if there is none."""
    name = _ALIASES.get(entry, entry)
    found = registry.find(name)
    return name if found and found.value.startswith("litespan_exporters.") else None


def only_logs(handler: Any) -> bool:
    """Is it a `CustomLogger` of the user's, and does it but look on?

    A method that LiteLLM asks (hooks of the proxy, guardrails, changes of the request) keeps it
    with LiteLLM; so does its wish to be shown no messages, which is LiteLLM's to fulfil.
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
    hooks = {name for name in defined if not name.startswith("__") and _is_hook(base, name)}
    discreet = (
        getattr(handler, "turn_off_message_logging", False) is True
        or getattr(handler, "message_logging", True) is False
    )
    return bool(hooks) and hooks <= _LOGGING and not discreet


def _is_hook(base: Any, name: str) -> bool:
    return callable(getattr(base, name, None))


def _stages(handler: Any, lists: frozenset[str]) -> SimpleNamespace:
    """The handler's methods of the stages that these lists stand for."""
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


def _among(entry: Any, entries: Sequence[Any]) -> bool:
    """Strings by their text, all else by identity: what a handler calls equal is its own."""
    return any(
        entry is other or (isinstance(entry, str) and isinstance(other, str) and entry == other)
        for other in entries
    )


def _shown(entry: Any) -> str:
    return entry if isinstance(entry, str) else type(entry).__qualname__
