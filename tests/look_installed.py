"""Run by the Python of a fresh environment: print, as JSON, what of litespan is installed there."""

import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterator
from importlib import metadata, resources
from types import ModuleType

from opentelemetry.sdk.trace.export import SpanExporter

PACKAGES = ("litespan", "litespan_exporters")


def problem(error: BaseException) -> str:
    """One line about `error`."""
    return f"{type(error).__name__}: {error}"


def modules(package: str) -> Iterator[tuple[str, ModuleType | str]]:
    """Every module below `package` by name, or why it cannot be imported."""
    root = importlib.import_module(package)
    yield package, root
    for info in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda _: None):
        if not info.name.endswith(".__main__"):
            try:
                yield info.name, importlib.import_module(info.name)
            except Exception as error:
                yield info.name, problem(error)


def exporters(module: ModuleType) -> Iterator[str]:
    """The public SpanExporter classes that `module` itself defines, as entry points name them."""
    for name, value in vars(module).items():
        if (
            inspect.isclass(value)
            and issubclass(value, SpanExporter)
            and value.__module__ == module.__name__
            and not inspect.isabstract(value)
            and not name.startswith("_")
        ):
            yield f"{module.__name__}:{name}"


def loaded(point: metadata.EntryPoint) -> str | None:
    """What is wrong with an entry point: it must load, and an exporter must need no argument."""
    try:
        value = point.load()
        if point.group == "opentelemetry_traces_exporter":
            if not (inspect.isclass(value) and issubclass(value, SpanExporter)):
                return "not a subclass of SpanExporter"
            value().shutdown()
        if point.group == "litespan_readers":
            value = value.read
    except Exception as error:
        return problem(error)
    return None if callable(value) else "not callable"


found = {name: module for package in PACKAGES for name, module in modules(package)}
points = metadata.distribution("litespan").entry_points
public = importlib.import_module("litespan")
listed = list(getattr(public, "__all__", ["(no __all__)"]))
sys.stdout.write(
    json.dumps(
        {
            "broken modules": {n: m for n, m in found.items() if isinstance(m, str)},
            "modules": sorted(found),
            "typed": [p for p in PACKAGES if (resources.files(p) / "py.typed").is_file()],
            "entry points": sorted([p.group, p.name, p.value] for p in points),
            "broken entry points": {p.name: why for p in points if (why := loaded(p))},
            "exporters": sorted(
                exporter
                for name, module in found.items()
                if name.startswith("litespan_exporters") and not isinstance(module, str)
                for exporter in exporters(module)
            ),
            "__all__": listed,
            "missing": [name for name in listed if not hasattr(public, name)],
            "unlisted": sorted(
                name
                for name, value in vars(public).items()
                if not name.startswith("_")
                and getattr(value, "__module__", "").startswith("litespan")
                and name not in listed
            ),
        }
    )
)
