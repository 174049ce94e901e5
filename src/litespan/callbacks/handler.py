"""A handler: the user's object or functions, as one method per stage.

It has the methods of LiteLLM's `CustomLogger`: https://docs.litellm.ai/docs/observability/custom_callback
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from litespan import semconv as s

StageName = Literal["pre", "post", "stream", "success", "failure"]
_BEFORE: Final = ("model", "messages", "kwargs")
_AFTER: Final = ("kwargs", "response_obj", "start_time", "end_time")


class StageRow(NamedTuple):
    """One stage, as handlers know it."""

    event: str  # name of the span event
    method: str
    parameters: tuple[str, ...]
    event_type: str  # `log_event_type` in the handler's `kwargs`


STAGE_ROWS: Final[dict[StageName, StageRow]] = {
    "pre": StageRow(s.EVENT_PRE, "log_pre_api_call", _BEFORE, "pre_api_call"),
    "post": StageRow(s.EVENT_POST, "log_post_api_call", _AFTER, "post_api_call"),
    "stream": StageRow(s.EVENT_CHUNK, "log_stream_event", _AFTER, "stream_event"),
    "success": StageRow(s.EVENT_SUCCESS, "log_success_event", _AFTER, "successful_api_call"),
    "failure": StageRow(s.EVENT_FAILURE, "log_failure_event", _AFTER, "failed_api_call"),
}
STAGES: Final = {row.event: name for name, row in STAGE_ROWS.items()}
_LITELLM_BASE: Final = "CustomLogger"


class BadHandler(TypeError):
    """This object cannot handle stages; the message says why and how to fix it."""


@dataclass(frozen=True, slots=True)
class Method:
    """The method for one stage.

    Attributes:
        name: for logs.
        run: takes `model`, `messages`, `kwargs`, `response_obj`, `start_time` and `end_time` by
            keyword.
        asynchronous: whether it is a coroutine function, which needs an event loop.
    """

    name: str
    run: Callable[..., Any]
    asynchronous: bool


class Handler:
    """The methods of a handler, looked up and checked once.

    Attributes:
        name: the class (or function) of the handler, for logs and counters.
    """

    def __init__(self, given: Any, functions: dict[Any, Any], name: str | None) -> None:
        """Raises BadHandler."""
        functions = {stage: function for stage, function in functions.items() if function}
        if given is not None and functions:
            raise BadHandler("pass a handler or functions for its stages, not both")
        if given is None:
            if not functions:
                raise BadHandler(
                    "no handler: pass an object with methods such as log_success_event, or a "
                    "function for a stage, such as success=my_function"
                )
            self.target: Any = tuple(functions.values())
            self.name = name or ", ".join(name_of(function) for function in self.target)
            self._sync = {stage: _of_function(stage, f) for stage, f in functions.items()}
            self._async: dict[StageName, Method] = {}
            return
        _refuse(given)
        self.target = given
        self.name = name or name_of(type(given))
        self._sync, self._async = {}, {}
        for stage, (_, method, parameters, _) in STAGE_ROWS.items():
            for found, where in ((method, self._sync), (f"async_{method}", self._async)):
                made = _of_object(self.name, given, found, parameters)
                if made is not None:
                    where[stage] = made
        if not self._sync and not self._async:
            known = ", ".join(row.method for row in STAGE_ROWS.values())
            raise BadHandler(
                f"{self.name} defines no method for a stage: define one of {known}, or the same "
                "with the prefix async_"
            )

    def method(self, stage: StageName, *, asynchronous: bool) -> Method | None:
        """The method for `stage` of a sync or an async call, or None."""
        first, second = self._sync, self._async
        if asynchronous:
            first, second = second, first
        return first.get(stage) or second.get(stage)

    @cached_property
    def events(self) -> dict[bool, frozenset[str]]:
        """The event names of the stages that it has a method for, for sync and async calls."""
        return {
            asynchronous: frozenset(
                event
                for event, stage in STAGES.items()
                if self.method(stage, asynchronous=asynchronous) is not None
            )
            for asynchronous in (False, True)
        }

    @property
    def methods(self) -> list[Method]:
        """All methods."""
        return [*self._sync.values(), *self._async.values()]

    def __repr__(self) -> str:
        return f"<handler {self.name}>"


def name_of(thing: Any) -> str:
    """The module and name of a class or function; those of the class of another object."""
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return f"{getattr(thing, '__module__', None) or type(thing).__module__}.{name}"


def _refuse(given: Any) -> None:
    if isinstance(given, type):
        raise BadHandler(f"{name_of(given)} is a class: pass an instance, {given.__name__}()")
    if isinstance(given, str):
        raise BadHandler(
            f"{given!r} is a name: import the handler and pass the object itself, or set "
            "LITESPAN_CALLBACKS"
        )
    if inspect.ismodule(given):
        raise BadHandler(f"{given.__name__} is a module: pass the handler object in it")
    if inspect.isroutine(given):
        raise BadHandler(
            f"{name_of(given)} is a function: pass it for a stage, as success=…, "
            "failure=…, pre=…, post=… or stream=…"
        )


def _of_object(owner: str, given: Any, name: str, parameters: tuple[str, ...]) -> Method | None:
    if not defines(given, name):
        return None
    method = getattr(given, name)
    if not callable(method):
        raise BadHandler(f"{name} of {owner} is not a method")
    if not _takes(method, **dict.fromkeys(parameters)):
        raise BadHandler(
            f"{name} of {owner} takes {inspect.signature(method)}, but it is called with keyword "
            f"arguments and must take ({', '.join(parameters)})"
        )

    def run(**arguments: Any) -> Any:
        return method(**{parameter: arguments[parameter] for parameter in parameters})

    return Method(name, run, _is_async(method))


def defines(given: Any, name: str) -> bool:
    """Whether an object has a method `name` that is not the empty one of LiteLLM's base class."""
    if name in getattr(given, "__dict__", ()):
        return True
    for kind in type(given).__mro__:
        if name in vars(kind):
            return kind.__name__ != _LITELLM_BASE or not kind.__module__.startswith("litellm.")
    return False


def _of_function(stage: StageName, function: Any) -> Method:
    """A plain function, called with positional arguments as LiteLLM does.

    For `pre` it takes the three arguments of `log_pre_api_call`, or `kwargs` alone as LiteLLM's
    input functions do.
    """
    if not callable(function) or isinstance(function, type):
        raise BadHandler(f"{stage}={function!r} is not a function")
    shapes = (_BEFORE, ("kwargs",)) if stage == "pre" else (_AFTER,)
    for shape in shapes:
        if _takes(function, *shape):
            break
    else:
        raise BadHandler(
            f"{name_of(function)}, the function for {stage}, must take "
            + " or ".join(f"({', '.join(shape)})" for shape in shapes)
        )

    def run(**arguments: Any) -> Any:
        return function(*[arguments[parameter] for parameter in shape])

    return Method(name_of(function), run, _is_async(function))


def _takes(function: Any, *args: Any, **kwargs: Any) -> bool:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # no signature
        return True
    return True


def _is_async(function: Any) -> bool:
    """Whether calling it returns a coroutine; handles partials and callable objects, too."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )
