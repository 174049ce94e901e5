"""Calls that end during a garbage collection end on another thread."""

import time
from threading import get_ident
from typing import Any

import pytest

from litespan.background import garbage_collection


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_exception_does_not_stop_the_thread(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a handler; calls that end later are reported, too."""
    ended: list[int] = []

    def fail() -> None:
        raise error

    for number in range(2):
        with monkeypatch.context() as collecting:
            collecting.setattr(garbage_collection._state, "collecting", get_ident())
            garbage_collection.call_outside_collection(fail)
            garbage_collection.call_outside_collection(ended.append, number)
        assert garbage_collection.wait_until_done(time.monotonic() + 10)
    assert ended == [0, 1]
