"""A tracer provider for a process that has none: the SDK's own, from the OTEL_* variables."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace

from litespan.errors import log_once, suppress_errors
from litespan.variables import DISABLED, SIGNALS, configured, corrected, disabled, exporter_variable

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT")
_SHORTEST: Final = 2  # characters of a value that is looked for in an error's text

traces_exporters: Final[list[str]] = []
"""The names of the exporters that are given every span, where the provider comes from here."""


def missing() -> bool:
    """Whether nobody has set a tracer provider up in this process."""
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def set_up() -> str:
    """Set a tracer provider up; what spans go to, for the log.

    Without OTEL_TRACES_EXPORTER spans go to OTLP, as the specification has it; metrics and logs
    go there, too, where an OTLP endpoint is named.
    """
    with suppress_errors("setting up a tracer provider"), _corrected():
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator

        configurator: Any = _OTelSDKConfigurator()
        try:
            configurator.configure()
        except Exception as error:
            _say_which(error)
            raise
        return goes_to(_names())
    return "none, as the OTEL_* variables can not be used"


def goes_to(exporters: str) -> str:
    """`exporters`, unless the SDK is switched off."""
    return f"none, as {DISABLED} is set" if disabled(os.environ) else exporters


def _names() -> str:
    if configured(os.environ):
        return "those of OTEL_CONFIG_FILE"
    names = os.environ[exporter_variable("traces")]
    traces_exporters[:] = names.split(",")
    return names


def _say_which(error: Exception) -> None:
    """Name the variables whose values the error is about; its own text may hold credentials."""
    text = str(error)
    named = [
        name
        for name, value in os.environ.items()
        if name.startswith("OTEL_") and len(value) >= _SHORTEST and value in text
    ]
    if named:
        log_once(
            "otel variables",
            "%s: OpenTelemetry's SDK cannot use this value (%s), so no span is exported",
            ", ".join(named),
            type(error).__name__,
        )


@contextmanager
def _corrected() -> Iterator[None]:
    """The variables for exporters with their defaults, and without what the SDK fails at.

    Put back afterwards: what LiteLLM starts reads them.
    """
    before = dict(os.environ)
    for signal in SIGNALS:
        if not os.environ.get(exporter_variable(signal), "").strip():
            os.environ[exporter_variable(signal)] = _default(signal)
    changes, lines = corrected(os.environ)
    os.environ.update(changes)
    for line in lines:
        log_once(f"variables:{line}", "%s", line)
    try:
        yield
    finally:
        for name in (*map(exporter_variable, SIGNALS), *changes):
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)


def _default(signal: str) -> str:
    endpoint = any(os.environ.get(name.format(signal.upper())) for name in _ENDPOINTS)
    return "otlp" if signal == "traces" or endpoint else "none"
