"""Follows "Add a vendor" in CONTRIBUTING.md in a copy of the repository, and counts what changes.

`python -m scripts.count_recipe` prints each new or changed file and how many lines it gained. The
vendor is the made-up one of the recipe. Its exporter passes the contract tests in the copy.
"""

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
MODULE: Final = re.compile(r"```python\n# (exporters/\S+)\n(.*?)```", re.DOTALL)
GROUP: Final = "[project.entry-points.opentelemetry_traces_exporter]\n"
POINT: Final = "litespan_exporters.acme:AcmeExporter"
PAGE: Final = "docs/exporters/acme.md"
TESTS: Final = ("tests/exporters", "-k", "acme or test_fields", "-m", "not slow", "--update-golden")


class Change(NamedTuple):
    """A file that the recipe adds or changes."""

    path: str
    lines: int  # gained
    by_hand: bool


def follow() -> list[Change]:
    """Follow the recipe in a copy. Raises CalledProcessError if a step fails."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, "litespan")
        before = _copy(copy)
        path, code = _module((copy / "CONTRIBUTING.md").read_text())
        project = (copy / "pyproject.toml").read_text()
        written = {
            path: code,
            "pyproject.toml": project.replace(GROUP, f'{GROUP}acme = "{POINT}"\n'),
            PAGE: "# Acme\n\nOne record for each call. Tested with a server on 127.0.0.1.\n",
        }
        for name, text in written.items():
            (copy / name).write_text(text)
        installed = copy / "build/installed"
        _install(installed)
        for command in (("pytest", "-q", *TESTS), ("scripts.docs_tables",)):
            _run(copy, installed, *command)
        return sorted(_changes(copy, before, by_hand={*written}))


def _copy(to: Path) -> dict[str, bytes]:
    """Copy every file of the repository. Returns their contents."""
    listed = subprocess.run(
        ("git", "ls-files", "-z"), cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    contents = {}
    for name in filter(None, listed.split("\0")):
        content = (ROOT / name).read_bytes()
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        contents[name] = content
    return contents


def _module(page: str) -> tuple[str, str]:
    """Path and text of the module that the recipe shows."""
    found = MODULE.search(page)
    if found is None:
        raise ValueError("CONTRIBUTING.md has no Python block that begins with a path")
    return found[1], found[2]


def _install(folder: Path) -> None:
    """Register the entry point, as installing the copy would."""
    metadata = folder / "acme-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[opentelemetry_traces_exporter]\nacme = {POINT}\n")


def _run(copy: Path, installed: Path, *module: str) -> None:
    path = os.pathsep.join(map(str, (copy / "src", copy / "exporters", installed)))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        (sys.executable, "-m", *module),
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(module)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )


def _changes(copy: Path, before: dict[str, bytes], by_hand: set[str]) -> list[Change]:
    found = []
    for file in filter(Path.is_file, copy.rglob("*")):
        name = file.relative_to(copy).as_posix()
        if name.startswith(("build/", ".")):
            continue
        old, new = before.get(name, b""), file.read_bytes()
        if old != new:
            was, now = old.decode().splitlines(), new.decode().splitlines()
            gained = sum(line.startswith("+ ") for line in difflib.ndiff(was, now))
            found.append(Change(name, gained, name in by_hand))
    return found


def table(changes: list[Change]) -> str:
    """The changes as a table in Markdown."""
    rows = [f"| {c.path} | {c.lines} | {'yes' if c.by_hand else ''} |" for c in changes]
    return "\n".join(("| file | lines | by hand |", "|---|---|---|", *rows))


if __name__ == "__main__":
    print(table(follow()))
