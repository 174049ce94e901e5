"""A trace as a printable tree."""

from collections.abc import Iterator, Sequence

from litespan.testing.decode import Record


def span_tree(spans: Sequence[Record], show: Sequence[str] = (), *, events: bool = False) -> str:
    """The spans of any number of traces as text, children below their parent, by start time.

    A line tells name, duration in ms, ERROR if it is one, and the attributes named in `show`;
    with `events` each span's events follow, at ms after its start. A span whose parent is not
    among `spans` counts as a root.
    """
    known = {span["span_id"] for span in spans}
    ordered = sorted(spans, key=lambda span: span["start"])

    def children(parent: str | None) -> list[Record]:
        return [
            span
            for span in ordered
            if (span["parent"] if span["parent"] in known else None) == parent
        ]

    def lines(span: Record, first: str, rest: str) -> Iterator[str]:
        yield first + _line(span, show)
        below = children(span["span_id"])
        bar = "│  " if below else "   "
        for event in span["events"] if events else ():
            at = (event["time"] - span["start"]) / 1e6
            yield f"{rest}{bar}· {event['name']} +{at:.0f} ms"
        for child in below:
            last = child is below[-1]
            yield from lines(
                child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")
            )

    return "\n".join(line for root in children(None) for line in lines(root, "", ""))


def _line(span: Record, show: Sequence[str]) -> str:
    attributes = span["attributes"]
    shown = [f"{name}={attributes[name]}" for name in show if name in attributes]
    duration = f"{(span['end'] - span['start']) / 1e6:.0f} ms"
    error = ["ERROR"] if span["status"] == "ERROR" else []
    return "  ".join([span["name"], duration, *error, *shown])
