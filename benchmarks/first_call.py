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
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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
Seen = Callable[[str], bool]  # gets the output of the app


def _page(_: str) -> bool:
    return MODEL in httpx.get(f"{HOST}/calls", follow_redirects=True).text


def _phoenix(_: str) -> bool:
    return bool(httpx.get(f"{HOST}/v1/projects/default/spans").json().get("data"))


def _mlflow(_: str) -> bool:
    found = httpx.get(f"{HOST}/api/2.0/mlflow/traces", params={"experiment_ids": "0"})
    return bool(found.json().get("traces"))


@dataclass
class Tool:
    """A tool as its documentation sets it up.

    `lines` are added to the app. `server` runs before the app, `page` after it. `ready` is the
    path at which the server answers when it is up.
    """

    name: str
    packages: tuple[str, ...]
    seen: Seen
    where: str
    package: str
    lines: str = ""
    app: tuple[str, ...] = ("python", "app.py")
    server: tuple[str, ...] = ()
    page: tuple[str, ...] = ()
    ready: str = "/"
    env: Mapping[str, str] | None = None


TOOLS = (
    Tool(
        "litespan",
        (f"{ROOT}[ui]", "litellm"),
        _page,
        "its page",
        "litespan",
        app=("litespan", "run", "app.py"),
        page=("litespan", "ui", "--port", str(PORT)),
    ),
    Tool(
        "Logfire",
        ("logfire[litellm]", "litellm"),
        lambda said: " completion" in said,
        "the terminal; its page is hosted",
        "logfire",
        "import logfire\nlogfire.configure()\nlogfire.instrument_litellm()\n",
        env={"LOGFIRE_SEND_TO_LOGFIRE": "false"},
    ),
    Tool(
        "Phoenix",
        ("arize-phoenix", "openinference-instrumentation-litellm", "litellm"),
        _phoenix,
        "its API",
        "arize-phoenix",
        "from phoenix.otel import register\nregister(auto_instrument=True)\n",
        server=("phoenix", "serve"),
        ready="/healthz",
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
        _mlflow,
        "its API",
        "mlflow",
        f'import mlflow\nmlflow.set_tracking_uri("{HOST}")\nmlflow.litellm.autolog()\n',
        server=("mlflow", "server", "--port", str(PORT)),
        ready="/health",
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
    env = {**places, **openai, **quiet, **(tool.env or {})}
    install, version = _install(tool, folder)
    size = sum(f.lstat().st_size for f in (folder / "venv").rglob("*")) / 1e6
    (folder / "app.py").write_text(tool.lines + APP)
    servers: list[subprocess.Popen[bytes]] = []
    log = (folder / "server.log").open("wb")
    try:
        ready = "no server"
        if tool.server:
            started = time.monotonic()
            servers.append(_start(tool.server, folder, env, log))
            up = _wait(lambda: httpx.get(HOST + tool.ready).is_success)
            ready = f"{time.monotonic() - started:.0f} s" if up else "never"
        started = time.monotonic()
        said = (folder / "app.log").open("w+b")
        servers.append(_start(tool.app, folder, env, said))
        if tool.page:
            servers[-1].wait(DEADLINE)
            servers.append(_start(tool.page, folder, env, log))
        output = folder / "app.log"
        seen = _wait(lambda: tool.seen(output.read_text(errors="replace")))
        first = f"{time.monotonic() - started:.0f} s, in {tool.where}" if seen else "not seen"
        if not seen:
            print(output.read_text(), (folder / "server.log").read_text()[-3000:], file=sys.stderr)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(60)
        log.close()
    packages = " ".join(p.replace(str(ROOT), "litespan") for p in tool.packages)
    programs = (tool.server, tool.app, tool.page)
    commands = (f"pip install {packages}", *(" ".join(program) for program in programs if program))
    lines = str(tool.lines.count("\n"))
    shown = ", ".join(f"`{command}`" for command in commands)
    return f"{tool.name} {version}", shown, lines, install, f"{size:.0f} MB", ready, first


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


def _start(
    command: tuple[str, ...], folder: Path, env: Mapping[str, str], log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    program = shutil.which(command[0], path=env["PATH"]) or command[0]
    return subprocess.Popen(
        [program, *command[1:]], cwd=folder, env=dict(env), stdout=log, stderr=subprocess.STDOUT
    )


def _wait(condition: Callable[[], Any]) -> bool:
    """Poll until `condition` holds; an error means that it does not yet."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.1)
    return False
