"""`opentelemetry-instrument python app.py`: nothing in the application but LiteLLM."""

import json
import sysconfig
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import urlsplit

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.support.program import python_without, run

pytestmark = pytest.mark.slow

QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
CONSOLE = {**QUIET, "OTEL_TRACES_EXPORTER": "console"}
SILENT = {**QUIET, "OTEL_TRACES_EXPORTER": "none"}
START_LIMIT = 33_000  # function calls that may be added to a start: some 27 ms of CPU

STARTING = """
    import sys

    calls = 0

    def count(frame, event, argument):
        global calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    from opentelemetry.instrumentation.auto_instrumentation import initialize
    initialize()  # what `opentelemetry-instrument` has every Python do first
    sys.setprofile(None)
    print(calls)
"""

ONE_CALL = """
    import litellm

    answer = litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
    print("answer:", answer.choices[0].message.content)
"""
MANY_CALLS = """
    import asyncio, litellm

    hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}

    async def ask():
        await asyncio.gather(*(litellm.acompletion(**hi) for _ in range(3)))
        async for chunk in await litellm.acompletion(**hi, stream=True):
            pass

    litellm.completion(**hi)
    for chunk in litellm.completion(**hi, stream=True):
        pass
    litellm.embedding("openai/text-embedding-3-small", ["a"])
    asyncio.run(ask())
    try:
        litellm.completion(**hi, api_base="http://127.0.0.1:9", max_retries=0)
    except litellm.InternalServerError:
        print("refused")
"""
ANSWER = "answer: Hello! How can I help you today?\n"


@pytest.fixture
def at(loopback: LoopbackProvider) -> dict[str, str]:
    """The environment in which LiteLLM's OpenAI calls reach the loopback provider."""
    loopback.clear()
    return {"OPENAI_BASE_URL": loopback.url, "OPENAI_API_KEY": "sk-loopback"}


def printed_json(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a program's output, which may hold other lines."""
    decoder = json.JSONDecoder()
    while (start := text.find("{\n")) >= 0:
        value, length = decoder.raw_decode(text[start:])
        yield value
        text = text[start + length :]


def lines_with(stderr: str, words: str) -> list[str]:
    """The lines that hold `words`."""
    return [line for line in stderr.splitlines() if words in line]


def test_console_exporter_prints_the_call(at: dict[str, str]) -> None:
    """One call is one printed span with the service's name; the application is unchanged."""
    ran = run(ONE_CALL, instrument=True, env={**at, **CONSOLE, "OTEL_SERVICE_NAME": "help-desk"})
    (span,) = printed_json(ran.stdout)
    assert ran.code == 0
    assert ANSWER in ran.stdout
    assert (span["name"], span["kind"]) == ("chat gpt-4o-mini", "SpanKind.CLIENT")
    assert span["resource"]["attributes"]["service.name"] == "help-desk"


def test_otlp_exporter_sends_one_span_per_call(
    at: dict[str, str], receiver: OtlpReceiver, loopback: LoopbackProvider
) -> None:
    """Sync, async, streamed, embedding and failed calls, decoded from OTLP."""
    env = {**at, **receiver.env, "OTEL_SERVICE_NAME": "help-desk", "OTEL_LOGS_EXPORTER": "none"}
    ran = run(MANY_CALLS, instrument=True, env=env)
    assert (ran.code, ran.stdout.splitlines()[-1:]) == (0, ["refused"])
    chat, embeddings = "chat gpt-4o-mini", "embeddings text-embedding-3-small"
    assert sorted(span["name"] for span in receiver.spans) == [*[chat] * 7, embeddings]
    assert [span["status"] for span in receiver.spans].count("ERROR") == 1
    assert len(loopback.requests) == 7
    assert {resource["service.name"] for resource in receiver.resources} == {"help-desk"}
    assert {span["scope"] for span in receiver.spans} == {"litespan"}
    durations = [m for m in receiver.metrics if m["name"] == "gen_ai.client.operation.duration"]
    assert sum(point["count"] for point in durations) == 8


def test_litespan_does_not_import_litellm() -> None:
    """Its import takes seconds of CPU, which a program without LiteLLM must not pay."""
    program = """
        import sys
        print([name in sys.modules for name in ("litespan.instrumentor", "litellm", "openai")])
    """
    ran = run(program, instrument=True, env=SILENT)
    assert (ran.stdout, ran.stderr) == ("[True, False, False]\n", "")


def test_start_costs_little() -> None:
    """Our part adds little to a start, counted by the interpreter, so free of noise.

    `python -m benchmarks startup` measures the time.
    """
    off = {**SILENT, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "litespan"}
    with_us, without = (int(run(STARTING, env=env).stdout) for env in (SILENT, off))
    assert 0 < with_us - without < START_LIMIT


def test_missing_litellm_is_one_line(tmp_path: Path) -> None:
    """The application runs."""
    python = python_without(tmp_path / "venv", "litellm")
    ran = run("print('done')", instrument=True, env=SILENT, python=python)
    assert (ran.code, ran.stdout) == (0, "done\n")
    assert ran.stderr.splitlines() == lines_with(ran.stderr, "pip install litellm")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.73.6", "litellm 1.73.6 is older than 1.74 and is not instrumented"),
        ("1.82.7", "litellm 1.82.7 is a compromised release and is not instrumented"),
        ("1.82.8", "litellm 1.82.8 is a compromised release and is not instrumented"),
    ],
)
def test_unsupported_litellm_is_one_line(
    at: dict[str, str], tmp_path: Path, version: str, words: str
) -> None:
    """It is not instrumented: the call works, and there is no span."""
    python = python_without(tmp_path / "venv", "litellm-")
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (ours,) = Path(sysconfig.get_path("purelib")).glob("litellm-*.dist-info")
    metadata_folder = packages / f"litellm-{version}.dist-info"
    metadata_folder.mkdir()
    for name in ("METADATA", "RECORD"):
        (metadata_folder / name).write_text((ours / name).read_text())
    metadata = metadata_folder / "METADATA"
    lines = metadata.read_text().splitlines()
    metadata.write_text(
        "\n".join(f"Version: {version}" if row.startswith("Version: ") else row for row in lines)
    )
    ran = run(ONE_CALL, instrument=True, env={**at, **CONSOLE}, python=python)
    assert (ran.code, ran.stdout) == (0, ANSWER)
    assert len(lines_with(ran.stderr, words)) == 1


