"""`litespan run`: starts a program with its LiteLLM calls recorded.

It sets the variables that `opentelemetry-instrument` reads, then becomes that command.
"""

import argparse
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import Final

from litespan import running
from litespan.cli import CommandError, Parser, exporter_names
from litespan.config_file import configured
from litespan.detect import detect
from litespan.parsers import read
from litespan.redaction.text import scrub
from litespan.settings import CONTENT, RUN, Settings
from litespan.variables import (
    DISABLED,
    GRPC_PORT,
    SIGNALS,
    corrected,
    disabled,
    exporter_variable,
    names_service,
    otlp_endpoint,
    otlp_variables,
    split_endpoint,
)
from litespan.version import VERSION

STORE: Final = "LITESPAN_SQLITE"
_SCRIPTS: Final = (".py", ".pyc", ".pyz")


def run(argv: Sequence[str]) -> int:
    """Replace this process by the program. Returns only if that fails, with 2."""
    options = _parser().parse_args(argv)
    command = _command(options)
    if not command:
        raise CommandError("name a program: app.py, -m and a module, or -- and a command")
    if which(command[0]) is None:
        raise CommandError(f"there is no command {command[0]!r}; check its spelling and the PATH")
    script = (options.command or [""])[0]
    if script.endswith(_SCRIPTS) and not Path(script).exists():
        raise CommandError(f"there is no file {script}")
    changes, lines = prepared(os.environ, options, command)
    os.environ.update(changes)
    os.environ[RUN] = running.token(silent=options.quiet)
    if not options.quiet:
        for line in lines:
            print(f"litespan: {line}", file=sys.stderr)
        print(status(), file=sys.stderr, flush=True)
    _become(command)
    return 2  # `_become` does not return


def _parser() -> Parser:
    parser = Parser(
        prog="litespan run",
        usage="litespan run [options] app.py …  |  -m module …  |  -- command …",
        description="Run a program and record its LiteLLM calls, without a change to its code. "
        "Calls go to the services whose variables are set and to a local SQLite file. One line at "
        "the start lists them, and one at the end sums up the calls.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--to",
        metavar="NAMES",
        type=exporter_names,
        help="exporters besides the local file, instead of those in OTEL_TRACES_EXPORTER and "
        "those whose variables are set: langfuse,otlp",
    )
    parser.add_argument("--live", action="store_true", help="print one line for each call")
    parser.add_argument("--content", action="store_true", help="also record messages")
    parser.add_argument("-q", "--quiet", action="store_true", help="print neither line")
    parser.add_argument(
        "-m", dest="module", nargs=argparse.REMAINDER, help="run a module, with its arguments"
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="…", help="a script or command, and arguments"
    )
    return parser


def _command(options: argparse.Namespace) -> list[str]:
    if options.module:
        return [sys.executable, "-m", *options.module]
    command: list[str] = options.command
    if command[:1] == ["--"]:
        return command[1:]
    if command and command[0].endswith(_SCRIPTS):
        return [sys.executable, *command]
    return command


def prepared(
    environ: Mapping[str, str], options: argparse.Namespace, command: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """(variables to set, messages about those that are wrong)."""
    place = Path(environ.get(STORE) or "litespan.db").expanduser()
    changes = {STORE: os.path.abspath(place)}  # noqa: PTH100 - keeps symbolic links
    if not names_service(environ):
        changes["OTEL_SERVICE_NAME"] = _service(command)
    if options.content:
        changes[CONTENT] = "SPAN_ONLY"
    if options.live:
        for name in ("LITESPAN_SUCCESS", "LITESPAN_FAILURE"):
            changes[name] = ",".join(filter(None, [environ.get(name, ""), "live"]))
    if configured(environ):  # the SDK then reads no other variable
        return changes, []
    given, lines = _named(environ, options)
    kept = [name for name in given if name.lower() not in ("", "none", "sqlite")]
    changes[exporter_variable("traces")] = ",".join([*kept, "sqlite"])
    for signal in SIGNALS[1:]:
        variable = exporter_variable(signal)
        if not environ.get(variable, "").strip():
            changes[variable] = "otlp" if otlp_endpoint(environ, signal) else "none"
    changes |= _protocols(environ)
    fixed, wrong = corrected({**environ, **changes})
    if "otlp" in kept:
        lines += _refused(otlp_endpoint(environ, "traces"))
    return {**changes, **fixed}, [*lines, *wrong]


def _named(environ: Mapping[str, str], options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """(names of exporters, messages)."""
    given = environ.get(exporter_variable("traces"), "").strip()
    if options.to or given:
        return options.to or [name.strip() for name in given.split(",")], []
    return detect(environ)


def _protocols(environ: Mapping[str, str]) -> dict[str, str]:
    """The protocol of each OTLP endpoint: the SDK would use gRPC, whatever the port."""
    changes = {}
    variables = otlp_variables("PROTOCOL")
    for name, variable in zip(otlp_variables("ENDPOINT"), variables, strict=True):
        endpoint = environ.get(name, "").strip()
        if endpoint and not (environ.get(variable) or environ.get(variables[0])):
            changes[variable] = "grpc" if _port(endpoint) == GRPC_PORT else "http/protobuf"
    return changes


def _refused(endpoint: str) -> list[str]:
    """A message if no server listens at a loopback address; others could take long to try."""
    port = _port(endpoint)
    if port and (host := split_endpoint(endpoint).hostname) in ("localhost", "127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), 0.5).close()
        except OSError:
            fix = "start the collector there, or unset OTEL_EXPORTER_OTLP_ENDPOINT"
            return [f"nothing listens at {scrub(endpoint)}: {fix}"]
    return []


def _port(endpoint: str) -> int | None:
    try:
        return split_endpoint(endpoint).port
    except ValueError:
        return None


def _service(command: Sequence[str]) -> str:
    """The name of the program, for `service.name`."""
    program, *arguments = command
    if program == sys.executable and arguments:
        first, *rest = arguments
        if first == "-m" and rest:
            return rest[0]
        if not first.startswith("-"):
            program = first
    return Path(program).stem


def status() -> str:
    """Versions, the names of exporters, and whether messages are recorded."""
    try:
        litellm = f"LiteLLM {version('litellm')}"
    except PackageNotFoundError:
        litellm = "LiteLLM is not installed: pip install litellm"
    names = "those of OTEL_CONFIG_FILE"
    if not configured(os.environ):
        shown = {"sqlite": os.path.relpath(os.environ[STORE])}
        exporters = os.environ[exporter_variable("traces")].split(",")
        names = ", ".join(shown.get(name, name) for name in exporters)
    if disabled(os.environ):
        names = f"nowhere, because {DISABLED} is set"
    mode = read(Settings, os.environ)[0].content  # the program reports what is wrong
    content = "off" if mode == "NO_CONTENT" else mode
    return f"litespan {VERSION} · {litellm} · calls go to {names} · content {content}"


def _become(command: Sequence[str]) -> None:
    """Become `opentelemetry-instrument`, which becomes the program: same process, same signals."""
    from opentelemetry.instrumentation.auto_instrumentation import run as instrument

    sys.stdout.flush()
    sys.argv = ["opentelemetry-instrument", "--", *command]
    instrument()
