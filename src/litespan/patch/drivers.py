"""The two functions that stand in for LiteLLM's: one for sync, one for async.

All they do is in the call that they open; they differ in one `await`.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

from litespan.call.begin import AnyCall, begin
from litespan.patch.targets import Target

Opener = Callable[[tuple[Any, ...], dict[str, Any]], AnyCall]
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def wrap(target: Target, function: Any, twin: Any = None) -> Any:
    """`function`, whose calls become spans; `twin` names its parameters if it does not."""
    parameters = positional_parameters(function) or positional_parameters(twin)
    return drive(function, functools.partial(begin, target, parameters))


def drive(function: Any, open_call: Opener) -> Any:
    """`function`, run inside the call that `open_call(args, kwargs)` opens.

    A plain function, not a proxy: it can be copied and pickled as LiteLLM's own can.
    """

    def sync_driver(*args: Any, **kwargs: Any) -> Any:
        with open_call(args, kwargs) as call:
            return call.result(function(*args, **kwargs))

    async def async_driver(*args: Any, **kwargs: Any) -> Any:
        with open_call(args, kwargs) as call:
            return call.result(await function(*args, **kwargs))

    asynchronous = inspect.iscoroutinefunction(inspect.unwrap(function))
    return functools.wraps(function)(async_driver if asynchronous else sync_driver)


def positional_parameters(function: Any) -> Sequence[str]:
    """The names of the parameters that can be given by position."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it is none, or does not say
        return ()
    return tuple(name for name, p in signature.parameters.items() if p.kind in _POSITIONAL)
