"""Handlers for every call: `litespan.add_callback` and `LITESPAN_CALLBACKS`."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock, RLock
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import Context

from litespan.callbacks.callback import Callback
from litespan.callbacks.handler import BadHandler
from litespan.errors import log_once
from litespan.instrumentation.call import Call
from litespan.instrumentation.stages import Watchers

Watcher = Callable[[Call, Context], None]
VARIABLE: Final = "LITESPAN_CALLBACKS"
_PATIENCE: Final = 10.0  # s that a call waits for handlers to be imported on another thread
_ADDED: Final[list["AddedCallback"]] = []
_lock: Final = Lock()


class AddedCallback:
    """What `add_callback` returns: the way to take the handler away again."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def watch(self, call: Call, ctx: Context) -> None:
        """Follow a call."""
        self.callback.watch(call, ctx)

    def remove(self) -> None:
        """Follow no more calls. What has begun is delivered. Safe to call twice."""
        replace_watcher(self.watch)
        self.callback.delivery.close()
        if self in _ADDED:
            _ADDED.remove(self)

    def __repr__(self) -> str:
        return f"<added {self.callback.handler!r}>"


def add_callback(handler: Any = None, **options: Any) -> AddedCallback:
    """Tell a handler the stages of every LiteLLM call, sampled or not.

    This one line is all that it takes: where nothing has instrumented LiteLLM yet, it does, with
    the global providers.

    Args:
        handler: as of `CallbackSpanProcessor`.
        options: the other arguments of `CallbackSpanProcessor`.

    Returns:
        A handle with `remove()`. A handler that is there already is not added again: its handle
        is returned, and one line is logged.

    Raises:
        BadHandler: a TypeError that says what is wrong and how to mend it.
    """
    from litespan.instrumentor import LiteLLMInstrumentor  # it uses us

    added, new = _made(handler, options)
    if new:
        replace_watcher(None, added.watch)
    LiteLLMInstrumentor().instrument_if_nobody_has()
    return added


def _made(handler: Any, options: dict[str, Any]) -> tuple[AddedCallback, bool]:
    """(the handle, whether it is a new one)."""
    callback = Callback(handler, **options)
    for added in _ADDED:
        if handler is not None and added.callback.handler.target is handler:
            callback.delivery.close()
            log_once(
                f"added twice:{callback.handler.name}",
                "handler %s was added already: it is told every stage once",
                callback.handler.name,
            )
            return added, False
    added = AddedCallback(callback)
    _ADDED.append(added)
    return added, True


def replace_watcher(gone: Watcher | None, *new: Watcher) -> None:
    """Take one watcher away and add others, so that each call sees either it or them."""
    with _lock:
        Watchers.all = (*(watch for watch in Watchers.all if watch != gone), *new)


class NamedCallbacks:
    """The handlers that `LITESPAN_CALLBACKS` names, added when the first call starts.

    Not before: under `opentelemetry-instrument` the script's folder is not on the path yet, and
    the script has not made its handler.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._added: list[AddedCallback] = []
        self._finding = RLock()
        self._found: bool | None = False  # None while they are being looked for
        replace_watcher(None, self.first_call)

    def first_call(self, call: Call, ctx: Context) -> None:
        """Find the handlers, and show them the call that they would have missed.

        Calls on other threads wait for that; not for long, since the module that is imported
        here may be waiting for them.
        """
        if not self._finding.acquire(timeout=_PATIENCE):
            return
        try:
            if self._found is None:  # called by a module that is being imported
                return
            if not self._found:
                self._found = None
                try:
                    new = [added.watch for added in self._find()]
                    replace_watcher(self.first_call, *new)
                finally:
                    self._found = True
            for added in self._added:
                added.watch(call, ctx)
        finally:
            self._finding.release()

    def _find(self) -> list[AddedCallback]:
        for name in self._names:
            try:
                added, new = _made(find(name), {})
            except Exception as error:  # noqa: BLE001 - one bad name does not cost the others
                log_once(f"{VARIABLE}:{name}", "%s: %s: %s", VARIABLE, name, error)
            else:
                if new:
                    self._added.append(added)
        return self._added

    def remove(self) -> None:
        """Take them all away again."""
        replace_watcher(self.first_call)
        for added in self._added:
            added.remove()
        self._added.clear()


def find(path: str) -> Any:
    """The object that `module.instance` (or `module:instance`) names.

    A module that is loaded is not loaded again, the running script included: its handler may
    hold state.

    Raises:
        BadHandler: it can not be found; the message says what to do.
    """
    module_name, _, name = path.replace(":", ".").rpartition(".")
    if not module_name:
        raise BadHandler("name the module, too: module.instance")
    module = _running_script(module_name) or _of_proxy(module_name) or _module(module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        raise BadHandler(
            f"module {module_name} ({getattr(module, '__file__', 'built in')}) has no {name!r}: "
            "make the instance at the top level of the module, not inside a function, and before "
            "the first call; then start the program, or the proxy, anew" + _alternatives(module)
        ) from None
    except Exception as error:  # the module has a `__getattr__` of its own
        raise BadHandler(
            f"module {module_name} does not give {name!r}: {type(error).__name__}: {error}"
        ) from error


def _of_proxy(name: str) -> Any:
    """A module beside the config of LiteLLM's proxy, if this is one of its processes."""
    if "litellm.proxy.proxy_server" not in sys.modules:
        return None
    from litespan.callbacks.proxy_modules import module_of

    try:
        return module_of(name)
    except (Exception, SystemExit) as error:
        raise BadHandler(
            f"module {name} can not be run: {type(error).__name__}: {error}"
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
                f"which begins with {folders}"
            ) from None
        raise BadHandler(
            f"module {name} needs {error.name!r}, which is not installed here: add it to the "
            f"image or environment, as pip install {error.name}"
        ) from None
    except (Exception, SystemExit) as error:
        raise BadHandler(
            f"module {name} can not be imported: {type(error).__name__}: {error}"
        ) from error


def _running_script(name: str) -> ModuleType | None:
    """`__main__`, if it is the module of that name, run as a script."""
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
    """What the user may have meant."""
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
