"""At process exit, every stage is delivered, or counted and logged, in bounded time."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from litespan.testing import LoopbackProvider
from tests.support.program import environment
from tests.support.program_files import command, run_file, write

pytestmark = pytest.mark.slow

# Handlers that take their time in every way that handlers do. What they do is printed at once.
COMMON = """
    import asyncio, os, signal, sys, threading, time
    import litellm, litespan
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

    litellm.suppress_debug_info = True

    def out(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def mine(kwargs):
        return kwargs["litellm_params"]["metadata"]["mine"]

    class Handler:
        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(out, "async", mine(kwargs))

        def log_failure_event(self, kwargs, response_obj, start_time, end_time):
            time.sleep(0.2)
            out("sync", mine(kwargs))

    class Hung:
        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            await asyncio.sleep(3600)

        def log_failure_event(self, kwargs, response_obj, start_time, end_time):
            time.sleep(3600)

    class Printed(SpanExporter):
        def export(self, spans):
            for span in spans:
                out("span", span.attributes["litellm.outcome"])

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Printed()))
    litespan.LiteLLMInstrumentor().instrument(tracer_provider=provider)
    HI = {
        "model": "openai/gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_retries": 0,
    }

    def call(mine, **more):
        return litellm.completion(**HI, metadata={"mine": mine}, **more)

    async def acall(mine, **more):
        return await litellm.acompletion(**HI, metadata={"mine": mine}, **more)

    def refused(mine):
        try:
            call(mine, api_base=os.environ["REFUSES"])
        except litellm.AuthenticationError:
            pass
"""
CALLS = """
    litespan.add_callback(Handler())
    call("plain")
    asyncio.run(acall("loop-1"))
    asyncio.run(acall("loop-2"))
    refused("refused")
"""
HANDLED = ["async loop-1", "async loop-2", "async plain", "sync refused"]


@pytest.fixture
def at(loopback: LoopbackProvider) -> dict[str, str]:
    """The environment in which LiteLLM's OpenAI calls reach the loopback provider."""
    return {
        "OPENAI_BASE_URL": loopback.url,
        "OPENAI_API_KEY": "sk-loopback",
        "REFUSES": loopback.url_for(status=401),
        "SLOW": loopback.url_for(delay=1.0),
    }


def handled(stdout: str) -> list[str]:
    """What the handler has printed."""
    return sorted(line for line in stdout.splitlines() if line.startswith(("async", "sync")))


@pytest.mark.parametrize(
    ("ending", "code"),
    [("", 0), ("sys.exit(3)", 3), ("raise ValueError('the application')", 1)],
    ids=["end of script", "sys.exit", "exception"],
)
def test_an_orderly_exit_delivers_every_stage(
    tmp_path: Path, at: dict[str, str], ending: str, code: int
) -> None:
    """Every stage is delivered, including those that need threads or a closed loop."""
    app = write(tmp_path, app=f"{COMMON}{CALLS}\n    {ending}\n")
    ran = run_file(app, env=at)
    assert handled(ran.stdout) == HANDLED, ran.stderr
    assert ran.code == code
    assert "litespan" not in ran.stderr.replace(str(tmp_path), "")


