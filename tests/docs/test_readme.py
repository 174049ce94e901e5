"""The README's programs run."""

import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from litespan.testing import LoopbackProvider
from tests.support import program

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"
APP = """
import litellm

litellm.completion("gpt-4o-mini", [{"role": "user", "content": "Hello"}], user="ann")
"""


def blocks(language: str) -> list[str]:
    """The code blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_without_a_line_of_code(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """The first commands, as they stand there: the report, and not a line of complaint."""
    (tmp_path / "app.py").write_text(APP)
    install, *commands = blocks("sh")[1].splitlines()
    assert install.startswith("pip install")
    path = os.pathsep.join([str(program.PYTHON.parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["/bin/sh", "-ec", "\n".join(commands)],
        cwd=tmp_path,
        env=program.environment(
            {"PATH": path, "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": loopback.url}
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(r"^ann +1 ", ran.stdout, re.MULTILINE)


def test_the_manual_set_up(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """The Python blocks, one after the other, trace a real call into a real file."""
    file = tmp_path / "calls.db"
    source = "\n".join([*blocks("python"), "provider.shutdown()"])
    ran = program.run(
        source,
        env={
            "LITESPAN_SQLITE": str(file),
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": loopback.url,
            "OPENAI_API_BASE": loopback.url,
        },
    )
    assert (ran.code, "Traceback" in ran.stderr) == (0, False), ran.stderr
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT user_id, session_id, request_model FROM calls").fetchall()
    assert rows == [("ann", "s-1", "gpt-4o-mini")]
