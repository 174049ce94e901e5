"""Numbers and outcomes as people read them."""

from decimal import Decimal
from typing import Any, Final

OUTCOMES: Final = {"success": "ok", "failure": "failed", "started": "running"}
"""Shorter words for outcomes; others are unchanged."""


def count(tokens: int | None) -> str:
    """A number of tokens."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if tokens and tokens >= max(size, 10**4):
            number = tokens / size
            return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}{unit}"
    return f"{tokens:,}" if tokens else "-"


def places(usd: Decimal) -> int:
    """Decimals for a column of costs: fewer for a larger sum."""
    return 2 if usd >= 1000 else 4 if usd >= 1 else 6


def dollars(usd: Decimal | None, places: int = 6) -> str:
    """A cost; `<$0.000001` is more than nothing."""
    if usd is None:
        return "-"
    if not usd:
        return "$0"
    least = Decimal(1).scaleb(-places)
    return f"<${least:f}" if 0 < usd < least else f"${usd:,.{places}f}"


def seconds(value: Any) -> str:
    """A duration, with three digits or so."""
    if value is None:
        return "-"
    return f"{value:.{3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0}f}"
