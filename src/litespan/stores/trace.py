"""The calls of a trace as steps in time, and the stages and costs of one call. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from litespan.stores.records import Record, moment

_COSTS: Final = "litellm.cost."
_SHOWN: Final = ("total", "input", "output", "source")  # columns of their own


@dataclass(frozen=True, slots=True)
class Step:
    """One call in its trace.

    Attributes:
        record: the call.
        depth: how many recorded calls are above it.
        begin: its start, as a share (0 to 1) of the trace's duration.
        share: its duration, as a share of the trace's.
    """

    record: Record
    depth: int
    begin: float
    share: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a call: its name, s since the call's start, share of the duration."""

    name: str
    offset_s: float
    share: float
    attributes: Mapping[str, Any]


def trace(records: Sequence[Record]) -> list[Step]:
    """The calls of one trace in order, children after their parent."""
    if not records:
        return []
    known = {record["span_id"] for record in records}
    below: dict[str | None, list[Record]] = {}
    for record in sorted(records, key=lambda record: record["start_time"]):
        parent = record["parent_span_id"]
        is_child = parent in known and parent != record["span_id"]
        below.setdefault(parent if is_child else None, []).append(record)
    starts = {r["key"]: moment(r["start_time"]).timestamp() for r in records}
    first = min(starts.values())
    last = max(starts[r["key"]] + (r["duration_s"] or 0.0) for r in records)
    whole = max(last - first, 1e-9)

    def steps(parent: str | None, depth: int) -> Iterator[Step]:
        for record in below.pop(parent, ()):
            begin = (starts[record["key"]] - first) / whole
            yield Step(record, depth, begin, (record["duration_s"] or 0.0) / whole)
            yield from steps(record["span_id"], depth + 1)

    return list(steps(None, 0))


def stages(record: Record) -> list[Stage]:
    """The stages of a call in order."""
    start = moment(record["start_time"]).timestamp()
    duration = record["duration_s"] or 0.0
    found = []
    for stage in record["stages"] or ():
        offset = stage["time_ns"] / 1e9 - start
        share = min(max(offset / duration, 0.0), 1.0) if duration else 0.0
        found.append(Stage(stage["name"], offset, share, stage["attributes"] or {}))
    return sorted(found, key=lambda stage: stage.offset_s)


def costs(record: Record) -> list[tuple[str, Decimal]]:
    """Further costs in USD: cached input, reasoning, savings."""
    return [
        (name.removeprefix(_COSTS).replace("_", " "), Decimal(repr(value)))
        for name, value in (record["attributes"] or {}).items()
        if name.startswith(_COSTS)
        and name.removeprefix(_COSTS) not in _SHOWN
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
    ]
