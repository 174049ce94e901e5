"""How values look on the page. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from litespan.parsers import link_to
from litespan.semconv import REFERENCE
from litespan.stores import groups
from litespan.stores.conversation import pretty
from litespan.stores.readable import OUTCOMES, count, dollars, seconds
from litespan.stores.records import NAMES, Record
from litespan.stores.spans import CONTENT

_OWN: Final = (
    *("key", "trace_id", "span_id", "parent_span_id", "call_id", "response_id"),
    *("provider_request_id", "start_time", "end_time", "span_name", "stages", "attributes"),
)
"""Columns that differ in any two calls, or are compared in other ways."""


def money(usd: Decimal | None) -> str:
    """A cost with the digits that matter for its size."""
    size = 1 if usd is None else usd
    return dollars(usd, 2 if size >= 1 else 4 if size >= Decimal("0.01") else 6)


def exact(usd: Decimal | None) -> str:
    """A cost with all its digits, without trailing zeros."""
    return "-" if usd is None else f"${usd.normalize():f}"


def duration(value: float | None) -> str:
    """A duration in ms, s, minutes or hours."""
    if value is None:
        return "-"
    if value >= 3600:
        return f"{value // 3600:.0f} h {value % 3600 // 60:.0f} min"
    if value >= 120:
        return f"{value // 60:.0f} min {value % 60:.0f} s"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{seconds(value)} s"


def moment(at: datetime) -> str:
    """A time of today as the time of day, others with their date."""
    today = datetime.now(timezone.utc).date()
    clock = f"{at:%H:%M:%S}"
    if at.date() == today:
        return clock
    return f"{at:%b} {at.day}, {clock}" if at.year == today.year else f"{at:%Y-%m-%d} {clock}"


def percent(part: float, whole: float) -> str:
    """A share."""
    share = part / whole if whole else 0
    return "0 %" if not part else f"{share:.1%}".replace("%", " %")


def outcome(name: str) -> str:
    """The word for an outcome."""
    return OUTCOMES.get(name, name)


def tone(name: str) -> str:
    """The class of an outcome: good, bad, or neither."""
    return "bad" if name in groups.FAILED else "good" if name == "success" else "calm"


def group(call: Mapping[str, Any], by: str) -> str | None:
    """The group of a call."""
    (name,) = groups.groups(call, by)
    return name


def is_offloaded(record: Mapping[str, Any]) -> bool:
    """Whether the record has references to its content instead of the content."""
    return any(name.endswith(REFERENCE) for name in record["attributes"] or ())


def links(templates: Mapping[str, str], call: Mapping[str, Any]) -> dict[str, str]:
    """Name → URL of the call's trace at each vendor."""
    ids = str(call["trace_id"] or ""), str(call["span_id"] or "")
    return {name: link_to(template, *ids) for name, template in templates.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """One value in which two calls differ."""

    name: str
    values: tuple[str, str]


def differences(first: Record, second: Record) -> list[Difference]:
    """Columns and attributes in which two calls differ, except ids, stages and content."""
    found = list(_differing(first, second, [n for n in NAMES if n not in (*_OWN, *CONTENT)]))
    attributes = (first["attributes"] or {}, second["attributes"] or {})
    names = sorted(
        {name for each in attributes for name in each if name.startswith("gen_ai.request.")}
    )
    return found + list(_differing(*attributes, names))


def _differing(
    first: Mapping[str, Any], second: Mapping[str, Any], names: Sequence[str]
) -> Iterator[Difference]:
    for name in names:
        values = first.get(name), second.get(name)
        if values[0] != values[1]:
            yield Difference(name, (value(values[0]), value(values[1])))


def value(given: Any) -> str:
    """Any value as short text."""
    if given is None:
        return "-"
    if isinstance(given, Decimal):
        return exact(given)
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "count": count,
    "money": money,
    "exact": exact,
    "duration": duration,
    "moment": moment,
    "percent": percent,
    "outcome": outcome,
    "tone": tone,
    "group": group,
    "is_offloaded": is_offloaded,
    "pretty": pretty,
    "value": value,
    "segment": lambda text: quote(str(text), safe="", errors="replace"),
}
