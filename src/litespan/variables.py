"""Corrects OTEL_* variables that the SDK would reject.

One unknown name makes the SDK configure no exporter at all. litespan removes names of exporters
that are not installed, replaces protocols that no exporter supports, and reports each change.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Final
from urllib.parse import SplitResult, urlsplit

from litespan.config_file import configured, problems
from litespan.errors import did_you_mean

SIGNALS: Final = ("traces", "metrics", "logs")
DISABLED: Final = "OTEL_SDK_DISABLED"
GRPC_PORT: Final = 4317
"""The port of OTLP over gRPC."""
_GROUP: Final = "opentelemetry_{}_exporter"
_OTLP: Final = "otlp"
_NONE: Final = "none"
_PROTOCOLS: Final = ("grpc", "http/protobuf")
_LITELLM_VARIABLES: Final = {
    "OTEL_EXPORTER": "OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_HEADERS": "OTEL_EXPORTER_OTLP_HEADERS",
}
"""Variables of LiteLLM's own OpenTelemetry callback, and the standard ones to use instead."""


def exporter_variable(signal: str) -> str:
    """Return the name of the variable that lists a signal's exporters."""
    return f"OTEL_{signal.upper()}_EXPORTER"


def otlp_endpoint(environ: Mapping[str, str], signal: str) -> str:
    """Return the OTLP endpoint that is set for a signal, or an empty string."""
    return _otlp(environ, signal, "ENDPOINT")


def otlp_protocol(environ: Mapping[str, str], signal: str) -> str:
    """Return the OTLP protocol that is set for a signal, or an empty string."""
    return _otlp(environ, signal, "PROTOCOL")


def otlp_variables(option: str) -> list[str]:
    """Return the variables of an option of OTLP: for all signals, then for each."""
    parts = ("", *(f"{signal.upper()}_" for signal in SIGNALS))
    return [f"OTEL_EXPORTER_OTLP_{part}{option}" for part in parts]


def split_endpoint(endpoint: str) -> SplitResult:
    """Return the parts of an OTLP endpoint. With gRPC, it may be `host:port` alone."""
    return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")


def _otlp(environ: Mapping[str, str], signal: str, option: str) -> str:
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{option}", f"OTEL_EXPORTER_OTLP_{option}")
    return next(filter(None, (environ.get(name, "").strip() for name in names)), "")


def names_service(environ: Mapping[str, str]) -> bool:
    """Whether the variables name the service, so that litespan need not."""
    pairs = environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    named = "service.name" in (pair.partition("=")[0].strip() for pair in pairs)
    return bool(environ.get("OTEL_SERVICE_NAME")) or named


def corrected(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the corrected variables, and one message for each invalid value.

    A signal without a variable uses `otlp`, as in the specification and in
    `opentelemetry-instrument`.
    """
    if configured(environ):  # the SDK then ignores these variables
        return {}, problems(environ)
    changes: dict[str, str] = {}
    lines: list[str] = []
    uses_otlp = False
    for signal in SIGNALS:
        variable = exporter_variable(signal)
        given = environ.get(variable, "")
        names = _names(signal, given, lines) if given.strip() else ""
        uses_otlp = uses_otlp or _OTLP in (names or _OTLP).split(",")
        if names != given:
            changes[variable] = names
    if uses_otlp:
        changes |= _protocols(environ, lines)
        lines += _hints(environ)
    return changes, lines


def disabled(environ: Mapping[str, str]) -> bool:
    """Whether OTEL_SDK_DISABLED turns the SDK off."""
    return environ.get(DISABLED, "").strip().lower() == "true"


def _names(signal: str, given: str, lines: list[str]) -> str:
    installed = {point.name for point in entry_points(group=_GROUP.format(signal))}
    lower = {name.lower(): name for name in installed} | {_OTLP: _OTLP}
    kept = []
    for name in filter(None, map(str.strip, given.split(","))):
        if name in installed:
            kept.append(name)
        elif name.lower() in lower:
            kept.append(lower[name.lower()])
        elif name.lower() != _NONE:
            lines.append(
                f"{exporter_variable(signal)}: there is no exporter {name!r}, so it is ignored"
                f"{did_you_mean(name.lower(), lower.values())}; installed: "
                f"{', '.join(sorted({*installed, _OTLP}))}"
            )
    return ",".join(dict.fromkeys(kept)) or _NONE


def _protocols(environ: Mapping[str, str], lines: list[str]) -> dict[str, str]:
    changes = {}
    for variable in otlp_variables("PROTOCOL"):
        given = environ.get(variable, "").strip()
        known = given.lower()
        if known and known not in _PROTOCOLS:
            known = "http/protobuf" if known.startswith("http") else ""
            lines.append(
                f"{variable}: OpenTelemetry for Python does not support {given!r}, so "
                f"{known or 'its default'} is used; set {' or '.join(_PROTOCOLS)}"
            )
        if known != given:
            changes[variable] = known
    return changes


def _hints(environ: Mapping[str, str]) -> Iterator[str]:
    """Report LiteLLM's own variables if OTLP is used without a standard endpoint."""
    found = [name for name in _LITELLM_VARIABLES if environ.get(name, "").strip()]
    if found and not otlp_endpoint(environ, "traces"):
        yield (
            f"{', '.join(found)}: only LiteLLM's own OpenTelemetry callback reads this; for "
            f"litespan, set {', '.join(_LITELLM_VARIABLES[name] for name in found)}"
        )
