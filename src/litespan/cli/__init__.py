"""The command `litespan`.

Each subcommand is a module with `run(argv) -> int`, which is imported only when it runs.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NoReturn, TypeVar

from litespan.errors import logger
from litespan.parsers import BadSetting, names
from litespan.redaction.text import printable
from litespan.version import VERSION

T = TypeVar("T")

COMMANDS: Final = {
    "run": "run a program and record its LiteLLM calls",
    "calls": "list the latest calls",
    "tail": "list calls as they end",
    "show": "show one call: its trace, timeline, messages, tokens, cost and error",
    "ui": "open the local page",
    "report": "show tokens, cost and latency of recorded calls",
    "replay": "send recorded calls to exporters, each call once",
    "doctor": "find what is wrong with a set-up, and how to fix it",
    "check": "send a test call to a service and show its answer",
    "demo": "run a real LiteLLM program against a local provider",
    "spool": "show or send the calls that wait for delivery",
    "forward": "receive OTLP and pass the spans to exporters",
    "new-exporter": "write the skeleton of an exporter in a package of its own",
}


def command(name: str) -> Any:
    """The module of a command."""
    return import_module(f"litespan.cli.{name.replace('-', '_')}")


class Parser(argparse.ArgumentParser):
    """Reports bad arguments in one line and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """Print `message` to stderr and exit."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the optional argument STORE."""
    from litespan.stores.reading import DEFAULT, readers

    default = readers()[DEFAULT]
    parser.add_argument(
        "store",
        metavar="STORE",
        nargs="?",
        default=DEFAULT,
        help=f"a file, a folder of Parquet files, the URL of a database, or one of "
        f"{', '.join(readers())}, which are configured by their variables. "
        f"Default: {default.variables[0]}, else ./{default.default}",
    )


def exporter_names(text: str) -> list[str]:
    """The distinct names in a comma-separated list of exporters.

    Raises:
        argparse.ArgumentTypeError: the list is empty.
    """
    found = list(dict.fromkeys(names(text)))
    if not found:
        raise argparse.ArgumentTypeError("name at least one exporter, such as helicone,langfuse")
    return found


def configured_exporter(name: str) -> Any:
    """The exporter of that name, as its environment variables configure it. Raises CommandError."""
    from litespan.routing.destinations import BadRoute, create_exporter

    try:
        exporter = create_exporter(name)
    except BadRoute as error:
        raise CommandError(error) from None
    if problem := getattr(exporter, "problem", ""):
        raise CommandError(problem)
    return exporter


@contextmanager
def without_log() -> Iterator[None]:
    """Log nothing of litespan's own: the command prints it instead."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def json_text(value: Any, default: Callable[[Any], Any], indent: int | None = 2) -> str:
    """JSON. Characters that a terminal acts on are escaped, so it parses the same."""
    lines = json.dumps(value, default=default, ensure_ascii=False, indent=indent).split("\n")
    return "\n".join(printable(line, lambda c: json.dumps(c)[1:-1]) for line in lines)


class CommandError(Exception):
    """A command cannot do what it should. `main` prints the message, and exits with `status`."""

    def __init__(self, message: object, status: int = 2) -> None:
        super().__init__(str(message))
        self.status = status


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` as the type of an argument: users see the message of its ValueError."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except BadSetting as error:
            raise argparse.ArgumentTypeError(f"{text!r} is {error}") from None
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command with `argv`, or the process's arguments. Returns the exit status.

    0: success, 1: failure, 2: bad input.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may not have all characters
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments[:1])
        status = command(options.command).run(arguments[1:])
        sys.stdout.flush()
    except SystemExit as end:  # raised by argparse
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # for example `litespan report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        if (found := _status(problem)) is None:
            raise
        print(f"litespan {arguments[0]}: {printable(str(problem))}", file=sys.stderr)
        return found
    return int(status)


def _status(error: Exception) -> int | None:
    """The exit status for an error that a user can correct; None for others."""
    if isinstance(error, CommandError):
        return error.status
    from litespan.stores.reading import NotFound
    from litespan.stores.records import Unreadable

    return 1 if isinstance(error, NotFound) else 2 if isinstance(error, Unreadable) else None


def _parser() -> Parser:
    listed = "\n".join(f"  {name:12} {what}" for name, what in COMMANDS.items())
    parser = Parser(
        prog="litespan",
        description="OpenTelemetry-native callbacks for LiteLLM.",
        epilog=f"commands:\n{listed}\n\nSee litespan COMMAND --help for options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"litespan {VERSION}", help="show the version"
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="the command to run")
    return parser
