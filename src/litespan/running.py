"""What `litespan run` does inside the program: a provider if there is none, and the last line.

The command passes its process id, which the program keeps, and its start time in `LITESPAN_RUN`.
Child processes inherit the variable: they are instrumented, too, and print nothing.
"""

import atexit
import os
import sys
from datetime import datetime, timezone
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry import trace

from litespan.errors import suppress_errors
from litespan.settings import RUN

# Stores are imported at exit: the program's start does not need them.

STORE: Final = "sqlite"
NEXT: Final = "litespan ui"
TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_COLUMNS: Final = ("service_name", "outcome", "input_tokens", "output_tokens", "cost_usd")


def token(*, silent: bool = False) -> str:
    """The value of `LITESPAN_RUN` for the program that this process becomes."""
    return "silent" if silent else f"{os.getpid()} {datetime.now(timezone.utc).strftime(TIME)}"


def begin() -> None:
    """Set up a provider if there is none, and print the last line at exit."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        from litespan.export import provider  # only without opentelemetry-distro

        provider.set_up()
    process, _, since = os.environ.get(RUN, "").partition(" ")
    if process == str(os.getpid()):
        atexit.register(_end, process, since)


def _end(process: str, since: str) -> None:
    """Deliver what is recorded, and print what the store has of this run."""
    if process != str(os.getpid()):  # a fork
        return
    with suppress_errors("ending litespan run"):
        current: Any = trace.get_tracer_provider()
        name = getattr(getattr(current, "resource", None), "attributes", {}).get("service.name")
        # It would happen next. The store is complete only after it.
        getattr(current, "shutdown", lambda: None)()
        sys.stderr.write(f"litespan: {last_line(since, name)}\n")


def last_line(since: str, service: str | None) -> str:
    """What the store has of the calls of a service that started at `since` or later."""
    path = os.environ.get("LITESPAN_SQLITE", "")
    found = [row for row in _stored(path, since) if row["service_name"] == service]
    if not found:
        return "no calls were recorded; if the program made calls, run litespan doctor"
    return f"{totals(found)} → {os.path.relpath(path)} · {NEXT}"


def _stored(path: str, since: str) -> list[dict[str, Any]]:
    if not os.path.exists(path):  # noqa: PTH110 - no call was written
        return []
    from litespan.stores.reading import GROUP
    from litespan.stores.records import Unreadable

    (found,) = entry_points(group=GROUP, name=STORE)
    try:
        return list(found.load().read(path, _COLUMNS, since))
    except Unreadable:
        return []


def totals(calls: list[dict[str, Any]]) -> str:
    """The number of calls and failures, tokens and cost."""
    failed = sum(call["outcome"] in ("failure", "cancelled") for call in calls)
    tokens = sum((call["input_tokens"] or 0) + (call["output_tokens"] or 0) for call in calls)
    costs = [Decimal(str(call["cost_usd"])) for call in calls if call["cost_usd"] is not None]
    parts = [f"{len(calls):,} call{'s' if len(calls) != 1 else ''}"]
    if failed:
        parts.append(f"{failed:,} failed")
    parts.append(f"{tokens:,} tokens")
    if costs:
        total = sum(costs, Decimal())
        parts.append(f"${total:,.2f}" if total >= 1 or not total else f"${total.normalize():f}")
    return ", ".join(parts)
