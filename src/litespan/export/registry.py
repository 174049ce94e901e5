"""Span exporters by name, as in `OTEL_TRACES_EXPORTER`.

An exporter is an entry point in `opentelemetry_traces_exporter`, the group that the OpenTelemetry
SDK reads: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from litespan.errors import did_you_mean

GROUP: Final = "opentelemetry_traces_exporter"


class UnknownExporter(ValueError):
    """No exporter of that name is installed. The message lists the installed ones."""


def names() -> list[str]:
    """The names of all installed exporters, sorted."""
    return sorted({found.name for found in entry_points(group=GROUP)})


def find(name: str) -> EntryPoint | None:
    """The entry point of an exporter, not loaded; None if there is none."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def load(name: str) -> Any:
    """The class of an exporter.

    Raises:
        UnknownExporter: no exporter has that name.
        Exception: any exception that its module raises on import.
    """
    found = find(name)
    if found is None:
        raise UnknownExporter(unknown(name))
    return found.load()


def unknown(name: str) -> str:
    """The message for a name that no exporter has."""
    known = names()
    guess = did_you_mean(name.lower(), known)
    return f"no exporter is called {name!r}{guess}; installed are {', '.join(known)}"
