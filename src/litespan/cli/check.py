"""`litespan check`: sends one marked test call with the current settings and shows the result."""

import argparse
import sys
from collections.abc import Sequence

from litespan.cli import CommandError, Parser, without_log
from litespan.doctor.marked_call import MARK, send
from litespan.export import registry
from litespan.routing.destinations import BadRoute, create_exporter


def run(argv: Sequence[str]) -> int:
    """Check the exporters. Returns 0 if all accepted the call, 1 if not, 2 for bad input."""
    options = _parser().parse_args(argv)
    for name in options.exporter:
        if registry.find(name) is None:
            raise CommandError(registry.unknown(name))
    with without_log():
        return max([_check(name) for name in options.exporter])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="litespan check",
        description="Send one test call to a service with the current settings, and show the "
        f"answer. The call's model and tag are {MARK}.",
    )
    parser.add_argument(
        "exporter", nargs="+", metavar="EXPORTER", help="as in OTEL_TRACES_EXPORTER: langfuse, …"
    )
    return parser


def _check(name: str) -> int:
    try:
        accepted, line = send(create_exporter(name))
    except BadRoute as error:
        accepted, line = False, str(error)
    print(f"{name}: {line}", file=sys.stdout if accepted else sys.stderr)
    return 0 if accepted else 1
