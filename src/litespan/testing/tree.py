"""A trace as a printable tree."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from litespan.testing.decode import Record


def span_tree(spans: Sequence[Record], show: Sequence[str] = (), *, events: bool = False) -> str:
    """The spans of any number of traces as text, children below their parent, by start time.

    The line of a span has its name, its duration in ms, and ERROR for that status. Below are the
    attributes in `show` and, with `events`, each event with its offset from the span's start in
    ms. A span whose parent is not in `spans` is a root.
    """
    known = {span["span_id"] for span in spans}
    below: defaultdict[str | None, list[Record]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span["start"]):
        below[span["parent"] if span["parent"] in known else None].append(span)

    def lines(span: Record, first: str, rest: str) -> Iterator[str]:
        yield first + _title(span)
        children = below[span["span_id"]]
        bar = "│  " if children else "   "
        yield from (rest + bar + line for line in _details(span, show, events=events))
        for child in children:
            last = child is children[-1]
            corner, edge = ("└─ ", "   ") if last else ("├─ ", "│  ")
            yield from lines(child, rest + corner, rest + edge)

    return "\n".join(line for root in below[None] for line in lines(root, "", ""))


def _title(span: Record) -> str:
    duration = f"{(span['end'] - span['start']) / 1e6:.0f} ms"
    error = ["ERROR"] if span["status"] == "ERROR" else []
    return "  ".join([span["name"], duration, *error])


def _details(span: Record, show: Sequence[str], *, events: bool) -> Iterator[str]:
    for name in show:
        value = span["attributes"].get(name)
        if value is not None:
            yield f"{name} = {f'{value:.6g}' if isinstance(value, float) else value}"
    for event in span["events"] if events else ():
        yield f"· {event['name']} +{(event['time'] - span['start']) / 1e6:.0f} ms"
