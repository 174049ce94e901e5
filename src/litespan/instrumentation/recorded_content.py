"""Messages as they are recorded: redacted, as JSON text, within the limit."""

from collections.abc import Mapping
from typing import Any

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.signals import Signals
from litespan.mapping.content import encode
from litespan.redaction.echoes import ECHO


def written(
    signals: Signals, values: Mapping[str, list[Any]], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Content attributes as JSON text, redacted and within the limit.

    `attributes` are those that the span has besides. A redactor that fails takes the
    content with it.
    """
    found: dict[str, Any] = {}
    cut = 0
    for key, value in values.items():
        kept: Any = value
        if signals.redactor is not None:
            try:
                kept = signals.redactor(key, value, attributes)
            except Exception as error:  # noqa: BLE001 - the user's function
                record_error(f"the redactor, so {key} was not recorded:", error)
                continue
            if kept is None:
                continue
        found[key], original = encode(kept, signals.content_limit)
        cut += original
    if cut:
        found[s.CONTENT_ORIGINAL_LENGTH] = cut
    return found


def redacted_text(signals: Signals, text: str, attributes: Mapping[str, Any]) -> str:
    """An error text without what the redactor takes out of messages.

    The redactor is given it as an input message with one text part. One that fails, or keeps
    nothing, takes the text with it.
    """
    message = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
    try:
        kept: Any = signals.redactor and signals.redactor(s.INPUT_MESSAGES, message, attributes)
        said = kept[0]["parts"][0]["content"] if kept else ECHO
    except Exception as error:  # noqa: BLE001 - the user's function
        record_error("the redactor, so an error's text was not recorded:", error)
        return ECHO
    return said if isinstance(said, str) else ECHO
