"""Checks of exporters: whether they are set up, reachable, and accept a marked test call."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from litespan.alerting import AlertExporter
from litespan.config_file import configured
from litespan.doctor.marked_call import MARK, Clock, send
from litespan.doctor.setup import Finding, Setup
from litespan.export import registry
from litespan.export.http import HttpExporter
from litespan.redaction.text import scrub
from litespan.routing.destinations import BadRoute, create_exporter
from litespan.stores.reading import readers
from litespan.stores.records import Reader
from litespan.variables import GRPC_PORT, otlp_endpoint, otlp_protocol, split_endpoint

_SKEW: Final = 60.0  # s
_SCREEN: Final = frozenset({"console", "live"})


def check(setup: Setup, *, test_calls: bool) -> Iterator[Finding]:
    """Check each exporter in use. It reads its variables from `os.environ`, like the SDK."""
    names = setup.exporters
    if not names and not configured(setup.environ):
        text = "OTEL_TRACES_EXPORTER=none and no stage list: calls are sent nowhere"
        yield Finding("error", text, "OTEL_TRACES_EXPORTER=sqlite")
    for name in names:
        reader = readers().get(name)
        if name == "otlp":
            yield _otlp(setup, connect=test_calls)
        elif reader is not None and reader.default:
            yield _file(setup, name, reader)  # no test call is written to a file
        elif name in _SCREEN:
            yield Finding("ok", f"{name}: prints calls")
        else:
            yield from _service(name, test_calls=test_calls)
    yield from _input(setup)


def _file(setup: Setup, name: str, reader: Reader) -> Finding:
    """Whether a file can be written."""
    variable = reader.variables[0]
    path = Path(setup.environ.get(variable) or reader.default).expanduser().absolute()
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        text = f"{name}: the folder {folder} does not exist, so no call is stored"
        return Finding("error", text, f"mkdir -p {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        text = f"{name}: {path} cannot be written, so no call is stored"
        return Finding("error", text, f"{variable}=/a/writable/folder/{path.name}")
    return Finding("ok", f"{name}: calls are stored in {path}")


def _otlp(setup: Setup, *, connect: bool) -> Finding:
    """Whether a server listens at the OTLP endpoint."""
    usual = GRPC_PORT if otlp_protocol(setup.environ, "traces") in ("", "grpc") else 4318
    endpoint = otlp_endpoint(setup.environ, "traces") or f"http://localhost:{usual}"
    shown = scrub(endpoint)
    if not connect:
        return Finding("ok", f"otlp: calls are sent to {shown}, not tested")
    if problem := unreachable(endpoint):
        text = f"otlp: nothing answers at {shown} ({problem}), so calls are lost"
        fix = "start a collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT to its address"
        return Finding("error", text, fix)
    return Finding("ok", f"otlp: {shown} is reachable")


def unreachable(url: str) -> str:
    """Why no connection to the host of a URL can be opened; an empty string if it can."""
    try:
        parts = split_endpoint(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), 5.0).close()
    except (OSError, ValueError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return ""


def _service(name: str, *, test_calls: bool) -> Iterator[Finding]:
    try:
        exporter: Any = create_exporter(name)
    except BadRoute as error:
        yield Finding("error", f"{name}: {error}", f"remove {name} from the exporters")
        return
    problem: str = getattr(exporter, "problem", "")
    if problem:
        text, _, fix = problem.partition("; ")
        yield Finding("error", f"{name}: {text}", fix or f"litespan check {name}")
    elif isinstance(exporter, AlertExporter):
        yield Finding("ok", f"{name}: set up{_keys(exporter)}", f"to test: litespan check {name}")
    elif not test_calls:
        yield Finding("ok", f"{name}: set up{_keys(exporter)}, not tested")
    else:
        yield from _tried(name, exporter)
        return
    with suppress(Exception):
        exporter.shutdown()


def _tried(name: str, exporter: Any) -> Iterator[Finding]:
    clock = Clock(exporter) if isinstance(exporter, HttpExporter) else None
    keys = _keys(exporter)
    accepted, line = send(exporter)
    if accepted:
        yield Finding("ok", f"{name}: {line} (model {MARK}){keys}")
    else:
        yield Finding("error", f"{name}: {line}{keys}", f"litespan check {name}")
    if clock is not None and clock.ahead is not None and abs(clock.ahead) > _SKEW:
        way = "ahead of" if clock.ahead > 0 else "behind"
        yield Finding(
            "error",
            f"this machine's clock is {abs(clock.ahead):,.0f} s {way} that of {name}: services "
            "drop or misplace calls",
            "timedatectl set-ntp true",
        )


def _keys(exporter: Any) -> str:
    """The credentials in use, by variable and length."""
    variables = getattr(exporter, "variables", None)
    found = [
        f"{key}: {len(os.environ[key])} characters"
        for key in getattr(variables, "keys", ())
        if os.environ.get(key)
    ]
    return f" ({', '.join(found)})" if found else ""


def _input(setup: Setup) -> Iterator[Finding]:
    """Exporters in LITESPAN_INPUT that cannot record started calls."""
    for name in setup.settings.input:
        supported = True
        with suppress(Exception):  # `_service` reports an exporter that cannot be imported
            supported = hasattr(registry.load(name), "export_started")
        if not supported:
            text = f"LITESPAN_INPUT: {name} cannot record calls that have only started"
            yield Finding("error", text, "LITESPAN_INPUT=sqlite")
