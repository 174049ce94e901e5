"""Charts over time as geometry, which a template draws as SVG. Pure.

Shapes stretch with the page, so coordinates are abstract: a step is `STEP` wide, the axis is
`HEIGHT` high, and texts are not part of the drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

from litespan.stores.readable import count, seconds
from litespan.ui.display import money
from litespan.ui.queries import Row, Series

STEP: Final = 10
HEIGHT: Final = 100
_GAP: Final = 1.5  # between bars

Parts = Mapping[str, tuple[str, Callable[[Row], Any]]]  # class → name, value in a step
Values = Mapping[str, Any]  # class → value


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a stacked bar; `kind` is its class."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Slot:
    """One step of time: where it is, what it says, which calls it stands for."""

    x: float
    width: float
    tip: str
    since: str
    until: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        title: what it shows.
        top: the value at the upper end of the axis, as text.
        legend: class → name of each part.
        slots: the steps.
        lines: class → points of a step line.
        width: of all steps.
        labels: times below the chart, from left to right.
    """

    title: str
    top: str
    legend: Mapping[str, str]
    slots: Sequence[Slot]
    lines: Mapping[str, Sequence[str]]
    width: int
    labels: Sequence[str]


def charts(series: Series) -> list[Chart]:
    """Calls, cost, tokens and latency over time."""
    if not series.rows:
        return []
    calls: Parts = {
        "main": ("succeeded", lambda row: row["calls"] - row["failures"]),
        "bad": ("failed", itemgetter("failures")),
    }
    tokens: Parts = {
        "main": ("input", itemgetter("input_tokens")),
        "soft": ("output", itemgetter("output_tokens")),
    }
    latency: Parts = {
        "main": ("p50", lambda row: row["latency"] and row["latency"][0]),
        "soft": ("p95", lambda row: row["latency"] and row["latency"][1]),
        "calm": ("first chunk p50", lambda row: row["first_chunk"] and row["first_chunk"][0]),
    }
    return [
        _bars(series, "Calls", calls, count),
        _bars(series, "Cost", {"main": ("USD", itemgetter("cost_usd"))}, _usd),
        _bars(series, "Tokens", tokens, count),
        _lines(series, "Latency", latency),
    ]


def when(at: datetime, step: timedelta) -> str:
    """A time as the labels of a chart have it."""
    day = f"{at:%b} {at.day}"
    if step >= timedelta(days=1):
        return day
    return f"{day}, {at:%H:%M:%S}" if step < timedelta(minutes=1) else f"{day}, {at:%H:%M}"


def _bars(series: Series, title: str, parts: Parts, text: Callable[[Any], str]) -> Chart:
    values = _values(series, parts)
    top = max(sum(filter(None, each.values())) for each in values) or 1

    def stack(each: Values) -> list[Bar]:
        bars, y = [], float(HEIGHT)
        for kind, value in each.items():
            if value:
                height = float(value) / float(top) * HEIGHT
                y -= height
                bars.append(Bar(kind, round(y, 2), round(height, 2)))
        return bars

    legend = {kind: name for kind, (name, _) in parts.items()}
    slots = _slots(series, values, legend, text, stack)
    return Chart(title, text(top), legend, slots, {}, len(slots) * STEP, _labels(series))


def _lines(series: Series, title: str, parts: Parts) -> Chart:
    values = _values(series, parts)
    top = max((v for each in values for v in each.values() if v is not None), default=0) or 1
    drawn = {kind: _line([each[kind] for each in values], top) for kind in parts}
    lines = {kind: points for kind, points in drawn.items() if points}
    legend = {kind: parts[kind][0] for kind in lines}
    slots = _slots(series, values, legend, _seconds, lambda _: [])
    return Chart(title, _seconds(top), legend, slots, lines, len(slots) * STEP, _labels(series))


def _line(values: Sequence[float | None], top: float) -> list[str]:
    """The points of each unbroken part of a step line."""
    found, points = list[list[str]](), list[str]()
    for at, value in enumerate(values):
        if value is None:
            found, points = [*found, points], []
        else:
            y = round(HEIGHT - value / top * HEIGHT, 2)
            points += [f"{at * STEP},{y}", f"{(at + 1) * STEP},{y}"]
    return [" ".join(part) for part in (*found, points) if part]


def _slots(
    series: Series,
    values: Sequence[Values],
    legend: Mapping[str, str],
    text: Callable[[Any], str],
    bars: Callable[[Values], Sequence[Bar]],
) -> list[Slot]:
    slots = []
    for at, (row, each) in enumerate(zip(series.rows, values, strict=True)):
        shown = [f"{text(each[kind])} {name}" for kind, name in legend.items() if each[kind]]
        slots.append(
            Slot(
                x=at * STEP + _GAP / 2,
                width=STEP - _GAP,
                tip=f"{when(row['at'], series.step)}: {', '.join(shown) or 'none'}",
                since=row["at"].isoformat(),
                until=(row["at"] + series.step).isoformat(),
                bars=bars(each),
            )
        )
    return slots


def _labels(series: Series) -> list[str]:
    labeled = (series.rows[at] for at in (0, len(series.rows) // 2, -1))
    return list(dict.fromkeys(when(row["at"], series.step) for row in labeled))


def _values(series: Series, parts: Parts) -> list[Values]:
    """The values of each step by class; None in a step without calls."""
    return [
        {kind: value(row) if row["calls"] else None for kind, (_, value) in parts.items()}
        for row in series.rows
    ]


def _seconds(value: float) -> str:
    return f"{seconds(value)} s"


def _usd(value: Any) -> str:
    return money(Decimal(value))
