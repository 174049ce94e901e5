"""Real programs in processes of their own, with an environment that is told in full."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
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
    cwd: Path | None = None,
    timeout: float = 180,
) -> Ran:
    """Run Python source, indented as it may be; `instrument`: under `opentelemetry-instrument`.

    `env` is added to a clean environment. Raises TimeoutExpired after `timeout` s.
    """
    command = [str(BIN / "opentelemetry-instrument")] if instrument else []
    command += [sys.executable, "-c", textwrap.dedent(program), *arguments]
    done = subprocess.run(
        command,
        env=environment(env or {}),
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
