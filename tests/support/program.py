"""Real programs in processes of their own, with an environment that is given in full."""

import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PYTHON = Path(sys.executable)
INSTRUMENT = """\
#!{python}
from opentelemetry.instrumentation.auto_instrumentation import run
run()
"""
# What a developer's own shell may hold and a test must not depend on.
PRIVATE = ("OTEL_", "LITESPAN_", "LITELLM_", "OPENAI_", "ANTHROPIC_", "GEMINI_")


@dataclass(frozen=True)
class Ran:
    """What a program left behind."""

    code: int
    stdout: str
    stderr: str


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without telemetry settings and keys, with `changes`."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(PRIVATE)}
    return {**clean, "LITELLM_LOCAL_MODEL_COST_MAP": "True", **changes}


def run(
    program: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    instrument: bool = False,
    python: Path = PYTHON,
    timeout: float = 180,
) -> Ran:
    """Run Python source, indented as it may be; `instrument`: under `opentelemetry-instrument`.

    `env` is added to a clean environment. Raises TimeoutExpired after `timeout` s.
    """
    command = [str(python.with_name("opentelemetry-instrument"))] if instrument else []
    command += [str(python), "-c", textwrap.dedent(program), *arguments]
    done = subprocess.run(
        command,
        env=environment(env or {}),
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def python_without(where: Path, *names: str) -> Path:
    """A Python, in `where`, that has what this one has but for distributions named so.

    Its packages are links to this environment's, so that it costs next to nothing. A name leaves
    out all that starts with it: `litellm` the package and its metadata.
    """
    venv.create(where, symlinks=True)
    (target,) = where.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(names):
            (target / entry.name).symlink_to(entry)
    python = where / "bin" / "python"
    script = python.with_name("opentelemetry-instrument")
    script.write_text(INSTRUMENT.format(python=python))
    script.chmod(0o755)
    return python
