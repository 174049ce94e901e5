"""A tracer provider for a process that has none: the SDK's own, from the OTEL_* variables."""

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry import trace

from litespan.errors import log_once, quiet

_SIGNALS: Final = ("traces", "metrics", "logs")
_GROUP: Final = "opentelemetry_{}_exporter"
_ALWAYS_KNOWN: Final = frozenset({"otlp", "none", ""})
_CONFIG_FILE: Final = ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT")

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
    with quiet("setting up a tracer provider"), _mended():
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator

        if any(os.environ.get(name) for name in _CONFIG_FILE):
            _OTelSDKConfigurator().configure()
            return "those of OTEL_CONFIG_FILE"
        configurator: Any = _OTelSDKConfigurator()
        configurator.configure()
        traces_exporters[:] = map(str.strip, os.environ[_variable("traces")].split(","))
        return os.environ.get(_variable("traces"), "").strip() or "none"
    return "none, as the OTEL_* variables can not be used"


@contextmanager
def _mended() -> Iterator[None]:
    """The variables for exporters with their defaults, and without names that nobody has.

    One wrong name would cost all exporters. Put back afterwards: what LiteLLM starts reads them.
    """
    before = {_variable(signal): os.environ.get(_variable(signal)) for signal in _SIGNALS}
    for signal in _SIGNALS:
        os.environ[_variable(signal)] = _known(signal, before[_variable(signal)])
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _variable(signal: str) -> str:
    return f"OTEL_{signal.upper()}_EXPORTER"


def _known(signal: str, given: str | None) -> str:
    if given is None or not given.strip():
        endpoint = any(os.environ.get(name.format(signal.upper())) for name in _ENDPOINTS)
        return "otlp" if signal == "traces" or endpoint else "none"
    installed = {point.name for point in entry_points(group=_GROUP.format(signal))}
    kept = []
    for name in map(str.strip, given.split(",")):
        if name in installed or name.lower() in _ALWAYS_KNOWN:
            kept.append(name)
            continue
        near = difflib.get_close_matches(name, installed, 1)
        log_once(
            f"exporter:{signal}:{name}",
            "%s: there is no exporter %r, so nothing goes there%s; installed are %s",
            _variable(signal),
            name,
            f" (did you mean {near[0]}?)" if near else "",
            ", ".join(sorted(installed)),
        )
    return ",".join(kept) or "none"
