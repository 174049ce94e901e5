"""The CPU that litespan adds to the start of a program, with or without LiteLLM.

Whole processes under `opentelemetry-instrument`, with litespan and with litespan disabled, in
turns; then what patching takes once the program has imported LiteLLM, beside that import.
"""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 40
QUICK = 8

QUIET = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
OFF = {**QUIET, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "litespan"}
LOADED = "import sys; print(*(name in sys.modules for name in ('litespan', 'litellm')))"
PATCH = """
import statistics, time
start = time.process_time()
import litellm
imported = time.process_time() - start
from litespan import LiteLLMInstrumentor
took = []
for _ in range(15):
    start = time.process_time()
    LiteLLMInstrumentor().instrument()
    took.append(time.process_time() - start)
    LiteLLMInstrumentor().uninstrument()
print(imported, statistics.median(took))
"""


def run(*, quick: bool) -> None:
    if cpu(QUIET)[1] != "True False":
        print("litespan or opentelemetry-distro is not installed here: pip install -e '.[auto]'")
        return
    added = []
    for _ in range(QUICK if quick else ROUNDS):
        off, on = cpu(OFF)[0], cpu(QUIET)[0]
        added.append((on - off) * 1e3)
    low, middle, high = statistics.quantiles(added, n=4)
    print("| start | ms of CPU | quartiles |\n|---|---|---|")
    print(f"| added by litespan | {middle:.0f} | {low:.0f} to {high:.0f} |")
    done = subprocess.run(
        [sys.executable, "-c", PATCH], env=environment(QUIET), capture_output=True, check=True
    )
    imported, patched = (float(seconds) * 1e3 for seconds in done.stdout.split())
    print(f"| LiteLLM's own import | {imported:.0f} | |")
    print(f"| patching it | {patched:.0f} | |")


def cpu(env: dict[str, str]) -> tuple[float, str]:
    """(CPU seconds, output) of one process under `opentelemetry-instrument`."""
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [instrument, sys.executable, "-c", LOADED],
        env=environment(env),
        capture_output=True,
        check=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, done.stdout.strip()


def environment(changes: dict[str, str]) -> dict[str, str]:
    """This process's environment without its telemetry settings, with `changes`."""
    names = ("OTEL_", "LITESPAN_", "LITELLM_")
    return {k: v for k, v in os.environ.items() if not k.startswith(names)} | changes
