"""Corrects OTEL_* variables before `opentelemetry-instrument` starts the program.

The command imports the modules in the entry point group `opentelemetry_environment_variables`.
An instrumentation loads too late for this: the SDK is configured first, and one unknown exporter
name aborts the configuration.
"""

import os
import sys

from litespan.errors import suppress_errors
from litespan.variables import corrected


def correct() -> None:
    """Correct the variables of this process, which the program inherits, and print each problem."""
    with suppress_errors("reading the OTEL_* variables"):
        changes, lines = corrected(os.environ)
        os.environ.update(changes)
        sys.stderr.writelines(f"litespan: {line}\n" for line in lines)


correct()  # the command imports this module and calls nothing
