"""Reports what OpenTelemetry's SDK would reject in the file that OTEL_CONFIG_FILE names.

The SDK reads the file and configures nothing if anything in it is wrong:
https://opentelemetry.io/docs/specs/otel/configuration/#declarative-configuration
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from litespan.errors import did_you_mean

FILES: Final = ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")
_GROUP: Final = "opentelemetry_traces_exporter"
_BUILT_IN: Final = ("otlp_http", "otlp_grpc", "otlp_file/development", "console")
_REPLACED: Final = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")


def configured(environ: Mapping[str, str]) -> bool:
    """Whether a configuration file replaces the SDK's variables."""
    return any(environ.get(name) for name in FILES)


def problems(environ: Mapping[str, str]) -> list[str]:
    """Return one message for each problem of the file."""
    variable = next(name for name in FILES if environ.get(name))
    return [f"{variable}: {text}" for text in _problems(environ[variable], environ)]


def _problems(path: str, environ: Mapping[str, str]) -> Iterator[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        yield f"{path} cannot be read ({reason}), so nothing is exported; correct the path"
        return
    if find_spec("opentelemetry.configuration") is None:
        yield (
            "OpenTelemetry cannot read configuration files without another package, so nothing is "
            "exported; pip install opentelemetry-configuration"
        )
        return
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "it"
        problem = getattr(error, "problem", None) or error
        yield f"{path} is not valid YAML, so nothing is exported; correct {place}: {problem}"
        return
    yield from _exporters(content)
    ignored = [name for name in _REPLACED if environ.get(name, "").strip()]
    if ignored:
        are = "are" if len(ignored) > 1 else "is"
        yield f"the file replaces {', '.join(ignored)}, which {are} ignored"


def _exporters(content: Any) -> Iterator[str]:
    """Report names that no exporter has."""
    installed = {point.name for point in entry_points(group=_GROUP)} | {*_BUILT_IN}
    processors = _at(_at(content, "tracer_provider"), "processors")
    for processor in processors if isinstance(processors, list) else ():
        for kind in ("batch", "simple"):
            exporter = _at(_at(processor, kind), "exporter")
            for name in exporter if isinstance(exporter, Mapping) else ():
                if name not in installed:
                    yield (
                        f"there is no exporter {name!r}, so nothing is exported"
                        f"{did_you_mean(str(name).lower(), installed)}; installed: "
                        f"{', '.join(sorted(installed))}"
                    )


def _at(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, Mapping) else None
