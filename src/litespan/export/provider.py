"""Sets up the SDK's tracer provider from the OTEL_* variables if a process has none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter

from litespan.config_file import configured
from litespan.errors import log_once, suppress_errors
from litespan.variables import (
    DISABLED,
    SIGNALS,
    corrected,
    disabled,
    exporter_variable,
    otlp_endpoint,
)

_SHORTEST: Final = 2  # characters of a value to search for in an error message

traces_exporters: Final[list[str]] = []
"""Names of the exporters that receive every span, if this module set up the provider."""


def missing() -> bool:
    """Whether this process has no tracer provider."""
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def exporter_of(processor: Any) -> SpanExporter | None:
    """The exporter of one of the SDK's span processors; None if it has none.

    The SDK has no public API for this; its private attributes changed once since 1.33.
    """
    batches = getattr(processor, "_batch_processor", None)
    exporter = getattr(processor, "span_exporter", None) or getattr(batches, "_exporter", None)
    return exporter if isinstance(exporter, SpanExporter) else None


def set_up() -> str:
    """Set up a tracer provider. Returns the exporters for the log.

    Without OTEL_TRACES_EXPORTER, spans are sent over OTLP, as the specification says. Metrics and
    logs are also sent if an OTLP endpoint is set.
    """
    with suppress_errors("setting up a tracer provider"), _corrected():
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator

        configurator: Any = _OTelSDKConfigurator()
        try:
            configurator.configure()
        except Exception as error:
            _log_variables(error)
            raise
        return goes_to(_names())
    return "none, because the OTEL_* variables are invalid"


def goes_to(exporters: str) -> str:
    """`exporters`, unless the SDK is disabled."""
    return f"none, because {DISABLED} is set" if disabled(os.environ) else exporters


def _names() -> str:
    if configured(os.environ):
        return "those of OTEL_CONFIG_FILE"
    names = os.environ[exporter_variable("traces")]
    traces_exporters[:] = names.split(",")
    return names


def _log_variables(error: Exception) -> None:
    """Log the variables whose values are in the error, whose text may contain credentials."""
    text = str(error)
    named = [
        name
        for name, value in os.environ.items()
        if name.startswith("OTEL_") and len(value) >= _SHORTEST and value in text
    ]
    if named:
        log_once(
            "otel variables",
            "%s: OpenTelemetry's SDK cannot use this value (%s), so no spans are exported",
            ", ".join(named),
            type(error).__name__,
        )


@contextmanager
def _corrected() -> Iterator[None]:
    """Set default exporters and correct values that the SDK rejects.

    The variables are restored afterwards, because child processes read them.
    """
    before = dict(os.environ)
    for signal in () if configured(os.environ) else SIGNALS:
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
    return "otlp" if signal == "traces" or otlp_endpoint(os.environ, signal) else "none"
