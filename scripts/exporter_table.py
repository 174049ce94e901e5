"""The table of exporters in README.md: `make docs-tables` writes it.

A row is made from the exporter's entry point and its class's docstring, so a new exporter
needs no edit here: the docstring's first line says what the exporter does, and the first
sentence that begins with "Reads" names the variables that users set first.
"""

import re
from importlib.metadata import entry_points, metadata
from pathlib import Path
from typing import Any

from litespan.alerting import AlertExporter
from litespan.export.http import HttpExporter

README = Path(__file__).parents[1] / "README.md"
PART = re.compile(r"(?<=<!-- --8<-- \[start:exporters\] -->\n).*?(?=<!--)", re.DOTALL)
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")


def exporters() -> dict[str, list[type[Any]]]:
    """Our exporters' classes by what they are: services, stores, alerts; each sorted by name."""
    kinds: dict[str, list[type[Any]]] = {"Services": [], "Stores": [], "Alerts": []}
    found = entry_points(group="opentelemetry_traces_exporter")
    for point in sorted(found, key=lambda point: point.name):
        if point.value.startswith(("litespan.", "litespan_exporters.")):
            cls = point.load()
            alerts, http = issubclass(cls, AlertExporter), issubclass(cls, HttpExporter)
            kinds["Alerts" if alerts else "Services" if http else "Stores"].append(cls)
    return kinds


def name_of(cls: type[Any]) -> str:
    """The exporter's name in `OTEL_TRACES_EXPORTER`."""
    found = entry_points(group="opentelemetry_traces_exporter")
    return next(point.name for point in found if point.value.endswith(f":{cls.__name__}"))


def row(cls: type[Any]) -> str:
    """One row of the table."""
    text = " ".join((cls.__doc__ or "").split())
    does = (cls.__doc__ or "").partition("\n")[0].rstrip(".")
    reads = re.search(r"\bReads (.+?)\.(?:\s|$)", text)
    if reads is None:
        raise ValueError(f'the docstring of {cls.__name__} has no sentence "Reads VARIABLE, ….".')
    name, variables = name_of(cls), VARIABLE.sub(r"`\g<0>`", reads[1])
    extra = f"`{name}`" if name in (metadata("litespan").get_all("Provides-Extra") or ()) else ""
    return f"| `{name}` | {does} | {variables} | {extra} |\n"


def table() -> str:
    """The whole table."""
    head = "| name | what it does | variables | extra |\n|---|---|---|---|\n"
    return head + "".join(row(cls) for classes in exporters().values() for cls in classes)


if __name__ == "__main__":
    README.write_text(PART.sub(lambda _: table(), README.read_text()))
