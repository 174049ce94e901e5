"""Imports run in one direction: a module imports what stands before it in `ROOMS`, never after.

Imports inside functions and those for types alone count, too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    *(
        "semconv",
        "generations",
        "version",
        "counters",
        "errors",
        "parsers",
        "settings",
        "unknown_settings",
        "config_file",
        "variables",
        "detect",
        "launching",
        "objects",
        "identity",
    ),
    *("background", "redaction", "genai", "mapping", "otlp", "export", "stores"),
    "instrumentation",
    *("callbacks", "offload", "spool", "routing", "alerting", "forward", "proxy", "running"),
    *(
        "instrumentor",
        "_api",
        "starting",
        "dataframe",
        "testing",
        "doctor",
        "ui",
        "cli",
        "__init__",
    ),
)
# Entry points that users and the proxy name: they set everything up, on first use.
ON_FIRST_USE = {("proxy", "instrumentor")}


def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name."""
    found = {}
    for base in ("src", "exporters"):
        for path in (ROOT / base).rglob("*.py"):
            parts = path.relative_to(ROOT / base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


IMPORTS = {name: {*imported(path)} - {name} for name, path in MODULES.items()}


def room(module: str) -> str:
    """The folder or file directly below `litespan` that a module belongs to."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] or "__init__" if package == "litespan" else package


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("litespan")])
def test_imports_run_in_one_direction(module: str) -> None:
    """Each folder imports only those below it; the core never imports `litespan_exporters`."""
    here = room(module)
    for other in IMPORTS[module]:
        there = room(other)
        if here == "litespan_exporters":
            assert there not in ("instrumentation", "callbacks", "proxy", "cli", "_api")
        elif there != here and (here, there) not in ON_FIRST_USE:
            assert there in ROOMS, f"{module} imports {other}"
            assert ROOMS.index(there) < ROOMS.index(here), f"{module} imports {other}"


def test_no_modules_import_each_other() -> None:
    """There is no cycle within a folder, either."""
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module not in done:
            for other in sorted(IMPORTS[module]):
                visit(other, (*way, module))
            done.add(module)

    for module in sorted(MODULES):
        visit(module, ())
