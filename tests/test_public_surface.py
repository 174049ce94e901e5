"""What users rely on stays: names, settings, attributes, table columns, entry points, commands.

`public_surface.txt` holds one line for each. A change to it is a change for users: it belongs in
the CHANGELOG. To write it again: `python -m tests.test_public_surface > tests/public_surface.txt`.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from litespan import semconv
from litespan.cli import COMMANDS, command
from litespan.settings import Settings
from litespan.stores.columns import COLUMNS

SURFACE = Path(__file__).with_name("public_surface.txt")
MODULES = (
    "litespan",
    "litespan.alerting",
    "litespan.export",
    "litespan.offload",
    "litespan.spool",
    "litespan.testing",
)


def surface() -> list[str]:
    """Every public thing as one line, sorted."""
    return sorted({*names(), *entry_points(), *settings(), *attributes(), *columns(), *commands()})


def names() -> Iterator[str]:
    """What each public module exports, with the parameters of its functions and classes."""
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            yield f"name {module.__name__}.{name}{parameters(getattr(module, name))}"


def parameters(thing: Any) -> str:
    """The parameters of a function or class, without their types."""
    if not callable(thing) or isinstance(thing, str):
        return ""
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return ""
    return "(" + ", ".join(map(_without_type, found)) + ")"


def _without_type(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if isinstance(default, frozenset):  # its order differs between Python versions
        default = sorted(default)
    return str(parameter.replace(annotation=parameter.empty, default=default))


def entry_points() -> Iterator[str]:
    """Entry points, and the parameters of the exporters behind them."""
    for found in distribution("litespan").entry_points:
        yield f"entry point {found.group}: {found.name} = {found.value}"
        if found.group == "opentelemetry_traces_exporter":
            exporter = found.load()
            yield f"name {found.value.replace(':', '.')}{parameters(exporter)}"


def settings() -> Iterator[str]:
    """Variables with their defaults."""
    for row in fields(Settings):
        yield f"setting {row.metadata['env']} = {row.default!r}"


def attributes() -> Iterator[str]:
    """Every attribute, event and metric name."""
    for value in vars(semconv).values():
        if isinstance(value, str) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+\.?", value):
            yield f"attribute, event or metric {value}"


def columns() -> Iterator[str]:
    """The columns of every store."""
    for column in COLUMNS:
        yield f"column {column.name} {column.kind}"


def commands() -> Iterator[str]:
    """The commands and their options."""
    for name in COMMANDS:
        yield f"command litespan {name}"
        parser = getattr(command(name), "_parser", None)
        for action in parser()._actions if parser is not None else ():
            yield f"command litespan {name} {' '.join(action.option_strings) or action.dest}"


def test_the_public_surface_is_unchanged() -> None:
    """No name is missing, and new names are listed."""
    assert surface() == SURFACE.read_text().splitlines()


if __name__ == "__main__":
    print("\n".join(surface()))
