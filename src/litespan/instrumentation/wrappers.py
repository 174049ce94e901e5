"""The wrappers around LiteLLM's functions: one for sync and one for async functions."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final

import wrapt

from litespan.errors import record_error
from litespan.instrumentation.call_contexts import UNTRACED, AnyCall
from litespan.instrumentation.start import begin, begin_passed_on
from litespan.mapping.targets import Target

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Opener = Callable[[Args, Kwargs], AnyCall]
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def wrap(target: Target, function: Any, twin: Any = None) -> Any:
    """Wrap `function` to record its calls; `twin` has its parameter names if it hides them."""
    parameters = positional_parameters(function) or positional_parameters(twin)
    if target.passed_on:
        return drive(function, functools.partial(begin_passed_on, target))
    if not target.operation.model:
        target = replace(target, provider=_default_provider(function) or target.provider)
    return drive(function, functools.partial(begin, target, parameters))


def drive(function: Any, open_call: Opener) -> Any:
    """Wrap `function` to run inside the call that `open_call(args, kwargs)` returns."""

    def sync_driver(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
        call = Guarded(open_call, args, kwargs)
        try:
            value = wrapped(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        return call.awaited(value) if iscoroutine(value) else call.finish(value)

    async def async_driver(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
        call = Guarded(open_call, args, kwargs)
        try:
            value = await wrapped(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        return call.finish(value)

    asynchronous = inspect.iscoroutinefunction(inspect.unwrap(function))
    return Wrapper(function, async_driver if asynchronous else sync_driver)


class Guarded:
    """Opens and enters a call. Contains its errors: LiteLLM's result or exception is unchanged."""

    __slots__ = ("_call",)
    _call: AnyCall | None

    def __init__(self, open_call: Opener, args: Args, kwargs: Kwargs) -> None:
        self._call = None
        try:
            call = open_call(args, kwargs)
            call.__enter__()
            self._call = call
        except Exception as problem:  # noqa: BLE001
            record_error("opening a call", problem)

    def finish(self, value: Any) -> Any:
        """Leave the call; return what the caller receives for LiteLLM's `value`."""
        call = self._call
        if call is not None:
            try:
                value = call.result(value)
            except Exception as problem:  # noqa: BLE001
                record_error("reading a result", problem)
            except BaseException as error:  # such as KeyboardInterrupt in an inline handler
                self.fail(error)
                raise
            self._leave()
        return value

    def awaited(self, coroutine: Any) -> Any:
        """Return what the caller receives for a coroutine: LiteLLM's async form of the call.

        A `Router` that was created before LiteLLM was instrumented calls it this way.
        """
        if self._call in (None, UNTRACED):
            return coroutine
        self._leave()
        return self._await(coroutine, self._call)

    async def _await(self, coroutine: Any, call: Any) -> Any:
        try:
            call.__enter__()
        except Exception as problem:  # noqa: BLE001
            record_error("entering a call", problem)
        try:
            value = await coroutine
        except BaseException as error:
            self.fail(error)
            raise
        return self.finish(value)

    def fail(self, error: BaseException) -> None:
        """Leave the call with the exception that the caller receives."""
        self._leave(type(error), error, error.__traceback__)

    def _leave(self, *details: Any) -> None:
        if self._call is not None:
            try:
                self._call.__exit__(*(details or (None, None, None)))
            except Exception as problem:  # noqa: BLE001
                record_error("leaving a call", problem)


if TYPE_CHECKING:
    _Wrapper = wrapt.FunctionWrapper[Any, Any]
else:
    _Wrapper = wrapt.FunctionWrapper


class Wrapper(_Wrapper):
    """A function wrapper that is copied and pickled by name, as functions are."""

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: Any) -> Any:
        return self

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return self.__qualname__


def positional_parameters(function: Any) -> Sequence[str]:
    """Return the names of the positional parameters of `function`."""
    return tuple(name for name, p in _parameters(function).items() if p.kind in _POSITIONAL)


def _default_provider(function: Any) -> str:
    """Return the provider that `function` assumes if the caller names none, or ""."""
    default = getattr(_parameters(function).get("custom_llm_provider"), "default", None)
    return default if isinstance(default, str) else ""


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # not a function, or without a signature
        return {}
