"""A plot of curves as SVG: a panel for each, with logarithmic axes."""

import math
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 200, 130, 25  # of a panel
ACROSS = 4  # panels
DECADES = 5  # of the vertical axis
Points = Mapping[int, tuple[float, float]]  # size: ms of all threads, of the caller's


def svg(panels: Mapping[str, Points]) -> str:
    """All panels, by title."""
    groups = "\n".join(
        f'<g transform="translate({n % ACROSS * WIDTH},{n // ACROSS * HEIGHT})">'
        f"{panel(title, panels[title])}</g>"
        for n, title in enumerate(panels)
    )
    size = f"{ACROSS * WIDTH} {-(-len(panels) // ACROSS) * HEIGHT}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        'font-family="sans-serif" font-size="9"><rect width="100%" height="100%" fill="white"/>\n'
        f"{groups}\n</svg>\n"
    )


def panel(title: str, points: Points) -> str:
    """All threads red, the caller's thread blue, linear growth grey."""
    sizes = list(points)
    every, caller = zip(*points.values(), strict=True)
    first, last, top = sizes[0], sizes[-1], every[-1]
    right, bottom = WIDTH - MARGIN, HEIGHT - MARGIN / 2
    most = f"{top:,.{0 if top >= 100 else 1}f} ms"

    def line(values: Iterable[float], color: str) -> str:
        line = " ".join(
            f"{MARGIN + (right - MARGIN) * math.log(size / first) / math.log(last / first):.0f},"
            f"{MARGIN + (HEIGHT - 2 * MARGIN) * min(1, math.log10(top / value) / DECADES):.0f}"
            for size, value in zip(sizes, values, strict=True)
            if value > 0
        )
        return f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>'

    return (
        f'<text x="{MARGIN}" y="12">{escape(title)}</text>'
        f'<text x="{MARGIN}" y="{bottom}">{first:,}</text>'
        f'<text x="{right}" y="{bottom}" text-anchor="end">{last:,}</text>'
        f'<text x="{right}" y="{MARGIN - 3}" text-anchor="end">{most}</text>'
        + line((top * size / last for size in sizes), "#bbbbbb")
        + line(caller, "#2471a3")
        + line(every, "#c0392b")
    )
