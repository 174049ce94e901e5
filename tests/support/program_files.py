"""Programs with handlers, in files of their own and processes of their own."""

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.support.program import PYTHON, Ran, environment


def write(folder: Path, **files: str) -> Path:
    """Write Python files, named without suffix, and return the first one's path."""
    paths = []
    for name, source in files.items():
        path = folder / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        paths.append(path)
    return paths[0]


def command(script: Path, *arguments: str, instrument: bool = False) -> list[str]:
    """The command line that runs a script, maybe under `opentelemetry-instrument`."""
    before = [str(PYTHON.with_name("opentelemetry-instrument"))] if instrument else []
    return [*before, sys.executable, str(script), *arguments]


def run_file(
    script: Path,
    *arguments: str,
    env: Mapping[str, str],
    instrument: bool = False,
    timeout: float = 120,
    cwd: Path | None = None,
) -> Ran:
    """Run a script to its end, by default from the root folder, so that its own is not current."""
    done = subprocess.run(
        command(script, *arguments, instrument=instrument),
        env=environment({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", **env}),
        cwd=cwd or script.anchor,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
