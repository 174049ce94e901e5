"""The same measures for other instrumentations of LiteLLM, each in a separate environment.

Every row is one process with its own bare span, around the same ready answer; the environments
are made under `build/peers`, with the LiteLLM of this one, from a package registry. The second
table has the difference that each makes to real calls with `mock_response`, in CPU of the whole
process: LiteLLM's own callback, which has no wrapper to measure, the SDK's batch processor and
the OTLP export to a local server included.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import _instructions

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "build" / "peers"
ROUNDS = 150
QUICK = 25
_SDK = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
# Name → packages in addition to LiteLLM; none: it runs in this environment.
PEERS = {
    "litespan": (),
    "openllmetry": ("opentelemetry-instrumentation-litellm==0.62.4", *_SDK),
    "openinference": ("openinference-instrumentation-litellm==0.1.51", *_SDK),
    "openlit": ("openlit==1.45.0", *_SDK),
}
MOCKED = {**PEERS, "litellm": _SDK}


def run(*, quick: bool) -> None:
    rounds = QUICK if quick else ROUNDS
    if not _instructions.wanted():
        _calls(rounds)
    unit = "1,000 instructions" if _instructions.wanted() else "µs"
    print(
        f"| of the process, real mocked calls, exported | content | sync, to bare span "
        f"| quartiles | {unit} | async | quartiles | {unit} |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, requirements in MOCKED.items():
        for content in ("off", "on"):
            found = measured(environment(name, requirements), "mocked", name, content, rounds)
            cells = [
                f"{at[0]:.2f} | {at[1]:.2f} to {at[2]:.2f} | {found[f'{way}_micros']:.0f}"
                for way in ("sync", "async")
                for at in (found[way],)
            ]
            print(f"| {found['title']} | {content} | {' | '.join(cells)} |", flush=True)


def _calls(rounds: int) -> None:
    """What a call adds to its thread."""
    print(
        "| around a ready answer | content | attributes | sync, to bare span | quartiles "
        "| async | µs a chunk | calls a chunk |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, requirements in PEERS.items():
        python = environment(name, requirements)
        for content in ("off", "on"):
            found = measured(python, "wrapper", name, content, rounds)
            sync, chunk = found["sync"], found["chunk"]
            print(
                f"| {found['title']} | {content} | {found['attributes']} "
                f"| {sync[0]:.2f} | {sync[1]:.2f} to {sync[2]:.2f} | {found['async'][0]:.2f} "
                f"| {chunk[0]:.1f} | {chunk[3]:.0f} |",
                flush=True,
            )
    print()


def environment(name: str, requirements: tuple[str, ...]) -> Path:
    """The Python of the peer's environment, created if missing."""
    if not requirements:
        return Path(sys.executable)
    where = CACHE / name
    python = where / "bin" / "python"
    wanted = [f"litellm=={metadata.version('litellm')}", *requirements]
    made = where / "made.json"
    if made.exists() and json.loads(made.read_text()) == wanted:
        return python
    shutil.rmtree(where, ignore_errors=True)
    subprocess.run(
        [ROOT / "scripts" / "venv", where, os.devnull, *wanted],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=sys.stderr,
        check=True,
    )
    made.write_text(json.dumps(wanted))
    return python


def measured(python: Path, way: str, name: str, content: str, rounds: int) -> dict[str, Any]:
    """The readings of one process."""
    program = [str(python), "-m", "benchmarks._peer", way, name, content, str(rounds)]
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    if _instructions.wanted():
        printed = _instructions.counted(program)
    else:
        done = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        printed = done.stdout.decode()
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found
