"""The command `litespan`: what was recorded, and a demonstration.

A command is a module with `run(argv) -> int`; it is imported when it is asked for.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final, NoReturn

COMMANDS: Final = {
    "report": "what the recorded calls used, cost and took",
    "replay": "send recorded calls to exporters, each once",
    "check": "send a marked test call to a service, say what it answered",
    "demo": "run a real LiteLLM program against a provider on this machine",
    "forward": "receive OTLP and hand its spans to exporters",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def exporter_names(text: str) -> list[str]:
    """The exporters that an option names, with commas between, each once.

    Raises:
        argparse.ArgumentTypeError: it names none.
    """
    names = list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    if not names:
        raise argparse.ArgumentTypeError("name at least one exporter, such as helicone,langfuse")
    return names


def printable(text: str, instead: Callable[[str], str] = lambda _: "\ufffd") -> str:
    """`text` without what could move a terminal's cursor, colour it or turn its direction.

    Args:
        text: of a call, or of a service's answer.
        instead: what stands for a character that cannot be printed.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else instead(c) for c in text)


def json_text(value: Any, default: Callable[[Any], Any]) -> str:
    """JSON for people; what a terminal would act on is escaped, so it reads as the same value."""
    lines = json.dumps(value, default=default, ensure_ascii=False, indent=2).split("\n")
    return "\n".join(printable(line, lambda c: json.dumps(c)[1:-1]) for line in lines)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        print("litespan", version("litespan"))
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command with the given or the process's arguments; the exit status.

    0 is success, 1 a failure, 2 bad input.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parser().parse_args(given[:1])
        status = import_module(f"litespan.cli.{options.command}").run(given[1:])
        sys.stdout.flush()
    except SystemExit as end:  # argparse's way out
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `litespan report | head`: nothing is left to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return int(status)


def _parser() -> Parser:
    listed = "\n".join(f"  {name:8} {what}" for name, what in COMMANDS.items())
    parser = Parser(
        prog="litespan",
        description="OpenTelemetry-native callbacks for LiteLLM.",
        epilog=f"commands:\n{listed}\n\nlitespan COMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which, and exit")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do")
    return parser
