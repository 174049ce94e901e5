"""`litespan new-exporter`: the package that it writes can be built, and its own tests pass."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from litespan.cli import main
from litespan.cli.new_exporter import SKELETON, renamed
from tests.support import program

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my_service", "json"])
def test_the_tests_of_the_package_pass(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed from its wheel, so its entry point is found; `json` is a module of its test."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-exporter", name]) == 0
    folder = f"litespan-{name.replace('_', '-')}"
    package = tmp_path / folder
    written = {path.name for path in package.iterdir()}
    assert written == {f"litespan_{name}.py", f"test_litespan_{name}.py", "pyproject.toml"}
    assert f"cd {folder} && pip install -e" in capsys.readouterr().out
    monkeypatch.chdir(package)
    with zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        wheel.extractall(tmp_path / "installed")
    (package / f"litespan_{name}.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider"],
        env=program.environment({"PYTHONPATH": os.fspath(tmp_path / "installed")}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout
    source = "".join(path.read_text() for path in package.iterdir())
    assert re.findall("acme", source, re.IGNORECASE) == []


def test_a_name_may_contain_that_of_the_skeleton() -> None:
    """Each part of a text is replaced once."""
    assert renamed("litespan-acme: AcmeExporter, acme", "acme_co") == (
        "litespan-acme-co: AcmeCoExporter, acme_co"
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("My-Service", "argument NAME: 'My-Service' is not a valid name; use lower-case letters"),
        ("langfuse", "an exporter langfuse exists already, litespan_exporters.langfuse"),
        ("other", "litespan_other.py exists already: name another folder with --folder"),
    ],
)
def test_a_wrong_name_writes_nothing(
    name: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line has the reason."""
    (tmp_path / "litespan_other.py").write_text("mine")
    assert main(["new-exporter", name, "--folder", str(tmp_path)]) == 2
    assert line in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_the_skeleton_is_the_recipe_of_the_page() -> None:
    """CONTRIBUTING.md shows the same module for a vendor in this repository."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.search(r"```python\n# exporters/\S+\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == (SKELETON / "acme.py").read_text()
