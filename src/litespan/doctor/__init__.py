"""`litespan doctor`: finds problems in a set-up, and how to fix each of them.

A check is a function from a `Setup` to findings. Checks of packages, variables and LiteLLM's
configuration are pure; those of exporters and of the process try them out.
"""

from collections.abc import Iterator

from litespan.doctor import destinations, environment, packages, process, proxy_config
from litespan.doctor.setup import Finding, Setup, current_setup
from litespan.variables import disabled

__all__ = ["Finding", "Setup", "current_setup", "examine"]


def examine(setup: Setup, *, offline: bool = False) -> Iterator[Finding]:
    """All findings about the current environment, in the order of the checks.

    Args:
        setup: see `current_setup`.
        offline: whether to open no connection and send no test call.
    """
    found = list(packages.check(setup))
    yield from found
    yield from environment.check(setup)
    yield from proxy_config.check(setup)
    if any(finding.level == "error" for finding in found) or disabled(setup.environ):
        return  # the other checks would report the same problem again
    yield from process.check()
    yield from destinations.check(setup, test_calls=not offline)
