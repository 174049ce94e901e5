"""Servers and programs that tests need and pip cannot install."""

import os
from typing import NoReturn

import pytest


def missing(what: str, remedy: str) -> NoReturn:
    """End a test that lacks `what`: CI fails, another machine skips it and says the `remedy`."""
    reason = f"{what} is missing: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
