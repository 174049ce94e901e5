"""Writes docs/instrumentation.yaml: litespan as OpenTelemetry's explorer describes packages.

The keys of a Python package, and those of telemetry that the explorer has for Java:
https://github.com/open-telemetry/opentelemetry-ecosystem-explorer
"""

import re
from dataclasses import fields
from importlib.metadata import entry_points, metadata
from pathlib import Path
from typing import Any, Final

import yaml

from litespan import semconv as s
from litespan.generations import ATTRIBUTES, BOTH, OPT_IN, V0_1_0, V1_41, Generation
from litespan.instrumentation.finished_call import LABELS
from litespan.instrumentation.metrics import Metrics
from litespan.instrumentation.release_metrics import ReleaseMetrics
from litespan.settings import Settings
from scripts.docs_tables import ROOT, default

FILE: Final = ROOT / "docs" / "instrumentation.yaml"
PAGE: Final = ROOT / "docs" / "attributes.md"
TYPES: Final = {
    "string": "STRING",
    "int": "LONG",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "string[]": "STRING_ARRAY",
    "scalar": "STRING",
}
SECTIONS: Final = ("Call", "Request", "Response", "Tokens and cost", "Who", "Failures")
LITELLM: Final = ">=1.74,!=1.82.7,!=1.82.8"


class Plain(yaml.SafeDumper):
    """Writes equal lists in full each time."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class Recorder:
    """A meter that records what instruments are created."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, Any]] = {}

    def create_histogram(self, name: str, unit: str, about: str, **_: Any) -> None:
        self._add(name, unit, about, "HISTOGRAM")

    def create_counter(self, name: str, unit: str, about: str) -> None:
        self._add(name, unit, about, "COUNTER")

    def _add(self, name: str, unit: str, about: str, kind: str) -> None:
        labels = [*LABELS, *([s.TOKEN_TYPE] if name == s.METRIC_TOKENS else [])]
        labels += [s.TOKEN_MODALITY] if kind == "COUNTER" else []
        labels += [s.ERROR_TYPE] if "duration" in name else []
        self.metrics[name] = {
            "name": name,
            "description": about,
            "type": kind,
            "unit": unit,
            "attributes": [
                {"name": label, "type": "LONG" if label == s.SERVER_PORT else "STRING"}
                for label in sorted(labels)
            ],
        }


def metrics(generation: Generation) -> list[dict[str, Any]]:
    """The metrics of a generation."""
    recorder: Any = Recorder()
    (ReleaseMetrics if generation.new else Metrics)(recorder, generation)
    return sorted(recorder.metrics.values(), key=lambda metric: str(metric["name"]))


def span(generation: Generation) -> dict[str, Any]:
    """The span of a call, with the types in the tables of docs/attributes.md."""
    text = PAGE.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for title, body in re.findall(r"^## (.+?)\n(.+?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE):
        rows = re.findall(r"^\| (`.+?) \| ([^|]+?) \|", body, re.MULTILINE)
        for names, types in rows if title in SECTIONS else ():
            kinds = [kind.strip() for kind in types.split(",")]
            for index, name in enumerate(re.findall(r"`([^`]+)`", names)):
                kind = kinds[index] if index < len(kinds) else kinds[0]
                if kind in TYPES:
                    found[name] = TYPES[kind]
    for names in ATTRIBUTES.values():
        if names.old and not generation.old:
            del found[names.old]
        if names.new and generation.new:
            found[names.new] = "BOOLEAN" if names.new == s.CONVERSATION_COMPACTED else "LONG"
    attributes = [{"name": name, "type": found[name]} for name in sorted(found)]
    return {"span_kind": "CLIENT", "attributes": attributes}


def configurations() -> list[dict[str, Any]]:
    """The settings, by variable."""
    kinds = {bool: "boolean", int: "int", tuple: "list"}
    return [
        {
            "name": row.metadata["env"],
            "description": row.metadata["about"],
            "type": kinds.get(type(row.default), "string"),
            "default": row.default
            if isinstance(row.default, (bool, int))
            else default(row).strip("`"),
        }
        for row in fields(Settings)
    ]


def document() -> dict[str, Any]:
    """The whole document."""
    package = metadata("litespan")
    (point,) = entry_points(group="opentelemetry_instrumentor", name="litespan")
    return {
        "name": package["Name"],
        "version": package["Version"],
        "display_name": "litespan",
        "description": package["Summary"],
        "requires_python": package["Requires-Python"],
        "repository": None,
        "source_path": "src/litespan",
        "homepage": None,
        "library_link": "https://github.com/BerriAI/litellm",
        "instruments": [{"library": "litellm", "version_range": LITELLM, "source_key": None}],
        "entry_points": [{"name": point.name, "value": point.value}],
        "semantic_convention_status": "development",
        "supports_metrics": True,
        "semantic_conventions": [f"GenAI {V1_41}", f"GenAI {V0_1_0}"],
        "scope": {"name": s.SCOPE, "schema_url": s.SCHEMA_URL},
        "configurations": configurations(),
        "telemetry": [
            {"when": when, "spans": [span(generation)], "metrics": metrics(generation)}
            for when, generation in (
                ("default", V1_41),
                (f"OTEL_SEMCONV_STABILITY_OPT_IN={OPT_IN}", V0_1_0),
                (f"OTEL_SEMCONV_STABILITY_OPT_IN={OPT_IN}/dup", BOTH),
            )
        ],
    }


def text() -> str:
    """The content of the file."""
    head = "# Generated: make docs-tables\n"
    return head + yaml.dump(document(), Dumper=Plain, sort_keys=False, allow_unicode=True)


def write(path: Path = FILE) -> None:
    """Write the file."""
    path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write()
