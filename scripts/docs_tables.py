"""Generates the tables of the documentation from the code: `make docs-tables`.

A row of the exporter table comes from an entry point and the docstring of its class: the first
line is the description, and the first sentence that begins with "Reads" lists the variables that
users set first. A row of the tables of settings and thresholds is a field of a dataclass.
"""

import re
from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import entry_points, metadata
from pathlib import Path
from typing import Any, Final

from litespan.alerting import AlertExporter, Thresholds
from litespan.export.http import HttpExporter
from litespan.mapping.targets import TARGETS, Target
from litespan.routing.litellm_names import EXPORTERS, STAYS
from litespan.settings import Settings
from litespan_exporters.otlp_presets.exporter import Preset, PresetExporter

ROOT: Final = Path(__file__).parents[1]
VARIABLE: Final = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")


def exporters() -> dict[str, dict[str, type[Any]]]:
    """The exporter classes of this project, by kind and name."""
    kinds: dict[str, dict[str, type[Any]]] = {"Services": {}, "Stores": {}, "Alerts": {}}
    found = entry_points(group="opentelemetry_traces_exporter")
    for point in sorted(found, key=lambda point: point.name):
        if point.value.startswith(("litespan.", "litespan_exporters.")):
            cls = point.load()
            alerts, http = issubclass(cls, AlertExporter), issubclass(cls, HttpExporter)
            kinds["Alerts" if alerts else "Services" if http else "Stores"][point.name] = cls
    return kinds


def exporter_table() -> str:
    """The table of all exporters."""
    rows = [exporter_row(*each) for kind in exporters().values() for each in kind.items()]
    return _table(["name", "what it does", "variables", "extra"], rows)


def exporter_row(name: str, cls: type[Any]) -> list[str]:
    """The table row of one exporter."""
    doc = cls.__doc__ or ""
    reads = re.search(r"\bReads (.+?)\.(?:\s|$)", " ".join(doc.split()))
    if reads is None:
        raise ValueError(f'the docstring of {cls.__name__} has no sentence "Reads VARIABLE, ….".')
    extras = metadata("litespan").get_all("Provides-Extra") or []
    return [
        f"`{name}`",
        doc.partition("\n")[0].rstrip("."),
        VARIABLE.sub(r"`\g<0>`", reads[1]),
        f"`{name}`" if name in extras else "",
    ]


def call_table() -> str:
    """The table of operations, and the LiteLLM functions whose calls have them."""
    rows: dict[str, list[str]] = {}
    for target in TARGETS:
        if not _is_managed(target):
            rows.setdefault(target.operation.name, []).append(target.call_type)
    return _table(
        ["operation", "LiteLLM functions"],
        [[f"`{operation}`", _functions(names)] for operation, names in rows.items()],
    )


def request_table() -> str:
    """The table of functions that run no model, by LiteLLM's module."""
    rows: dict[str, list[str]] = {}
    for target in TARGETS:
        if _is_managed(target):
            subject = target.modules[-1].removeprefix("litellm.").removesuffix(".main")
            subject = "containers" if subject.startswith("containers") else subject
            rows.setdefault(subject, []).append(target.call_type)
    return _table(
        ["subject", "LiteLLM functions"],
        [[_words(subject), _functions(names)] for subject, names in rows.items()],
    )


def _is_managed(target: Target) -> bool:
    """Whether the operation of a function is its own name."""
    operation = target.operation
    return not operation.model and operation.name.startswith("litellm.")


def _words(subject: str) -> str:
    return "token counts" if subject == "main" else re.sub(r"[._]", " ", subject)


def _functions(call_types: list[str]) -> str:
    """The functions, without the async form of a sync one."""
    names = dict.fromkeys(call_types)
    kept = [name for name in names if name[1:] not in names and name != "a_add_message"]
    return ", ".join(f"`{name}`" for name in kept)


