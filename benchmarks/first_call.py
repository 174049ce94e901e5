"""From an empty environment to the first call that can be seen: litespan and others, in one run.

For each tool: create an environment, install, start its server if it has one, run an app of five
lines against the loopback provider with the set-up that the tool documents for LiteLLM, and poll
until the call is visible in its page, API or terminal. Installation starts without pip's cache.
It downloads about 1 GB and needs 3 GB in the folder for temporary files. `--quick` measures only
litespan.
"""

import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from litespan.testing import LoopbackProvider

ROOT = Path(__file__).parent.parent
DEADLINE = 300.0  # s, for a server or a call
PORT = 8791
MODEL = "gpt-4o-mini"
APP = f"""\
import litellm
question = "Say hello."
messages = [dict(role="user", content=question)]
answer = litellm.completion("{MODEL}", messages)
print(answer.choices[0].message.content)
"""
HOST = f"http://127.0.0.1:{PORT}"


@dataclass
class Tool:
    """A tool as its documentation sets it up.

    `lines` are added to the app. `server` runs before the app, `page` after it. The call is visible
    when `text` is in what the tool answers at `path`, or else in the terminal.
    """

    name: str
    packages: tuple[str, ...]
    package: str
    where: str
    path: str
    text: str
    lines: str = ""
    app: tuple[str, ...] = ("python", "app.py")
    server: tuple[str, ...] = ()
    page: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


TOOLS = (
    Tool(
        "litespan",
        (f"{ROOT}[ui]", "litellm"),
        "litespan",
        "its page",
        "/calls",
        MODEL,
        app=("litespan", "run", "app.py"),
        page=("litespan", "ui", "--port", str(PORT)),
    ),
    Tool(
        "Logfire",
        ("logfire[litellm]", "litellm"),
        "logfire",
        "the terminal; its page is hosted",
        "",
        " completion",
        "import logfire\nlogfire.configure()\nlogfire.instrument_litellm()\n",
        env={"LOGFIRE_SEND_TO_LOGFIRE": "false"},
    ),
    Tool(
        "Phoenix",
        ("arize-phoenix", "openinference-instrumentation-litellm", "litellm"),
        "arize-phoenix",
        "its API",
        "/v1/projects/default/spans",
        MODEL,
        "from phoenix.otel import register\nregister(auto_instrument=True)\n",
        server=("phoenix", "serve"),
        env={
            "PHOENIX_PORT": str(PORT),
            "PHOENIX_GRPC_PORT": str(PORT + 1),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_COLLECTOR_ENDPOINT": HOST,
        },
    ),
    Tool(
        "MLflow",
        ("mlflow", "litellm"),
        "mlflow",
        "its API",
        "/api/2.0/mlflow/traces?experiment_ids=0",
        "tr-",  # every trace id starts with it
        f'import mlflow\nmlflow.set_tracking_uri("{HOST}")\nmlflow.litellm.autolog()\n',
        server=("mlflow", "server", "--port", str(PORT)),
    ),
)


def run(*, quick: bool) -> None:
    print(f"Python {platform.python_version()}, load {os.getloadavg()[0]:.0f} at the start\n")
    head = "tool", "commands", "changed lines", "install", "size", "server ready", "first call seen"
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    with LoopbackProvider() as provider:
        for tool in TOOLS[:1] if quick else TOOLS:
            with tempfile.TemporaryDirectory(prefix="first-call-") as folder:
                print(f"| {' | '.join(_row(tool, Path(folder), provider))} |", flush=True)
    print(f"\nload {os.getloadavg()[0]:.0f} at the end")


def _row(tool: Tool, folder: Path, provider: LoopbackProvider) -> tuple[str, ...]:
    places = {"HOME": str(folder), "PATH": f"{folder}/venv/bin:/usr/bin:/bin"}
    openai = {"OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "sk-loopback"}
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONUNBUFFERED": "1"}
    env = {**places, **openai, **quiet, **tool.env}
    install, version = _install(tool, folder)
    size = sum(f.lstat().st_size for f in (folder / "venv").rglob("*")) / 1e6
    (folder / "app.py").write_text(tool.lines + APP)
    log = folder / "log"
    programs: list[subprocess.Popen[bytes]] = []

    def start(command: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        program = shutil.which(command[0], path=env["PATH"]) or command[0]
        with log.open("ab") as out:
            programs.append(
                subprocess.Popen(
                    [program, *command[1:]], cwd=folder, env=env, stdout=out, stderr=out
                )
            )
        return programs[-1]

    try:
        ready = "no server"
        if tool.server:
            started = time.monotonic()
            start(tool.server)
            up = _wait(lambda: httpx.get(HOST).is_success)
            ready = f"{time.monotonic() - started:.0f} s" if up else "never"
        started = time.monotonic()
        app = start(tool.app)
        if tool.page:
            app.wait(DEADLINE)
            start(tool.page)
        seen = _wait(lambda: tool.text in (_get(tool.path) if tool.path else log.read_text()))
        first = f"{time.monotonic() - started:.0f} s, in {tool.where}" if seen else "not seen"
        if not seen:
            print(log.read_text(), file=sys.stderr)
    finally:
        for program in programs:
            program.terminate()
            program.wait(60)
    packages = [package.replace(str(ROOT), "litespan") for package in tool.packages]
    typed = (("pip", "install", *packages), tool.server, tool.app, tool.page)
    commands = ", ".join(f"`{shlex.join(command)}`" for command in typed if command)
    lines = str(tool.lines.count("\n"))
    return f"{tool.name} {version}", commands, lines, install, f"{size:.0f} MB", ready, first


def _install(tool: Tool, folder: Path) -> tuple[str, str]:
    """Install into a new environment; return how long it took and the version."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*pip, "install", "--quiet", "--no-cache-dir", *tool.packages], check=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    show = [*pip, "show", tool.package]
    said = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    return f"{seconds:.0f} s, {cpu:.0f} s of CPU", said.split("Version: ")[1].split()[0]


def _get(path: str) -> str:
    return httpx.get(HOST + path, follow_redirects=True).text


def _wait(condition: Callable[[], Any]) -> bool:
    """Poll until `condition` holds; an error means that it does not yet."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.5)
    return False
