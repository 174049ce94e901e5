"""`litespan tail`: `litespan calls --follow`."""

from collections.abc import Sequence

from litespan.cli import calls


def run(argv: Sequence[str]) -> int:
    """List calls as they end, until the user stops it."""
    return calls.run(["--follow", *argv])
