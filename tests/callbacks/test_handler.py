"""The methods of handlers, and handlers that are rejected at registration."""

import functools
import math
from typing import Any

import pytest
from litellm.integrations.custom_logger import CustomLogger
from opentelemetry.sdk.trace import SpanProcessor

import litespan
from litespan.callbacks.handler import BadHandler, Handler, StageName

ALL: list[StageName] = ["pre", "post", "stream", "success", "failure"]


def event(self: Any, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
    """A method for any stage after the call."""


async def async_event(
    self: Any, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
) -> None:
    """The same, async."""


class Plain:
    """A handler without LiteLLM."""

    log_success_event = event


class Logger(CustomLogger):
    """A handler as LiteLLM's users write them."""

    log_success_event = event
    async_log_success_event = async_event
    async_log_failure_event = async_event


class Derived(Logger):
    """It inherits from a user's class, which counts."""


def runs(handler: Any, *, asynchronous: bool) -> dict[str, str]:
    """The name of the method that runs at each stage."""
    made = Handler(handler, {}, None)
    found = {stage: made.method(stage, asynchronous=asynchronous) for stage in ALL}
    return {stage: method.name for stage, method in found.items() if method}


@pytest.mark.parametrize(
    ("handler", "sync", "asynchronous"),
    [
        pytest.param(
            Plain(),
            {"success": "log_success_event"},
            {"success": "log_success_event"},
            id="only sync",
        ),
        pytest.param(
            Logger(),
            {"success": "log_success_event", "failure": "async_log_failure_event"},
            {"success": "async_log_success_event", "failure": "async_log_failure_event"},
            id="LiteLLM's base class does not count",
        ),
        pytest.param(
            Derived(),
            {"success": "log_success_event", "failure": "async_log_failure_event"},
            {"success": "async_log_success_event", "failure": "async_log_failure_event"},
            id="a base class of the user's counts",
        ),
    ],
)
def test_a_call_prefers_the_method_of_its_kind(
    handler: Any, sync: dict[str, str], asynchronous: dict[str, str]
) -> None:
    """A sync call prefers the sync method, an async one the async method; else the other."""
    assert (runs(handler, asynchronous=False), runs(handler, asynchronous=True)) == (
        sync,
        asynchronous,
    )


def test_a_method_on_the_instance_counts_as_defined() -> None:
    """A method that the user sets on the object counts, regardless of its class."""
    handler = CustomLogger()
    handler.log_failure_event = functools.partial(event, None)
    assert runs(handler, asynchronous=True) == {"failure": "log_failure_event"}


@pytest.mark.parametrize(
    "method",
    [
        "log_pre_api_call",
        "log_post_api_call",
        "log_stream_event",
        "log_success_event",
        "log_failure_event",
    ],
)
@pytest.mark.parametrize("prefix", ["", "async_"])
def test_each_stage_has_a_sync_and_an_async_method(prefix: str, method: str) -> None:
    """Including those that LiteLLM itself never calls."""
    function = (lambda self, model, messages, kwargs: None) if "pre" in method else event
    handler = type("Made", (), {prefix + method: function})()
    assert list(runs(handler, asynchronous=False).values()) == [prefix + method]


class Wrong:
    def log_success_event(self, data: Any, response: Any, start: Any, end: Any) -> None:
        """The parameters have other names."""


class Short:
    async def async_log_failure_event(self, kwargs: Any) -> None:
        """Parameters are missing."""


class NotCallable:
    log_success_event = "no method"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            Logger,
            "tests.callbacks.test_handler.Logger is a class: pass an instance, Logger()",
            id="class",
        ),
        pytest.param(
            "mine.handler",
            "'mine.handler' is a name: import the handler and pass the object itself, or set "
            "LITESPAN_CALLBACKS",
            id="name",
        ),
        pytest.param(math, "math is a module: pass the handler object in it", id="module"),
        pytest.param(
            event,
            "tests.callbacks.test_handler.event is a function: pass it for a stage, as "
            "success=…, failure=…, pre=…, post=… or stream=…",
            id="function",
        ),
        pytest.param(
            CustomLogger(),
            "litellm.integrations.custom_logger.CustomLogger defines no method for a stage: "
            "define one of log_pre_api_call, log_post_api_call, log_stream_event, "
            "log_success_event, log_failure_event, or the same with the prefix async_",
            id="nothing defined",
        ),
        pytest.param(
            Wrong(),
            "log_success_event of tests.callbacks.test_handler.Wrong takes (data: Any, "
            "response: Any, start: Any, end: Any) -> None, but it is called with keyword "
            "arguments and must take (kwargs, response_obj, start_time, end_time)",
            id="other names",
        ),
        pytest.param(
            Short(),
            "async_log_failure_event of tests.callbacks.test_handler.Short takes (kwargs: Any) "
            "-> None, but it is called with keyword arguments and must take (kwargs, "
            "response_obj, start_time, end_time)",
            id="too few",
        ),
        pytest.param(
            NotCallable(),
            "log_success_event of tests.callbacks.test_handler.NotCallable is not a method",
            id="no method",
        ),
        pytest.param(
            None,
            "no handler: pass an object with methods such as log_success_event, or a function "
            "for a stage, such as success=my_function",
            id="nothing",
        ),
    ],
)
@pytest.mark.parametrize("register", [litespan.CallbackSpanProcessor, litespan.add_callback])
def test_an_invalid_handler_is_rejected_in_one_line(
    register: Any, given: Any, expected: str
) -> None:
    """The line, at registration, has the mistake and how to fix it."""
    with pytest.raises(BadHandler) as raised:
        register(given)
    assert str(raised.value) == expected
    assert isinstance(raised.value, TypeError)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"delivery": "later"}, "delivery='later': pass one of 'background', 'inline'"),
        ({"loop": "mine"}, "loop='mine': pass one of 'own', 'caller'"),
        ({"concurrency": 0}, "concurrency=0: pass an integer above 0"),
        ({"max_pending": -1}, "max_pending=-1: pass an integer above 0"),
        ({"concurrency": "4"}, "concurrency='4': pass an integer above 0"),
        ({"success": print}, "pass a handler or functions for its stages, not both"),
    ],
)
def test_invalid_options_are_rejected(options: dict[str, Any], expected: str) -> None:
    """Options accept only their documented values."""
    with pytest.raises(BadHandler) as raised:
        litespan.CallbackSpanProcessor(Plain(), **options)
    assert str(raised.value) == expected


