"""Modules beside the proxy's config: LiteLLM executes them without `sys.modules`."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, Final

SERVER: Final = "litellm.proxy.proxy_server"
_LISTS: Final = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_input_callback",
    "_async_success_callback",
    "_async_failure_callback",
)


def module_of(name: str) -> Any:
    """The module `name` beside the config of the proxy of this process; None if there is none.

    A module that the proxy executed for its own callbacks is reused, so that its instances are
    the proxy's. Otherwise the module is executed from the config's folder.
    """
    if name in sys.modules:
        return None
    for names in _namespaces():
        if names.get("__name__") == name:
            return SimpleNamespace(**names)
    folder = _config_folder()
    file = folder.joinpath(*name.split(".")).with_suffix(".py") if folder is not None else None
    if file is None or not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _config_folder() -> Path | None:
    """The folder of the proxy's `config.yaml`."""
    path = getattr(sys.modules.get(SERVER), "user_config_file_path", None)
    path = path or os.environ.get("CONFIG_FILE_PATH")
    return Path(path).absolute().parent if isinstance(path, str) and path else None


def _namespaces() -> Iterator[dict[str, Any]]:
    """The global namespaces of the modules that define LiteLLM's callbacks."""
    litellm = sys.modules.get("litellm")
    for list_ in _LISTS:
        for callback in getattr(litellm, list_, None) or ():
            if isinstance(callback, FunctionType):
                yield callback.__globals__
            for kind in type(callback).__mro__:
                for value in vars(kind).values():
                    if isinstance(value, FunctionType):
                        yield value.__globals__
                        break
