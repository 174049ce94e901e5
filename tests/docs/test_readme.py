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


def test_the_first_commands_of_the_readme_work(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """Unchanged: a line before and after the program, and the report."""
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
    assert ran.returncode == 0, ran.stderr
    first, last = ran.stderr.splitlines()
    assert first.endswith("calls go to litespan.db · content off")
    assert last.startswith("litespan: 1 call, 30 tokens, $0.000009 → litespan.db")
    assert re.search(r"^ann +1 ", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize("manual", [False, True])
def test_the_python_blocks_of_the_readme_work(
    manual: bool, loopback: LoopbackProvider, tmp_path: Path
) -> None:
    """With either set-up, they trace a real call into a real file."""
    file = tmp_path / "calls.db"
    start, call, set_up = blocks("python")
    source = "\n".join([set_up, call, "provider.shutdown()"] if manual else [start, call])
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