def setting_table() -> str:
    """The table of all settings of the core."""
    rows = [
        [f"`{row.metadata['env']}`", default(row), row.metadata["values"], row.metadata["about"]]
        for row in fields(Settings)
    ]
    return _table(["variable", "default", "values", "what it does"], rows)


def file_setting_table() -> str:
    """The keys of the configuration file and their variables."""
    rows = [[f"`{row.name}`", f"`{row.metadata['env']}`"] for row in fields(Settings)]
    return _table(["key", "variable, see [settings](settings.md)"], rows)


def threshold_table() -> str:
    """The table of all thresholds of alerts."""
    rows = [
        [f"`{row.metadata['env']}`", default(row), row.metadata["about"]]
        for row in fields(Thresholds)
    ]
    return _table(["variable", "default", "meaning"], rows)


def preset_table() -> str:
    """The table of all OTLP presets."""
    rows = [preset_row(cls.preset) for cls in exporters()["Services"].values() if is_preset(cls)]
    head = ["name", "service", "URL", "must be set", "may be set", "argument"]
    return _table(head, rows)


def is_preset(cls: type[Any]) -> bool:
    """Whether an exporter is a row of `otlp_presets`."""
    return issubclass(cls, PresetExporter)


def preset_row(row: Preset) -> list[str]:
    """The table row of one preset."""
    others = [name for group in row.takes.values() for name in group]
    needed = [" or ".join(f"`{name}`" for name in group) for group in row.needs.values()]
    place = [f"`{name}`" for name in row.url_variables]
    return [
        f"`{row.name}`",
        row.title,
        f"`{row.url}`" if row.url else "",
        ", ".join((*needed, *([] if row.url else place[:1]))),
        ", ".join((*map("`{}`".format, others), *(place if row.url else place[1:]))),
        ", ".join(f"`{name}`" for name in (*row.needs, *row.takes, "base_url")),
    ]


def callback_table() -> str:
    """The table of all names in LiteLLM's callback lists."""
    rows = [[f"`{name}`", f"exporter `{EXPORTERS[name]}`"] for name in sorted(EXPORTERS)]
    rows += [[f"`{name}`", f"stays with LiteLLM: {STAYS[name]}"] for name in sorted(STAYS)]
    return _table(["LiteLLM's name", "litespan"], rows)


def default(row: Any) -> str:
    """The default of a field, as a value of its variable."""
    value = row.default
    if value is None:
        text = "off"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, tuple):
        text = ",".join(value)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`" if text else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |\n" for row in (head, *rows)]
    return lines[0] + "|---" * len(head) + "|\n" + "".join(lines[1:])


TABLES: Final[dict[str, tuple[Path, Callable[[], str]]]] = {
    "exporters": (ROOT / "README.md", exporter_table),
    "calls": (ROOT / "docs/calls.md", call_table),
    "requests": (ROOT / "docs/calls.md", request_table),
    "presets": (ROOT / "docs/exporters/presets.md", preset_table),
    "callbacks": (ROOT / "docs/moving-over.md", callback_table),
    "settings": (ROOT / "docs/settings.md", setting_table),
    "file_settings": (ROOT / "docs/configuration-file.md", file_setting_table),
    "thresholds": (ROOT / "docs/alerting.md", threshold_table),
}
"""Page and function of each table, which is between `[start:NAME]` and `[end:NAME]` there."""


def parts(name: str) -> tuple[str, str, str]:
    """The page of a table: the text before it, the table, the text after it."""
    text = TABLES[name][0].read_text(encoding="utf-8")
    start, end = f"<!-- --8<-- [start:{name}] -->\n", f"<!-- --8<-- [end:{name}] -->\n"
    before, _, rest = text.partition(start)
    found, _, after = rest.partition(end)
    return before + start, found, end + after


def write(name: str) -> None:
    """Write one table into its page."""
    page, table = TABLES[name]
    before, _, after = parts(name)
    page.write_text(before + table() + after, encoding="utf-8")


if __name__ == "__main__":
    for each in TABLES:
        write(each)
