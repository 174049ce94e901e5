"""A fork while a thread of litespan imports a module or holds a lock: the child must not wait."""

from pathlib import Path

import pytest

from tests.support.program import run

# A module that takes a second to import, as LiteLLM's do; the child is ended if it hangs.
SLOW = "import time\ntime.sleep(1)\nREADY = True\n"
CHILD = """
    import os, signal, threading, time

    def forked(work):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            work()
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@pytest.fixture
def slow(tmp_path: Path) -> dict[str, str]:
    """An environment in which there is a module `slow`."""
    (tmp_path / "slow.py").write_text(SLOW)
    return {"PYTHONPATH": str(tmp_path)}


def test_a_fork_waits_for_an_import_in_another_thread(slow: dict[str, str]) -> None:
    """In the child, the module is complete, and more forks work."""
    program = f"""{CHILD}
    from litespan.background.fork import import_lock

    def load():
        with import_lock:
            import slow
            assert slow.READY

    threading.Thread(target=load).start()
    time.sleep(0.2)
    print(forked(lambda: print(forked(load), flush=True)))
    """
    ran = run(program, env=slow)
    assert (ran.stdout, ran.code) == ("0\n0\n", 0), ran.stderr


def test_a_fork_does_not_wait_forever_for_an_import() -> None:
    """The importing thread waits for the forking one.

    The child, which has no such thread, continues, too.
    """
    program = f"""{CHILD}
    from litespan.background import fork

    fork.TIMEOUT = 0.5
    done = threading.Event()

    def wait():
        with fork.import_lock:
            done.wait()

    def enter():
        with fork.import_lock:
            pass

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    print(forked(enter), thread.is_alive())
    done.set()
    thread.join()
    enter()
    """
    ran = run(program)
    assert (ran.stdout, ran.code) == ("0 True\n", 0), ran.stderr


def test_the_forking_thread_may_hold_the_import_lock() -> None:
    """Parent and child continue, and others can acquire the lock."""
    program = f"""{CHILD}
    from litespan.background.fork import import_lock

    def others():
        thread = threading.Thread(target=import_lock.__enter__)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    with import_lock:
        pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        others()
        os._exit(0)
    others()
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    ran = run(program)
    assert (ran.stdout, ran.code) == ("0\n", 0), ran.stderr


def test_a_child_forked_during_the_import_of_a_driver_stores_its_calls(tmp_path: Path) -> None:
    """A store's thread imports its driver at the first call."""
    program = f"""{CHILD}
    from litespan_exporters.parquet import ParquetExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = ParquetExporter({str(tmp_path)!r}, interval=0)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def call():
        attributes = {{"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}}
        provider.get_tracer("app").start_span("chat m", attributes=attributes).end()

    def in_child():
        call()
        exporter.shutdown()

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.05)
    print(forked(in_child))
    thread.join()
    exporter.shutdown()
    """
    ran = run(program)
    assert (ran.stdout, ran.code) == ("0\n", 0), ran.stderr
    assert len(list(tmp_path.glob("date=*/*.parquet"))) == 2


def test_a_child_forked_while_a_job_is_remembered_remembers_jobs() -> None:
    """No lock stays locked."""
    program = f"""{CHILD}
    from litespan.instrumentation.jobs import JOBS

    class Slow(str):
        def __hash__(self):
            time.sleep(1)
            return 0

    thread = threading.Thread(target=JOBS.charge, args=(Slow("resp_1"),))
    thread.start()
    time.sleep(0.2)
    print(forked(lambda: JOBS.charge("resp_2")))
    thread.join()
    """
    ran = run(program)
    assert (ran.stdout, ran.code) == ("0\n", 0), ran.stderr