def test_an_unknown_argument_of_add_callback_is_named() -> None:
    """With the one that was meant."""
    with pytest.raises(BadHandler) as raised:
        litespan.add_callback(sucess=print)
    assert str(raised.value) == "there is no argument 'sucess' (did you mean success?)"


def test_inline_delivery_rejects_async_methods() -> None:
    """An async method cannot run on the caller's thread, because it needs a loop."""
    with pytest.raises(BadHandler, match=r"inline.*async_log_success_event of .*Logger is async"):
        litespan.CallbackSpanProcessor(Logger(), delivery="inline")


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        pytest.param(
            {"success": lambda kwargs, response: None},
            "the function for success, must take (kwargs, response_obj, start_time, end_time)",
            id="too few",
        ),
        pytest.param(
            {"pre": lambda a, b: None},
            "the function for pre, must take (model, messages, kwargs) or (kwargs)",
            id="pre",
        ),
        pytest.param({"failure": "mine"}, "failure='mine' is not a function", id="no function"),
    ],
)
def test_functions_with_wrong_parameters_are_rejected(
    stages: dict[str, Any], expected: str
) -> None:
    """Functions are called by position, so only the number of parameters matters."""
    with pytest.raises(BadHandler) as raised:
        litespan.CallbackSpanProcessor(**stages)
    assert str(raised.value).endswith(expected)


def test_a_callback_processor_is_a_span_processor() -> None:
    """`CallbackSpanProcessor` is a real `SpanProcessor`, for every kind of handler."""
    processor = litespan.CallbackSpanProcessor(Plain(), name="mine")
    assert isinstance(processor, SpanProcessor)
    assert repr(processor.callback) == "<callback mine>"
