"""The input of the checks, and their findings."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distributions, entry_points
from pathlib import Path
from typing import Final, Literal

from litespan import parsers
from litespan.config_file import configured
from litespan.detect import detect
from litespan.settings import Settings
from litespan.variables import corrected, exporter_variable

Level = Literal["ok", "info", "warning", "error"]
CONFIG: Final = "CONFIG_FILE_PATH"
"""LiteLLM's variable for the configuration of its proxy."""
NOT_INSTRUMENTED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `error`: calls or data are lost; `warning`: something may not be meant.

    Attributes:
        level: ok, info, warning or error.
        text: what was found, and what it means.
        fix: the line that fixes it: a command, a variable, or a line of code.
    """

    level: Level
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """Versions, variables and files of a program.

    Attributes:
        environ: its environment variables.
        versions: installed distributions, by normalized name.
        instrumentors: names of OpenTelemetry's instrumentations → their distributions.
        config: the configuration of LiteLLM's proxy, or None.
    """

    environ: Mapping[str, str]
    versions: Mapping[str, str]
    instrumentors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: Path | None = None

    @property
    def settings(self) -> Settings:
        """The settings of litespan."""
        return parsers.read(Settings, self.environ)[0]

    @property
    def not_instrumented(self) -> list[str]:
        """The instrumentations that `opentelemetry-instrument` does not start; `*` means all."""
        return [name.strip() for name in self.environ.get(NOT_INSTRUMENTED, "").split(",")]

    @property
    def exporters(self) -> list[str]:
        """The exporters that are used: those named, else those whose variables are set."""
        listed = (self.settings.input, self.settings.success, self.settings.failure)
        return list(dict.fromkeys([*self.traced, *(name for names in listed for name in names)]))

    @property
    def traced(self) -> list[str]:
        """The exporters that receive every span."""
        if configured(self.environ):
            return []
        variable = exporter_variable("traces")
        if not self.environ.get(variable, "").strip():
            return [*detect(self.environ)[0], "sqlite"]
        changes, _ = corrected(self.environ)
        names = changes.get(variable, self.environ[variable]).split(",")
        return [name for name in map(str.strip, names) if name and name != "none"]


def current_setup(config: Path | None = None) -> Setup:
    """The set-up of this process's environment."""
    named: dict[str, list[str]] = {}
    for point in entry_points(group="opentelemetry_instrumentor"):
        named.setdefault(point.name, []).append(_normalized(point.dist.name if point.dist else ""))
    file = config or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
    return Setup(
        dict(os.environ),
        # Python imports the first of several.
        {_normalized(each.name or ""): each.version for each in reversed([*distributions()])},
        {name: tuple(found) for name, found in named.items()},
        file,
    )


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
