"""Content attributes as recorded: redacted, as JSON, within the length limit."""

from collections.abc import Mapping
from typing import Any

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.signals import Signals
from litespan.mapping.content import encode
from litespan.redaction.echoes import ECHO


def content_attributes(
    signals: Signals, values: Mapping[str, Any], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return content attributes as JSON text, redacted and within the limit.

    `values` maps attribute names to messages; `attributes` are the other span attributes, for the
    redactor. If the redactor raises, the content is not recorded.
    """
    found: dict[str, Any] = {}
    cut = 0
    for key, value in values.items():
        kept: Any = value
        if signals.redactor is not None:
            try:
                kept = signals.redactor(key, value, attributes)
            except Exception as error:  # noqa: BLE001 - the user's function
                record_error(f"calling the redactor ({key} was not recorded)", error)
                continue
            if kept is None:
                continue
        found[key], original = encode(kept, signals.content_limit)
        cut += original
    if cut:
        found[s.CONTENT_ORIGINAL_LENGTH] = cut
    return found


def redacted_text(signals: Signals, text: str, attributes: Mapping[str, Any]) -> str:
    """Apply the redactor to an error message.

    The redactor receives it as an input message with one text part. If it raises or returns
    nothing, the whole text becomes `[content]`.
    """
    message = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
    try:
        kept: Any = signals.redactor and signals.redactor(s.INPUT_MESSAGES, message, attributes)
        redacted = kept[0]["parts"][0]["content"] if kept else ECHO
    except Exception as error:  # noqa: BLE001 - the user's function
        record_error("calling the redactor (the text of an error was not recorded)", error)
        return ECHO
    return redacted if isinstance(redacted, str) else ECHO
