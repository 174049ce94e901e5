"""`litespan demo`, the first command of new users."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from litespan.cli import demo
from litespan.testing import LoopbackProvider
from tests.support.program import Ran, python_without, run

pytestmark = pytest.mark.slow

LITESPAN = "import sys; from litespan.cli import main; sys.exit(main())"


def litespan(*arguments: str, **options: Any) -> Ran:
    """What the `litespan` command does with these arguments."""
    return run(LITESPAN, *arguments, **options)


def calls_by(column: str, database: Path) -> dict[str, tuple[int, int]]:
    """Calls and failures in the report by `column`."""
    ran = litespan("report", "--by", column, "--json", str(database))
    groups = json.loads(ran.stdout)["groups"]
    return {row["group"]: (row["calls"], row["failures"]) for row in groups}


def test_shows_a_tree_and_the_reports(tmp_path: Path) -> None:
    """Every kind of call runs, the router's attempts are a tree, the sums are right."""
    database = tmp_path / "demo.db"
    elsewhere = tmp_path / "mine.csv"  # the demo's calls must not reach the user's exporters
    env = {"LITESPAN_SUCCESS": "csv", "LITESPAN_CSV": str(elsewhere)}
    ran = litespan("demo", "--db", str(database), env=env)
    assert (ran.code, ran.stderr, elsewhere.exists()) == (0, "", False)
    for kind in ("plain call", "two at once", "stream", "tool call", "embedding"):
        assert re.search(rf"^(a |an )?{kind}: \S+", ran.stdout, re.MULTILINE)
    assert "a tool call: (after order_status) " in ran.stdout
    assert "a failure: AuthenticationError, status 401\n" in ran.stdout
    tree = re.findall(
        r"^(?:├─|└─|litellm).*?(?=  \d+ ms)|error\.type = \w+", ran.stdout, re.MULTILINE
    )
    assert tree == [
        "litellm.router desk",
        "├─ chat gpt-4o",
        "error.type = RateLimitError",
        "├─ chat gpt-4o",
        "error.type = RateLimitError",
        "└─ chat claude-sonnet-4-5",
    ]
    assert calls_by("model", database) == {
        "gpt-4o-mini": (6, 0),
        "gpt-4o": (3, 3),
        "claude-sonnet-4-5": (1, 0),
        "text-embedding-3-small": (1, 0),
    }
    assert calls_by("user", database) == {"ada": (3, 1), "grace": (7, 2), "indexer": (1, 0)}
    for heading in ("--by model", "--by user"):
        assert f"$ litespan report {heading} {database}\n" in ran.stdout
    assert "claude-sonnet-4-5 " in ran.stdout.split("--by model")[1]
    assert "grace " in ran.stdout.split("--by user")[1]


def test_live_calls_the_real_model(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """With `--live`, only the failing calls stay on loopback."""
    loopback.clear()
    env = {"OPENAI_API_KEY": "sk-real", "OPENAI_BASE_URL": loopback.url}
    database = tmp_path / "demo.db"
    ran = litespan("demo", "--live", "openai/gpt-4.1-nano", "--db", str(database), env=env)
    assert (ran.code, ran.stderr) == (0, "")
    assert "embedding" not in ran.stdout
    keys = {(call.body["model"], call.headers["authorization"]) for call in loopback.requests}
    assert keys == {("gpt-4.1-nano", "Bearer sk-real")}
    assert len(loopback.requests) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--live", "openai/gpt-4o-mini"], "no key for openai/gpt-4o-mini: set OPENAI_API_KEY"),
        (["--live", "nonsense"], "LiteLLM knows no model 'nonsense': name it as provider/model"),
    ],
)
def test_live_reports_a_missing_key_or_unknown_model(arguments: list[str], words: str) -> None:
    """One line, and status 1."""
    ran = litespan("demo", *arguments)
    assert (ran.code, ran.stdout, ran.stderr) == (1, "", f"litespan demo: {words}\n")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("litellm", "litellm is not installed: pip install litellm"),
        ("mcp", "mcp is not installed: LiteLLM needs it for tool calls: pip install mcp"),
        (
            "opentelemetry_distro",
            "opentelemetry-distro is not installed: pip install 'litespan[auto]'",
        ),
    ],
)
def test_the_demo_reports_missing_packages(tmp_path: Path, missing: str, words: str) -> None:
    """The line has the package and the command that installs it."""
    ran = litespan("demo", python=python_without(tmp_path / "venv", missing))
    assert (ran.code, ran.stdout, ran.stderr) == (1, "", f"litespan demo: {words}\n")


def test_the_program_is_plain_litellm() -> None:
    """The program contains neither litespan nor OpenTelemetry."""
    tree = ast.parse(demo.APP.read_text())
    names = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else map(_name, node.names))
    }
    assert names == {"argparse", "asyncio", "json", "os", "typing", "litellm"}


def _name(alias: ast.alias) -> str:
    return alias.name
