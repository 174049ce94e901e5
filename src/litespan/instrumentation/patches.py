"""Applies and reverts all patches of LiteLLM."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation.hooks import hooks
from litespan.instrumentation.router_hooks import ROUTER_CORE, router_core_hooks, router_hooks
from litespan.instrumentation.websocket import wrap_session
from litespan.instrumentation.wrappers import wrap
from litespan.mapping.targets import AGENTS, SESSIONS, TARGETS, Target


class Patches:
    """The patches applied to LiteLLM, and how to revert them.

    Attributes:
        wrappers: `id()` of each original function → its wrapper.
    """

    def __init__(self) -> None:
        self.wrappers: dict[int, Any] = {}
        self._undo: list[Callable[[], None]] = []
        self._applied = False

    def apply(self, *, everywhere: bool) -> None:
        """Patch LiteLLM, which must be imported.

        Args:
            everywhere: whether to rebind names in all modules, not only LiteLLM's. Needed if
                LiteLLM was imported first: other modules may hold the original functions.
        """
        self._wrap(everywhere=everywhere)
        for row in (*hooks(), *router_hooks(self.wrappers)):
            self._patch(*row)
        self._applied = True
        wrapt.register_post_import_hook(self._router_core_imported, ROUTER_CORE)
        wrapt.register_post_import_hook(self._agents_imported, AGENTS)

    def _wrap(self, *, everywhere: bool) -> None:
        """Wrap the public functions that are not wrapped yet."""
        originals: dict[int, Any] = {}
        for target in (*TARGETS, *SESSIONS):
            for name in target.modules:
                module = sys.modules.get(name)
                function = getattr(module, target.name, None)
                if not callable(function) or isinstance(function, ModuleType):
                    continue
                if id(function) not in originals and not _is_wrapper(function):
                    originals[id(function)] = function
                    self.wrappers[id(function)] = (
                        wrap_session(target, function)
                        if target in SESSIONS
                        else wrap(target, function, _twin(target, module))
                    )
        self._rebind(originals, everywhere=everywhere)

    def _router_core_imported(self, module: Any) -> None:
        if self._applied:
            with suppress_errors("patching LiteLLM's router"):  # the import must succeed
                for row in router_core_hooks(module):
                    self._patch(*row)

    def _agents_imported(self, _module: Any) -> None:
        if self._applied:
            with suppress_errors("wrapping LiteLLM's agents"):  # the import must succeed
                self._wrap(everywhere=False)

    def undo(self) -> None:
        """Revert all patches in reverse order."""
        self._applied = False
        while self._undo:
            with suppress_errors("unpatching"):
                self._undo.pop()()
        self.wrappers.clear()

    def _rebind(self, originals: dict[int, Any], *, everywhere: bool) -> None:
        """Replace every module global that holds one of `originals`.

        Iterates over copies, because other threads and finalizers may import modules.
        """
        for name, module in sys.modules.copy().items():
            if not (everywhere or name == "litellm" or name.startswith("litellm.")):
                continue
            names = getattr(module, "__dict__", None)
            if not isinstance(names, dict) or name.startswith("litespan"):
                continue
            for key, value in names.copy().items():
                if id(value) in originals and originals[id(value)] is value:
                    self._set(names, key, self.wrappers[id(value)], value)

    def _set(self, names: dict[str, Any], key: str, wrapper: Any, original: Any) -> None:
        names[key] = wrapper

        def undo() -> None:
            if names.get(key) is wrapper:
                names[key] = original

        self._undo.append(undo)

    def _patch(self, place: Any, name: str, replace: Callable[[Any], Any]) -> None:
        """Set `place.name` to `replace(place.name)`."""
        try:
            original = getattr(place, name)
            setattr(place, name, replace(original))
        except Exception as error:  # noqa: BLE001 - not in this LiteLLM version
            record_error(f"patching {name}", error)
            return

        def undo() -> None:
            setattr(place, name, original)

        self._undo.append(undo)


def _twin(target: Target, module: Any) -> Any:
    """Return the sync counterpart of an async function, which may hide parameter names."""
    name = target.name
    return getattr(module, name[1:], None) if name.startswith("a") else None


def _is_wrapper(function: Any) -> bool:
    return issubclass(type(function), wrapt.FunctionWrapper)
