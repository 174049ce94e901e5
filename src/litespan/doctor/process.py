"""Starts Python as `litespan run` does, imports LiteLLM, and looks at the result."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from litespan.doctor.setup import Finding
from litespan.settings import RUN

_PATIENCE: Final = 120.0  # s: importing LiteLLM takes long on a busy machine
_PROGRAM: Final = """
import json
from opentelemetry import trace
from litespan import LiteLLMInstrumentor
import litellm
provider = trace.get_tracer_provider()
print(json.dumps({
    "provider": type(provider).__module__ + "." + type(provider).__name__,
    "sdk": hasattr(provider, "add_span_processor"),
    "instrumented": LiteLLMInstrumentor()._patches is not None,
}))
"""


def check() -> Iterator[Finding]:
    """Whether there is a provider, and whether LiteLLM's functions are wrapped."""
    try:
        found, errors = _look()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        text = f"a test program could not be started ({type(error).__name__})"
        yield Finding("error", text, "litespan run -- python -c 'import litellm'")
        return
    if not found:
        last = errors.strip().splitlines()[-1:] or ["no output"]
        text = f"a test program that imports litellm fails: {last[0]}"
        yield Finding("error", text, "python -c 'import litellm'")
        return
    if not found["sdk"]:
        text = f"no tracer provider of OpenTelemetry's SDK is set up, but {found['provider']}"
        yield Finding(
            "error", text, "unset OTEL_PYTHON_TRACER_PROVIDER and OTEL_PYTHON_CONFIGURATOR"
        )
    if not found["instrumented"]:
        text = "LiteLLM is not instrumented, so no call is recorded"
        yield Finding("error", text, "unset OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    elif found["sdk"]:
        yield Finding("ok", "litespan run sets up a tracer provider, and LiteLLM is instrumented")


def _look() -> tuple[dict[str, Any], str]:
    """(findings of the test program, its standard error)."""
    # `find_spec` instead of an import: a process with the module in `sys.modules` counts as one
    # that `opentelemetry-instrument` has started.
    found = find_spec("opentelemetry.instrumentation.auto_instrumentation")
    path = str(Path(found.origin).parent) if found is not None and found.origin else ""
    env = {
        **os.environ,
        RUN: "silent",
        "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")])),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM],
        env=env,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1:]
    return (json.loads(last[0]) if last and done.returncode == 0 else {}), done.stderr
