#!/usr/bin/env python3
"""Checks with pip, and uv if installed, what installing litespan today resolves to.

    scripts/resolve.py dist/litespan-….whl

The OpenTelemetry packages must be of one release: with litespan alone, with all extras and LiteLLM,
and with LiteLLM's proxy. Fails if there is no solution or if releases are mixed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

BETA = 21  # OpenTelemetry 1.N is released with instrumentation packages 0.(N+21)
STABLE = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")
UNSTABLE = ("opentelemetry-instrumentation", "opentelemetry-distro")
SHOWN = (*STABLE, *UNSTABLE, "wrapt", "httpx", "litellm")


def output(command: list[str], stdin: str = "") -> str:
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def with_pip(python: str, wheel: str, requests: list[str]) -> dict[str, str]:
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    asked = [wheel + request.removeprefix("litespan") for request in requests[:1]] + requests[1:]
    report = json.loads(output([*pip, "--dry-run", "--ignore-installed", "--report", "-", *asked]))
    return {i["metadata"]["name"]: i["metadata"]["version"] for i in report["install"]}


def with_uv(python: str, wheel: str, requests: list[str]) -> dict[str, str]:
    asked = "\n".join([f"{requests[0]} @ {Path(wheel).as_uri()}", *requests[1:]])
    uv = ["uv"] if shutil.which("uv") else ["python3", "-m", "uv"]
    compiled = output([*uv, "pip", "compile", "-q", "--python", python, "-"], asked)
    return dict(line.split("==") for line in compiled.splitlines() if "==" in line)


def mixed(found: dict[str, str]) -> bool:
    minors = {int(found[name].split(".")[1]) for name in STABLE}
    minors |= {int(found[n].split(".")[1].split("b")[0]) - BETA for n in UNSTABLE if n in found}
    return len(minors) != 1


def main() -> int:
    wheel = str(Path(sys.argv[1]).resolve())
    resolvers = {"pip": with_pip}
    if (
        shutil.which("uv")
        or not subprocess.run(
            ["python3", "-m", "uv", "--version"], capture_output=True, check=False
        ).returncode
    ):
        resolvers["uv"] = with_uv
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        for requests in (
            ["litespan"],
            ["litespan[all]", "litellm"],
            ["litespan", "litellm[proxy]"],
        ):
            for name, resolve in resolvers.items():
                found = resolve(f"{folder}/bin/python", wheel, requests)
                wrong = mixed(found)
                bad += wrong
                sets = ", ".join(f"{n} {found[n]}" for n in SHOWN if n in found)
                print(f"{'MIXED' if wrong else 'ok'}: {name}: {' + '.join(requests)}: {sets}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
