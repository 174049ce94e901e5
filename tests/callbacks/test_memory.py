"""Ended calls are freed although handlers received them."""

import gc
import time
import weakref
from typing import Any

import litellm

import litespan
from benchmarks import _call
from litespan.callbacks.draining import drain
from tests.callbacks.conftest import Keeper
from tests.test_overhead import Messages, Ready, ready

__all__ = ["ready"]


class Forgetful(Keeper):
    """It receives everything, and keeps nothing."""

    def _keep(self, method: str, kwargs: dict[str, Any], *rest: Any) -> None:
        self.last = method

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        self.last = "pre"


def test_a_delivered_call_leaves_no_reference_cycles(ready: Ready) -> None:
    """Messages are freed with their last reference, soon after the handlers have returned."""
    messages = Messages(_call.ARGUMENTS["messages"])
    held = weakref.ref(messages)
    added = [litespan.add_callback(Forgetful()) for _ in range(2)]
    gc.collect()
    gc.disable()
    try:
        litellm.completion(**{**_call.ARGUMENTS, "messages": messages})
        del messages
        until = time.monotonic() + 30
        assert all(drain(each.callback.dispatcher, until) for each in added)
        while held() is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert held() is None
    finally:
        gc.enable()
        for each in added:
            each.remove()
