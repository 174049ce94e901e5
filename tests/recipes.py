"""`python -m tests.recipes` runs programs of all kinds, and writes how many calls arrive.

The table is in docs/recipes/README.md. The batch delay is ten minutes, so only what is delivered
at the end arrives. Celery's worker is in tests/docs/test_celery.py.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.running import until
from tests.support.program import environment
from tests.support.tools import free_port

PAGE: Final = Path(__file__).parents[1] / "docs/recipes/README.md"
Program = subprocess.Popen[bytes]
Start = Callable[..., Program]  # arguments of Python
COMMON: Final = """
import asyncio, multiprocessing, os, signal
import litellm, litespan

litespan.start("otlp")
HI = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


def ask(_=None):
    return litellm.completion(**HI).choices[0].message.content


async def ask_all():
    await asyncio.gather(*(litellm.acompletion(**HI) for _ in range(20)))


"""


def ends(start: Start) -> None:
    """The program ends by itself."""
    assert start("app.py").wait(120) == 0


def freezes(start: Start) -> None:
    """The program stops after each of five events, and is killed while it is stopped."""
    program = start("app.py")
    for number in range(5):
        _, status = os.waitpid(program.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        program.send_signal(signal.SIGCONT if number < 4 else signal.SIGKILL)
    program.wait(60)


def is_killed(start: Start) -> None:
    """The program kills itself."""
    assert start("app.py").wait(120) == -signal.SIGKILL


def serves(start: Start) -> None:
    """The program is a web server that gets SIGTERM after 40 requests."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = (
        "--preload",
        "--workers",
        "2",
        "--bind",
        f"127.0.0.1:{port}",
        "--graceful-timeout",
        "60",
    )
    program = start("-m", "gunicorn", *options, "app:app")
    with httpx.Client(timeout=60) as client:
        until(lambda: answers(client, url), "answer of gunicorn")
        for _ in range(40):
            client.get(f"{url}/ask").raise_for_status()
    program.terminate()
    assert program.wait(120) == 0


def answers(client: httpx.Client, url: str) -> bool:
    """Whether the server answers."""
    try:
        return client.get(url).is_success
    except httpx.ConnectError:
        return False


class Recipe:
    """A program, how many calls it makes, and what happens to it."""

    def __init__(self, made: int, source: str, happens: Callable[[Start], None] = ends) -> None:
        self.made, self.source, self.happens = made, COMMON + source, happens


RECIPES: Final[dict[str, Recipe]] = {
    "a script of a few seconds": Recipe(20, "for _ in range(20): ask()"),
    "a notebook whose kernel is killed after `litespan.report()`": Recipe(
        20,
        """
litespan.start("sqlite")
for _ in range(20):
    ask()
litespan.report()
os.kill(os.getpid(), signal.SIGKILL)
""",
        is_killed,
    ),
    "a serverless function, frozen after each of 5 events, then killed": Recipe(
        20,
        """
for _ in range(5):
    for _ in range(4):
        ask()
    litespan.flush(timeout=60)
    os.kill(os.getpid(), signal.SIGSTOP)
""",
        freezes,
    ),
    "`asyncio.run` for each of 5 batches": Recipe(100, "for _ in range(5): asyncio.run(ask_all())"),
    "uvloop": Recipe(20, "import uvloop\nuvloop.run(ask_all())"),
    "`multiprocessing` with spawn": Recipe(
        20,
        """
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(ask, range(20))
        pool.close()
        pool.join()
""",
    ),
    "gunicorn with `--preload` and 2 workers, ended by SIGTERM": Recipe(
        40,
        """
def app(environ, start_response):
    start_response("200 OK", [])
    return [ask().encode() if environ["PATH_INFO"] == "/ask" else b""]
""",
        serves,
    ),
}


def delivered(recipe: Recipe) -> int:
    """Run a recipe; how many calls have arrived, each counted once."""
    with TemporaryDirectory() as folder, LoopbackProvider() as provider, OtlpReceiver() as receiver:
        Path(folder, "app.py").write_text(recipe.source)
        env = environment(
            {
                **receiver.env,
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": provider.url,
                "OTEL_BSP_SCHEDULE_DELAY": "600000",
                "OTEL_METRICS_EXPORTER": "none",
            }
        )

        def start(*arguments: str) -> Program:
            return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=env)

        recipe.happens(start)
        made = len(provider.requests)
        assert made == recipe.made, made
        spans = receiver.spans
        assert len({span["span_id"] for span in spans}) == len(spans)
        return len(spans)


def row(name: str) -> str:
    """The row of the table."""
    recipe = RECIPES[name]
    return f"| {name} | {recipe.made} | {delivered(recipe)} |"


def main() -> None:
    """Write the table."""
    head, _, rest = PAGE.read_text().partition("<!-- recipes -->\n")
    lines = rest.splitlines()
    body = next(i for i, line in enumerate(lines) if not line.startswith("|"))
    rows = [row(name) for name in RECIPES]
    PAGE.write_text("\n".join([f"{head}<!-- recipes -->", *lines[:2], *rows, *lines[body:], ""]))


if __name__ == "__main__":
    main()
