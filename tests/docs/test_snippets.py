"""The Python code on the pages runs. README.md has tests of its own.

A block that cannot run here has `<!-- not run: REASON -->` on the line before it.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from litespan.testing import LoopbackProvider
from tests.docs.pages import PAGES, ROOT, name_of, snippets
from tests.support import program

pytestmark = pytest.mark.slow

WITH_TESTS = [ROOT / "docs/testing.md", ROOT / "docs/recipes/fastapi.md"]
"""Pages whose blocks are files, each named in its first line."""
OTHER = {*WITH_TESTS, ROOT / "README.md"}
WITH_CODE = [page for page in PAGES if snippets(page) and page not in OTHER]
PROVIDER = "from opentelemetry.sdk.trace import TracerProvider\nprovider = TracerProvider()\n"
CALL = """
import litellm, litespan
with litespan.start("sqlite"):
    litellm.completion("gpt-4o-mini", [{"role": "user", "content": "Hello"}], user="ann")
"""
# What a page takes for granted, and what shows that its code has worked.
AROUND = {
    "docs/configuration-file.md": (
        """
import os, pathlib, tempfile
os.chdir(tempfile.mkdtemp())
os.environ["OTEL_CONFIG_FILE"] = "otel.yaml"
pathlib.Path("otel.yaml").write_text(
    'file_format: "1.0"\\n'
    'instrumentation/development: {python: {litespan: {content: SPAN_ONLY}}}\\n'
)
""",
        """
from litespan.instrumentation.signals import Live
assert Live.signals.settings.content == "SPAN_ONLY"
""",
    ),
    "docs/callbacks.md": (
        PROVIDER
        + """
class Handler:
    seen = 0
    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        Handler.seen += 1
my_handler = Handler()
""",
        """
import litellm
litellm.completion("gpt-4o-mini", [{"role": "user", "content": "Hello"}])
litespan.flush(timeout=30)
assert Handler.seen == 1, Handler.seen
""",
    ),
    "docs/collector.md": (
        """
import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
fsspec.register_implementation("s3", MemoryFileSystem, clobber=True)
attributes = {"litellm.call_id": "1"}
""",
        "assert restored(attributes) == attributes",
    ),
    "docs/moving-over.md": ("import litellm", "assert 'langfuse' in litellm.success_callback"),
    "docs/ui.md": (CALL, "assert list(calls['user_id']) == ['ann']"),
    "docs/recipes/notebooks.md": ("", "assert len(calls) == 4 and summary['cost_usd'].min() > 0"),
    "docs/recipes/serverless.md": (
        """
import os
from litespan.testing import OtlpReceiver
receiver = OtlpReceiver()
os.environ.update(receiver.env)
""",
        """
event = {"user": "ann", "question": "Why?"}
assert handler(event, None) == asyncio.run(async_handler(event))
assert [span["name"] for span in receiver.spans] == ["chat gpt-4o-mini"] * 2
receiver.close()
""",
    ),
    "docs/exporters/README.md": (PROVIDER, "provider.shutdown()"),
    "docs/exporters/generic_api.md": (
        "from litespan_exporters.webhook import signature",
        "assert is_genuine('secret', signature('secret', b'[]', 5), b'[]')",
    ),
    "CONTRIBUTING.md": (
        "",
        """
import json
from tests.cases import CASES
from tests.support.server import Reply, running
with running(lambda _: Reply(200)) as vendor:
    exporter = AcmeExporter("key", vendor.url)
    exporter.export([CASES["chat"]])
    exporter.shutdown()
    (request,) = vendor.received
assert (request.path, request.headers["x-api-key"]) == ("/v1/calls", "key")
(record,) = json.loads(request.body)
assert (record["model"], record["user"]) == ("gpt-4o-mini", "user-42"), record
""",
    ),
}


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, loopback: LoopbackProvider, tmp_path: Path) -> None:
    """All blocks of a page, one after the other, as one program."""
    before, after = AROUND.get(name_of(page), ("", ""))
    ran = program.run(
        "\n".join([before, *snippets(page), after]),
        env={
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": loopback.url,
            "OPENAI_API_BASE": loopback.url,
            "LITESPAN_SQLITE": str(tmp_path / "litespan.db"),
            "LANGFUSE_PUBLIC_KEY": "pk",
            "LANGFUSE_SECRET_KEY": "sk",
        },
    )
    assert (ran.code, "Traceback" in ran.stderr) == (0, False), ran.stderr


@pytest.mark.parametrize("page", WITH_TESTS, ids=name_of)
def test_the_tests_on_a_page_pass(page: Path, tmp_path: Path) -> None:
    """All of them, in one run."""
    for source in snippets(page):
        named = re.match(r"# (\w+\.py)\n", source)
        assert named, source
        (tmp_path / named[1]).write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-W", "ignore", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=program.environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    written = re.findall(r"^def (test_\w+)", "\n".join(snippets(page)), re.MULTILINE)
    passed = re.findall(r"^\S+::(\w+)\S* PASSED", done.stdout, re.MULTILINE)
    assert (done.returncode, {*passed}) == (0, {*written}), done.stdout
