"""Charts over time as geometry, which a template draws as SVG. Pure.

Shapes stretch with the page, so coordinates are abstract: a step is `STEP` wide, the axis is
`HEIGHT` high, and texts are not part of the drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from litespan.stores.readable import count, seconds
from litespan.ui.display import money
from litespan.ui.queries import Row, Series

STEP: Final = 10
HEIGHT: Final = 100
_GAP: Final = 1.5  # between bars

Value = Callable[[Row], Any]


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
    return [
        _bars(
            series,
            "Calls",
            {
                "main": ("succeeded", lambda row: row["calls"] - row["failures"]),
                "bad": ("failed", lambda row: row["failures"]),
            },
            count,
        ),
        _bars(series, "Cost", {"main": ("USD", lambda row: row["cost_usd"])}, _usd),
        _bars(
            series,
            "Tokens",
            {
                "main": ("input", lambda row: row["input_tokens"]),
                "soft": ("output", lambda row: row["output_tokens"]),
            },
            count,
        ),
        _lines(
            series,
            "Latency",
            {
                "main": ("p50", lambda row: row["latency"] and row["latency"][0]),
                "soft": ("p95", lambda row: row["latency"] and row["latency"][1]),
                "calm": (
                    "first chunk p50",
                    lambda row: row["first_chunk"] and row["first_chunk"][0],
                ),
            },
        ),
    ]


def when(at: datetime, step: timedelta) -> str:
    """A time as the labels of a chart have it."""
    day = f"{at:%b} {at.day}"
    if step >= timedelta(days=1):
        return day
    return f"{day}, {at:%H:%M:%S}" if step < timedelta(minutes=1) else f"{day}, {at:%H:%M}"


def _bars(
    series: Series, title: str, parts: Mapping[str, tuple[str, Value]], text: Callable[[Any], str]
) -> Chart:
    values = [_values(row, parts) for row in series.rows]
    top = max(sum(filter(None, each.values())) for each in values) or 1

    def stack(each: Mapping[str, Any]) -> list[Bar]:
        bars, y = [], float(HEIGHT)
        for kind, value in each.items():
            if value:
                height = float(value) / float(top) * HEIGHT
                y -= height
                bars.append(Bar(kind, round(y, 2), round(height, 2)))
        return bars

    return _chart(series, title, parts, text(top), [stack(each) for each in values], {}, text)


def _lines(series: Series, title: str, parts: Mapping[str, tuple[str, Value]]) -> Chart:
    values = [_values(row, parts) for row in series.rows]
    top = max((v for each in values for v in each.values() if v is not None), default=0) or 1
    lines = {kind: _line([each[kind] for each in values], top) for kind in parts}
    shown = {kind: points for kind, points in lines.items() if points}
    return _chart(
        series,
        title,
        {kind: part for kind, part in parts.items() if kind in shown},
        f"{seconds(top)} s",
        [[] for _ in values],
        shown,
        lambda value: f"{seconds(value)} s",
    )


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


def _chart(
    series: Series,
    title: str,
    parts: Mapping[str, tuple[str, Value]],
    top: str,
    bars: Sequence[Sequence[Bar]],
    lines: Mapping[str, Sequence[str]],
    text: Callable[[Any], str],
) -> Chart:
    slots = []
    for at, (row, stack) in enumerate(zip(series.rows, bars, strict=True)):
        values = _values(row, parts)
        shown = [
            f"{text(values[kind])} {name}" for kind, (name, _) in parts.items() if values[kind]
        ]
        slots.append(
            Slot(
                x=at * STEP + _GAP / 2,
                width=STEP - _GAP,
                tip=f"{when(row['at'], series.step)}: {', '.join(shown) or 'none'}",
                since=row["at"].isoformat(),
                until=(row["at"] + series.step).isoformat(),
                bars=stack,
            )
        )
    labeled = (series.rows[at] for at in (0, len(series.rows) // 2, -1))
    labels = dict.fromkeys(when(row["at"], series.step) for row in labeled)
    legend = {kind: name for kind, (name, _) in parts.items()}
    return Chart(title, top, legend, slots, lines, len(slots) * STEP, list(labels))


def _values(row: Row, parts: Mapping[str, tuple[str, Value]]) -> dict[str, Any]:
    return {kind: value(row) if row["calls"] else None for kind, (_, value) in parts.items()}


def _usd(value: Any) -> str:
    return money(Decimal(value))
