"""How far things travel: the files and functions of ours that one call, span and stage pass.

Counted, not timed: the second of two equal calls, spans and stages, so that nothing is set up.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks import _call, _sink

PACKAGES = ("/litespan/", "/litespan_exporters/")


def run(*, quick: bool) -> None:
    print("| way | files | function calls |")
    print("|---|---|---|")
    for title, way in (
        ("one `completion`", completion),
        ("a finished span to a vendor (helicone)", span),
        ("a call's stages to a handler", stages),
    ):
        files, calls = way()
        print(f"| {title} | {files} | {calls} |", flush=True)


def completion() -> tuple[int, int]:
    """Content on."""
    import litellm

    from litespan import LiteLLMInstrumentor

    response = _call.ready_response()
    with _call.ready_litellm(lambda _stream: response):
        LiteLLMInstrumentor().instrument(tracer_provider=_call.traced()[0])
        try:
            return passed(lambda: litellm.completion(**_call.ARGUMENTS))
        finally:
            LiteLLMInstrumentor().uninstrument()


def span() -> tuple[int, int]:
    from litespan_exporters.helicone import HeliconeExporter
    from tests.cases import CASES

    sink = _sink.Sink()
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    exporter = HeliconeExporter("sk-key", base_url=f"http://127.0.0.1:{sink.server_port}")
    try:
        return passed(lambda: exporter.export([CASES["chat"]]))
    finally:
        exporter.shutdown()
        sink.shutdown()


def stages() -> tuple[int, int]:
    """Pre, post and success of one call, beyond what the call passes without a handler."""
    import litellm

    import litespan
    from litespan import LiteLLMInstrumentor

    response = _call.ready_response()
    shown: list[Any] = []

    def call() -> None:
        shown.clear()
        litellm.completion(**_call.ARGUMENTS)
        while len(shown) < 1:
            time.sleep(0.01)
        time.sleep(0.1)

    with _call.ready_litellm(lambda _stream: response):
        LiteLLMInstrumentor().instrument(tracer_provider=_call.traced()[0])
        added = litespan.add_callback(success=lambda *arguments: shown.append(arguments))
        try:
            return passed(call, only="/callbacks/")
        finally:
            added.remove()
            LiteLLMInstrumentor().uninstrument()


def passed(function: Callable[[], Any], only: str = "") -> tuple[int, int]:
    """(files, function calls) of ours, on all threads, in the second call of `function`."""
    function()
    files: set[str] = set()
    calls = 0

    def profile(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        name = frame.f_code.co_filename
        if event == "call" and any(package in name for package in PACKAGES) and only in name:
            files.add(name)
            calls += 1

    # Handlers have threads that run already; before Python 3.12 those cannot be profiled.
    profile_threads: Any = getattr(threading, "setprofile_all_threads", threading.setprofile)
    profile_threads(profile)
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
        profile_threads(None)
    return len(files), calls
