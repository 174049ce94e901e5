"""The page of faults says what happens, for a few of them."""

import pytest

from litespan.testing import LoopbackProvider
from tests import faults
from tests.support.exporters import fresh_exporters

__all__ = ["fresh_exporters"]
pytestmark = [pytest.mark.slow, pytest.mark.breaks_spans]

ROWS = faults.PAGE.read_text().splitlines()


def test_the_page_has_each_fault() -> None:
    """One row each, and no caller has noticed litespan."""
    expected = [
        *faults.REPLIES,
        *faults.ADDRESSES,
        *faults.CALLS,
        *faults.HANDLERS,
        *faults.OPTIONS,
    ]
    named = [row.split(" | ")[0].removeprefix("| ") for row in published()]
    assert named == expected
    assert "NOT THE SAME" not in faults.PAGE.read_text()


def published() -> list[str]:
    """The rows of the tables that `make faults` writes."""
    tables = [faults.PAGE.read_text().split(f"<!-- {name} -->\n")[1] for name in faults.TABLES]
    return [row for table in tables for row in table.split("\n\n")[0].splitlines()[2:]]


@pytest.mark.parametrize("fault", ["401", "502 with an HTML page", "200 with an HTML page"])
def test_a_service_with_a_fault(fault: str) -> None:
    """The row is what the code gives, for exporters that differ from none."""
    assert faults.service_row(fault, ["lunary", "langfuse"]) in ROWS


@pytest.mark.parametrize(
    "fault",
    [
        "a stream that breaks",
        "a handler that exits",
        "metadata whose `__str__` raises",
        "a span processor that raises",
    ],
)
def test_a_call_with_a_fault(fault: str, loopback: LoopbackProvider) -> None:
    """The row is what the code gives."""
    assert faults.call_row(fault, loopback) in ROWS
