"""Imported by `opentelemetry-instrument`, before it starts the program: corrects its variables.

As an entry point of the group `opentelemetry_environment_variables`, for which that command
imports modules. In the program it would be too late: the SDK is set up before any instrumentation
is loaded, and ends all of it at the first name that it does not know.
"""

import os
import sys

from litespan.quiet import quiet
from litespan.variables import corrected


def _correct() -> None:
    changes, lines = corrected(os.environ)
    os.environ.update(changes)
    sys.stderr.writelines(f"litespan: {line}\n" for line in lines)


with quiet("reading the OTEL_* variables"):
    _correct()
