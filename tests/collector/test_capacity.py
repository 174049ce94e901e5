"""The figures on the capacity page follow from the measured ones."""

import math
import re

import pytest

from tests.collector.load import span_bytes
from tests.collector.running import ROOT

PAGE = (ROOT / "docs/capacity.md").read_text()
SIZES = {"none": 0, "4 KB": 4096, "20 KB": 20_480}
DAYS = {"1 M": 1e6, "100 M": 1e8, "1 B": 1e9}
UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12, "MiB": 2**20, "GiB": 2**30}
PROCESS = 70 * 2**20  # bytes of a collector that holds nothing
PEAK, USE, WINDOW, OUTAGE, KEPT = 3, 0.6, 30, 3600, 0.1


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below the line that begins so."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def number(text: str) -> float:
    """`4.6 GiB` in bytes, `8,600` as it is."""
    figure, unit = re.fullmatch(r"([0-9.,]+) ?([A-Za-z]*).*", text).groups()  # type: ignore[union-attr]
    return float(figure.replace(",", "")) * UNITS.get(unit, 1)


BYTES = {name: (number(raw), number(packed)) for name, raw, packed in rows("| content | bytes")}
RATES = {
    name: number(rate)
    for row in rows("| configuration | no content")
    if row[0] == "… and one vendor"
    for name, rate in zip(SIZES, row[1:], strict=True)
}
HELD = dict(
    zip(
        SIZES,
        map(float, re.findall(r"\u00d7(\d\.\d)", PAGE.split("per byte that it holds")[1])),
        strict=False,
    )
)


def days() -> list[tuple[str, str, list[str]]]:
    """(calls a day, content, the figures), with the names that the table leaves out."""
    found, day = [], ""
    for row in rows("| calls a day"):
        day = row[0] or day
        found.append((day, row[2], row[3:]))
    return found


@pytest.mark.parametrize(("day", "content", "figures"), days())
def test_each_figure_of_a_day_follows_from_the_measured_ones(
    day: str, content: str, figures: list[str]
) -> None:
    """Cores, window, queue and bytes, rounded to two digits as on the page."""
    calls, (raw, packed) = DAYS[day], BYTES[content]
    peak = calls / 86_400 * PEAK
    expected = [
        math.ceil(peak / RATES[content] / USE),
        peak * WINDOW * raw * HELD[content] + PROCESS,
        peak * OUTAGE * raw * KEPT,
        calls * raw,
        calls * packed * KEPT,
    ]
    assert [number(figure) for figure in figures] == pytest.approx(expected, rel=0.07)


def test_the_page_has_every_combination() -> None:
    """Three loads with three sizes."""
    assert [(day, content) for day, content, _ in days()] == [(d, c) for d in DAYS for c in SIZES]


@pytest.mark.parametrize("content", SIZES)
def test_a_call_has_the_documented_size(content: str) -> None:
    """A call of this release is as large as the page says."""
    assert span_bytes(SIZES[content]) == pytest.approx(BYTES[content][0], rel=0.03)
