"""The commands on the pages run as they are printed.

Programs, LiteLLM's proxy and uvicorn are small stand-ins here: a test shows that a command starts
what it says. Commands of `litespan` that need a service or a server are only parsed.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from litespan import cli
from tests.docs.pages import PAGES, name_of
from tests.support import program

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = Path(__file__).parents[2] / "examples/config-file/store.yaml"
STARTS = ("litespan run", "opentelemetry-instrument")


def commands() -> list[tuple[str, str]]:
    """(page, command) for each command of a shell block, once."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s+#.*", "", line).strip()
                found.append((name_of(page), re.sub(r"\s+", " ", command)))
    return list({command: (page, command) for page, command in found}.values())


STARTING = [each for each in commands() if any(word in each[1] for word in STARTS)]
OTHERS = [
    each for each in commands() if each not in STARTING and re.search(r"(^| )litespan ", each[1])
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command"), STARTING)
def test_a_command_starts_its_program(page: str, command: str, tmp_path: Path) -> None:
    """It succeeds, without a warning."""
    (tmp_path / "app.py").write_text("print('started')\n")
    shutil.copy(EXAMPLE, tmp_path / "otel.yaml")
    for name in ("litellm", "uvicorn"):
        stub = tmp_path / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f"#!{sys.executable}\nprint('started')\n")
        stub.chmod(0o755)
    path = [str(tmp_path / "bin"), str(program.PYTHON.parent), os.environ["PATH"]]
    ran = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=tmp_path,
        env=program.environment({"PATH": os.pathsep.join(path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "started\n"), ran.stderr
    wrong = ("Traceback", "Transient", "error:", "is ignored", "no effect")
    assert [line for line in ran.stderr.splitlines() if any(word in line for word in wrong)] == []


@pytest.mark.parametrize(("page", "command"), OTHERS)
def test_a_command_of_litespan_has_these_arguments(page: str, command: str) -> None:
    """Its parser accepts them."""
    words = shlex.split(command)
    _, name, *arguments = words[words.index("litespan") :]
    assert name in cli.COMMANDS
    parser = cli.command("calls" if name == "tail" else name)._parser()  # with --follow
    assert parser.parse_args(arguments)
