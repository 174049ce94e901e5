"""Spans → rows: the values of `columns.COLUMNS` in text that every store accepts."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from litespan.errors import suppress_errors
from litespan.genai.span import GenAISpan
from litespan.objects import encoded
from litespan.stores.columns import COLUMNS, Kind, clean


def rows(spans: Iterable[ReadableSpan], *, content: bool = True) -> list[list[Any]]:
    """Convert spans of model calls to rows, with values in the order of `COLUMNS`.

    Text has no NUL characters and no lone surrogates: see `clean`. Of several spans with the same
    key only the last is kept. A span that cannot be converted is logged, counted and left out.

    Args:
        spans: Any spans.
        content: False leaves content columns None.
    """
    found = {}
    cells = [
        (column.read if content or not column.content else lambda _: None, _CLEAN.get(column.kind))
        for column in COLUMNS
    ]
    for span in spans:
        with suppress_errors("making a row"):
            call = GenAISpan.read(span)
            if call is not None and call.is_call:
                found[call.key] = [
                    value if (value := read(call)) is None or cleaned is None else cleaned(value)
                    for read, cleaned in cells
                ]
    return list(found.values())


def _clean_text(text: str) -> str:
    return text if text.isascii() and "\0" not in text else clean(text)


def _clean_json(text: str) -> str:
    """JSON text without NUL and lone surrogates, including those that it escapes."""
    text = _clean_text(text)
    if "\\u0000" not in text:
        return text
    return encoded(clean(json.loads(text)))


_CLEAN: Final[dict[Kind, Callable[[Any], Any]]] = {
    "text": _clean_text,
    "list": lambda texts: [_clean_text(text) for text in texts],
    "json": _clean_json,
}
