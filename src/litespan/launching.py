"""Loaded by `opentelemetry-instrument` before it starts the program: corrects its variables.

An entry point of the group `opentelemetry_environment_variables`, whose modules that command
imports. In the program it would be too late: the SDK is set up before any instrumentation is
loaded, and ends all of it at the first name that it does not know.
"""

import os
import sys

from litespan.errors import suppress_errors
from litespan.variables import corrected


def correct() -> None:
    """Correct this process's variables, which the program inherits, and say what was wrong."""
    with suppress_errors("reading the OTEL_* variables"):
        changes, lines = corrected(os.environ)
        os.environ.update(changes)
        sys.stderr.writelines(f"litespan: {line}\n" for line in lines)


correct()  # the command only imports what it finds
