"""Runs all checks."""

from collections.abc import Iterator

from litespan.doctor import destinations, environment, packages, process, proxy_config
from litespan.doctor.setup import Finding, Setup
from litespan.variables import disabled


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
