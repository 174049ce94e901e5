"""The distribution as a user gets it: built, installed into a fresh environment, looked at there.

What is expected is derived from the tree, so that a new module needs no edit here.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCES = {"src/litespan": "litespan", "exporters/litespan_exporters": "litespan_exporters"}
# Places of one machine, and hosts of package registries: neither belongs into a repository.
ALIEN = re.compile(
    r"(?<![\w.<>{}*-])/(?:root|home|Users|work)/\w"
    r"|\b(?:pypi|pythonhosted|npmjs)\.org\b|\bproxy\.golang\.org\b"
)


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """The standard output of `command`; all that it printed is shown when it fails."""
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def tracked() -> set[str]:
    """The files of the repository that git knows, or without git those outside made folders."""
    if (ROOT / ".git").exists():
        listed = run("git", "ls-files", "-z").split("\0")
        return {name for name in listed if name and (ROOT / name).exists()}
    made = {".venv", "build", "dist", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    paths = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
    return {p.as_posix() for p in paths if not made & set(p.parts)} - {"PKG-INFO"}


class Built(NamedTuple):
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist of the tree, and a wheel that was built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out)
    return Built(next(out.glob("*.tar.gz")), next(out.glob("*.whl")))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with nothing but the wheel and its dependencies, as pinned here."""
    folder = tmp_path_factory.mktemp("fresh")
    pins = folder / "constraints.txt"
    here = {d.name: d.version for d in metadata.distributions() if d.name != "litespan"}
    pins.write_text("".join(f"{name}=={version}\n" for name, version in here.items()))
    env = {**os.environ, "PYTHON": sys.executable}
    run(ROOT / "scripts/venv", folder / "venv", pins, built.wheel, env=env)
    return folder / "venv/bin"


@pytest.fixture(scope="module")
def look(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tests/look_installed.py sees in the fresh environment, with no setting and no key."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("home"))}
    script = Path(__file__).parent / "look_installed.py"
    output = run(installed / "python", script, cwd=tmp_path_factory.mktemp("cwd"), env=env)
    seen: dict[str, Any] = json.loads(output.splitlines()[-1])
    return seen


def test_the_sdist_has_the_repository(built: Built) -> None:
    """It includes every top-level folder, so it can be tested and built."""
    with tarfile.open(built.sdist) as archive:
        packed = {name.split("/", 1)[1] for name in archive.getnames()}
    assert tracked() - packed == set()


def test_the_wheel_has_the_packages_and_nothing_else(built: Built) -> None:
    """Both packages, completely, built through the sdist; no tests and tools."""
    expected = {
        f"{package}/{name.removeprefix(folder + '/')}"
        for folder, package in SOURCES.items()
        for name in tracked()
        if name.startswith(f"{folder}/")
    }
    packed = {n for n in zipfile.ZipFile(built.wheel).namelist() if ".dist-info/" not in n}
    assert expected - packed == set()
    assert {name.split("/")[0] for name in packed} == set(SOURCES.values())


def test_a_wheel_of_the_same_source_has_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """Anyone can reproduce the published wheel from the sdist or the repository."""
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path)
    assert (tmp_path / built.wheel.name).read_bytes() == built.wheel.read_bytes()


def test_dependencies_are_ranges_and_all_has_every_extra(built: Built) -> None:
    """An exact pin would conflict with applications."""
    with zipfile.ZipFile(built.wheel) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        lines = wheel.read(name).decode().splitlines()
    requires = [Requirement(x.split(": ", 1)[1]) for x in lines if x.startswith("Requires-Dist: ")]
    exact = [
        str(r) for r in requires if any(s.operator in {"==", "===", "~="} for s in r.specifier)
    ]
    assert exact == []
    # OpenTelemetry reads these two from the metadata, and skips the instrumentor silently.
    extras = {x.split(": ", 1)[1] for x in lines if x.startswith("Provides-Extra: ")}
    assert extras & {"instruments", "instruments-any"} == set()
    needs = {
        extra: {
            (r.name, str(r.specifier))
            for r in requires
            if r.marker and r.marker.evaluate({"extra": extra}) and "extra" in str(r.marker)
        }
        for extra in extras
    }
    assert needs.pop("all") == set().union(*needs.values())


def test_every_module_imports_without_extras_and_without_litellm(look: dict[str, Any]) -> None:
    """Large or optional packages are imported on first use."""
    # A page is all web server: the command looks for its libraries before it imports these. Only
    # pytest imports its fixtures.
    late = ("litespan.ui.", "litespan.testing.fixtures")
    broken = {n: m for n, m in look["broken modules"].items() if not n.startswith(late)}
    assert broken == {}
    assert look["typed"] == sorted(SOURCES.values())


def test_entry_points_load(look: dict[str, Any]) -> None:
    """Exporters are SpanExporter classes, and are created without arguments or keys."""
    assert look["broken entry points"] == {}
    assert ["opentelemetry_instrumentor", "litespan"] in [p[:2] for p in look["entry points"]]


def test_exporters_are_entry_points_and_entry_points_are_exporters(look: dict[str, Any]) -> None:
    """`OTEL_TRACES_EXPORTER` accepts every exporter in litespan_exporters."""
    group = "opentelemetry_traces_exporter"
    assert look["exporters"] == sorted(p[2] for p in look["entry points"] if p[0] == group)


def test_public_names_are_sorted_and_complete(look: dict[str, Any]) -> None:
    """`litespan.__all__` lists exactly the public names."""
    assert look["__all__"] == sorted(look["__all__"])
    assert (look["missing"], look["unlisted"]) == ([], [])


def test_the_command_shows_help_without_extras(installed: Path) -> None:
    """`litespan --help` works in a plain installation."""
    assert "usage: litespan" in run(installed / "litespan", "--help")


def test_no_file_names_a_machine_or_a_registry() -> None:
    """The repository is independent of machines and package mirrors."""
    hits = []
    for name in sorted(tracked()):
        text = (ROOT / name).read_bytes().decode(errors="replace")
        hits += [f"{name}: {hit.group()}" for hit in ALIEN.finditer(text)]
    assert hits == []