def test_sigterm_with_the_documented_lines_is_an_orderly_exit(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """With the documented two lines, SIGTERM is an orderly exit."""
    app = write(
        tmp_path,
        app=f"""{COMMON}{CALLS}
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    out("ready")
    time.sleep(60)
    """,
    )
    program = subprocess.Popen(command(app), env=environment(at), stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    lines = []
    for line in program.stdout:
        lines.append(line)
        if line == "ready\n":
            program.send_signal(signal.SIGTERM)
    assert handled("".join(lines)) == HANDLED
    assert program.wait() == 0


def test_calls_that_end_after_the_main_thread_are_delivered(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """Other threads end calls after the main thread, and one stream is never read to its end."""
    app = write(
        tmp_path,
        app=f"""{COMMON}
    from concurrent.futures import ThreadPoolExecutor

    litespan.add_callback(Handler())
    held = call("held", stream=True)
    next(held), next(held), next(held)
    slow = {{"api_base": os.environ["SLOW"]}}
    threading.Thread(target=call, args=["thread"], kwargs=slow).start()
    ThreadPoolExecutor().submit(call, "pool", **slow)
    """,
    )
    ran = run_file(app, env=at)
    assert handled(ran.stdout) == ["async held", "async pool", "async thread"], ran.stderr
    spans = sorted(line for line in ran.stdout.splitlines() if line.startswith("span"))
    assert spans == ["span abandoned", "span success", "span success"]
    assert ran.code == 0


def test_hung_handlers_delay_the_exit_but_do_not_prevent_it(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """Two handlers that never return delay the exit by about five seconds, and are logged."""
    app = write(
        tmp_path,
        app=f"""{COMMON}
    litespan.add_callback(Hung(), name="hung-1")
    litespan.add_callback(Hung(), name="hung-2")
    litespan.add_callback(Handler())
    call("plain", litellm_call_id="call-1")
    refused("refused")
    out("ended")
    """,
    )
    with subprocess.Popen(
        command(app),
        env=environment(at),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        lines = []
        ended = time.monotonic()
        for line in program.stdout:
            lines.append(line)
            if line == "ended\n":
                ended = time.monotonic()
        output = program.stderr.read()
        assert program.wait() == 0
        took = time.monotonic() - ended
    assert handled("".join(lines)) == ["async plain", "sync refused"]
    assert took > 4  # and it ends
    for name in ("hung-1", "hung-2"):
        line = next(line for line in output.splitlines() if f"handler {name}:" in line)
        assert line.startswith(
            f"litespan: handler {name}: 2 stages were not delivered (1 success, 1 failure), "
            "of calls call-1, "
        )


def test_exit_waits_for_a_slow_handler(tmp_path: Path, at: dict[str, str]) -> None:
    """As long as the handler's methods return, the exit waits for the next one."""
    app = write(
        tmp_path,
        app=f"""{COMMON}
    done = []

    def success(kwargs, response, start, end):
        time.sleep(1)
        done.append(mine(kwargs))
        out("sync", len(done))

    litespan.add_callback(success=success, concurrency=1)
    for index in range(8):
        call(index)
    """,
    )
    ran = run_file(app, env=at)
    assert handled(ran.stdout) == [f"sync {number}" for number in range(1, 9)]


def test_flush_delivers_everything_before_a_process_is_killed(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """After `flush`, no stage is lost even if the process is killed."""
    app = write(tmp_path, app=f"{COMMON}{CALLS}\n    out(litespan.flush(20))\n    os._exit(0)\n")
    ran = run_file(app, env=at)
    assert handled(ran.stdout) == HANDLED
    assert ran.stdout.splitlines()[-1] == "True"


def test_a_forked_child_delivers_only_its_own_calls(tmp_path: Path, at: dict[str, str]) -> None:
    """The parent's calls stay with the parent."""
    app = write(
        tmp_path,
        app=f"""{COMMON}
    import multiprocessing

    litespan.add_callback(Handler())
    asyncio.run(acall("parent-before"))

    def child():
        call("child-of-multiprocessing")
        refused("refused-child")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    pid = os.fork()
    if pid == 0:
        call("child-of-os.fork")
        sys.exit(7)
    call("parent-after")
    process.join()
    _, status = os.waitpid(pid, 0)
    out("codes", process.exitcode, os.waitstatus_to_exitcode(status))
    """,
    )
    ran = run_file(app, env=at)
    assert handled(ran.stdout) == [
        "async child-of-multiprocessing",
        "async child-of-os.fork",
        "async parent-after",
        "async parent-before",
        "sync refused-child",
    ], ran.stderr
    assert "codes 0 7" in ran.stdout