def test_no_distro_is_one_line(at: dict[str, str], tmp_path: Path) -> None:
    """Without opentelemetry-distro there is no tracer provider: one line has the fix."""
    python = python_without(tmp_path / "venv", "opentelemetry_distro")
    ran = run(ONE_CALL, instrument=True, env={**at, **CONSOLE}, python=python)
    assert (ran.code, ran.stdout) == (0, ANSWER)
    assert len(lines_with(ran.stderr, "pip install 'litespan[auto]'")) == 1


def test_the_standard_variable_disables_litespan(at: dict[str, str]) -> None:
    """`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=litespan`: no span, and no log line."""
    off = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "litespan"}
    ran = run(ONE_CALL, instrument=True, env={**at, **CONSOLE, **off})
    assert (ran.code, ran.stdout, lines_with(ran.stderr, "litespan")) == (0, ANSWER, [])


def test_no_host_is_contacted_that_is_not_configured(
    at: dict[str, str], receiver: OtlpReceiver, loopback: LoopbackProvider, tmp_path: Path
) -> None:
    """With every exporter on, the interpreter connects to two addresses only."""
    program = """
        import atexit, os, sys

        os.chdir(sys.argv[1])
        seen = set()
        atexit.register(lambda: print("contacted:", *sorted(seen)))  # runs last

        def watch(event, args):
            if event == "socket.connect":
                seen.add(str(args[1][:2]))
            elif event == "socket.getaddrinfo":
                seen.add(str(args[:2]))

        sys.addaudithook(watch)
        from opentelemetry.instrumentation.auto_instrumentation import initialize
        initialize()
    """
    names = sorted(
        point.name
        for point in entry_points(group="opentelemetry_traces_exporter")
        if point.value.startswith("litespan_exporters")
    )
    assert len(names) > 20
    endpoint = receiver.env["OTEL_EXPORTER_OTLP_ENDPOINT"]
    env = {**at, **receiver.env, "OTEL_TRACES_EXPORTER": ",".join(["otlp", *names])}
    env["PHOENIX_COLLECTOR_ENDPOINT"] = endpoint  # the only service that needs no key: localhost
    ran = run(dedent(program) + dedent(ONE_CALL), str(tmp_path), env=env)
    assert (ran.code, ANSWER in ran.stdout) == (0, True)
    assert (len(receiver.spans), (tmp_path / "litespan.db").exists()) == (2, True)
    (line,) = lines_with(ran.stdout, "contacted: ")
    configured = [urlsplit(url) for url in (loopback.url, endpoint)]
    assert line == " ".join(
        ["contacted:", *sorted(str((url.hostname, url.port)) for url in configured)]
    )
