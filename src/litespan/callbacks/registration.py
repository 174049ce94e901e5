"""Handlers for every call: `litespan.add_callback` and `LITESPAN_CALLBACKS`."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import Context

from litespan.callbacks.callback import Callback
from litespan.callbacks.handler import BadHandler
from litespan.errors import log_once
from litespan.instrumentation.call import Call
from litespan.instrumentation.stages import replace_watcher

VARIABLE: Final = "LITESPAN_CALLBACKS"
_PATIENCE: Final = 10.0  # s that a call waits while another thread imports the handlers
_ADDED: Final[list["AddedCallback"]] = []


class AddedCallback:
    """The handle that `add_callback` returns."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def remove(self) -> None:
        """Follow no more calls. Calls that have started are delivered. Safe to call twice."""
        replace_watcher(self.callback.watch)
        self.callback.dispatcher.close()
        if self in _ADDED:
            _ADDED.remove(self)

    def __repr__(self) -> str:
        return f"<added {self.callback.handler!r}>"


def add(handler: Any, options: Mapping[str, Any]) -> AddedCallback:
    """Add a handler for every call, or return its existing handle. Raises BadHandler."""
    added, new = _register(handler, options)
    if new:
        replace_watcher(None, added.callback.watch)
    return added


def _register(handler: Any, options: Mapping[str, Any]) -> tuple[AddedCallback, bool]:
    """(the handle, whether it is new)."""
    for added in _ADDED:
        if handler is not None and added.callback.handler.target is handler:
            name = added.callback.handler.name
            log_once(
                f"added twice:{name}",
                "handler %s was already added: it receives every stage once",
                name,
            )
            return added, False
    added = AddedCallback(Callback(handler, **options))
    _ADDED.append(added)
    return added, True


class NamedCallbacks:
    """The handlers in `LITESPAN_CALLBACKS`, added when the first call starts.

    Before that, under `opentelemetry-instrument`, the script's folder is not on the path and the
    script has not created its handler.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._added: list[AddedCallback] = []
        self._finding = RLock()
        self._found: bool | None = False  # None while they are being imported
        replace_watcher(None, self.first_call)

    def first_call(self, call: Call, ctx: Context) -> None:
        """Import and add the handlers, and deliver this first call to them.

        Calls on other threads wait, with a timeout: the imported module may wait for them.
        """
        if not self._finding.acquire(timeout=_PATIENCE):
            return
        try:
            if self._found is None:  # a call made by the module that is being imported
                return
            if not self._found:
                self._found = None
                try:
                    new = [added.callback.watch for added in self._find()]
                    replace_watcher(self.first_call, *new)
                finally:
                    self._found = True
            for added in self._added:
                added.callback.watch(call, ctx)
        finally:
            self._finding.release()

    def _find(self) -> list[AddedCallback]:
        for name in self._names:
            try:
                added, new = _register(find(name), {})
            except Exception as error:  # noqa: BLE001 - one bad name must not affect the others
                log_once(f"{VARIABLE}:{name}", "%s: %s: %s", VARIABLE, name, error)
            else:
                if new:
                    self._added.append(added)
        return self._added

    def remove(self) -> None:
        """Remove all of them."""
        replace_watcher(self.first_call)
        for added in self._added:
            added.remove()
        self._added.clear()


def find(path: str) -> Any:
    """The object that `module.instance` (or `module:instance`) names.

    A loaded module is not imported again, including the running script: its handler may hold
    state.

    Raises:
        BadHandler: there is no such object; the message says what to do.
    """
    module_name, _, name = path.replace(":", ".").rpartition(".")
    if not module_name:
        raise BadHandler("it has no module name: write module.instance")
    module = _running_script(module_name) or _of_proxy(module_name) or _module(module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        raise BadHandler(
            f"module {module_name} ({getattr(module, '__file__', 'built in')}) has no {name!r}: "
            "create the instance at the top level of the module, not inside a function, and "
            "before the first call; then restart the program or the proxy" + _alternatives(module)
        ) from None
    except Exception as error:  # the module has a `__getattr__` of its own
        raise BadHandler(
            f"cannot get {name!r} from module {module_name}: {type(error).__name__}: {error}"
        ) from error


def _of_proxy(name: str) -> Any:
    """The module beside the config of LiteLLM's proxy; None in other processes."""
    if "litellm.proxy.proxy_server" not in sys.modules:
        return None
    from litespan.callbacks.proxy_modules import module_of

    try:
        return module_of(name)
    except (Exception, SystemExit) as error:
        raise BadHandler(
            f"cannot execute module {name}: {type(error).__name__}: {error}"
        ) from error


def _module(name: str) -> ModuleType:
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            folders = ", ".join(folder or "." for folder in sys.path[:3])
            raise BadHandler(
                f"there is no module {name!r}: its folder must be on the path (PYTHONPATH), "
                f"which starts with {folders}"
            ) from None
        raise BadHandler(
            f"module {name} needs {error.name!r}, which is not installed: add it to the "
            f"image or environment, for example with pip install {error.name}"
        ) from None
    except (Exception, SystemExit) as error:
        raise BadHandler(f"cannot import module {name}: {type(error).__name__}: {error}") from error


def _running_script(name: str) -> ModuleType | None:
    """`__main__`, if it is the module of that name, executed as a script."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is None or not file or name in sys.modules:
        return None
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name == name:  # python -m name
        return main
    *packages, script = name.split(".")
    path = Path(file).absolute()
    folders = path.parent.parts
    here = path.stem == script and (not packages or list(folders[-len(packages) :]) == packages)
    return main if here else None


def _alternatives(module: ModuleType) -> str:
    """The handlers that the module has, for the message."""
    found = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and _looks_like_a_handler(value)
    ]
    return f" (it has {', '.join(found[:5])})" if found else ""


def _looks_like_a_handler(value: Any) -> bool:
    kind = value if isinstance(value, type) else type(value)
    return any(
        hasattr(kind, name)
        for name in ("log_success_event", "async_log_success_event", "log_pre_api_call")
    )
