"""The pool that runs all background work."""

import threading
import time
from functools import partial

import pytest

from litespan import stats
from litespan.background import pool as module
from litespan.background.pool import Pool


def soon() -> float:
    """Longer than anything here takes, monotonic s."""
    return time.monotonic() + 30


def test_one_thread_runs_functions_in_order() -> None:
    """Functions that are due earlier run first, others in the order of `submit`."""
    pool = Pool("test")
    done: list[object] = []
    release = threading.Event()
    pool.submit(release.wait)
    for number in range(3):
        pool.submit(partial(done.append, number))
    pool.submit(partial(done.append, "first"), at=-1.0)
    release.set()
    assert pool.close(soon())
    assert done == ["first", 0, 1, 2]


def test_a_waiting_function_runs_once_and_as_early_as_submitted() -> None:
    """The earlier of two times counts; a started function may be submitted again."""
    pool = Pool("test")
    done: list[str] = []
    step = partial(done.append, "step")
    pool.submit(step, at=time.monotonic() + 1000)
    pool.submit(step)
    pool.submit(step, at=time.monotonic() + 2000)
    assert pool.wait_for(lambda: done, soon())
    assert pool.close(soon())
    assert done == ["step"]


def test_a_full_pool_starts_no_further_thread() -> None:
    """Two functions run at once; the third waits for one of them."""
    pool, release = Pool("test pool", 2), threading.Event()
    both, running = threading.Barrier(3), []

    def work() -> None:
        running.append(threading.get_ident())
        if len(running) <= 2:
            both.wait(30)
            release.wait(30)

    for _ in range(3):
        pool.submit(partial(work))
    both.wait(30)
    assert len(running) == 2
    release.set()
    assert pool.close(soon())
    assert len(set(running)) == 2


def test_an_error_is_counted_and_the_thread_continues() -> None:
    """The next function still runs."""
    pool, done = Pool("test errors"), []
    pool.submit(lambda: 1 // 0)
    pool.submit(lambda: done.append("next"))
    assert pool.close(soon())
    assert done == ["next"]
    assert stats()["errors.test errors"] == 1


def test_close_runs_due_functions_and_drops_later_ones() -> None:
    """Later submits are ignored."""
    pool, done = Pool("test"), []
    pool.submit(lambda: done.append("later"), at=time.monotonic() + 1000)
    pool.submit(lambda: done.append("now"))
    assert pool.close(soon())
    pool.submit(lambda: done.append("too late"))
    assert done == ["now"]
    assert not pool.has_threads


def test_the_waiting_thread_works_if_none_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the interpreter, no thread can start; nothing is lost."""

    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "start_thread", refused)
    pool, done = Pool("test"), []
    pool.submit(lambda: done.append(threading.get_ident()))
    pool.submit(lambda: done.append(threading.get_ident()), at=time.monotonic() + 0.05)
    assert pool.wait_for(lambda: len(done) == 2, soon())
    assert done == [threading.get_ident()] * 2
