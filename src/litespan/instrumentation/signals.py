"""What an instrumented process writes to: tracer, metrics, events, and the content policy."""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry._logs import Logger, get_logger
from opentelemetry.metrics import get_meter
from opentelemetry.trace import Tracer, get_tracer

from litespan import semconv as s
from litespan.counters import observe
from litespan.errors import log_once
from litespan.instrumentation.metrics import Metrics
from litespan.settings import Settings

Redactor = Callable[[str, Any, Mapping[str, Any]], Any]

_LIMITS: Final = (
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)


class Signals:
    """The outlets of one `instrument()`, handed to every call.

    `providers` are those of traces, metrics and logs as given; None stands for the global one.
    """

    __slots__ = (
        "content_limit",
        "logger",
        "metrics",
        "providers",
        "redactor",
        "settings",
        "stages_on_log",
        "stages_on_span",
        "tracer",
    )

    def __init__(
        self,
        settings: Settings,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
        redactor: Redactor | None = None,
    ) -> None:
        from litespan import __version__

        self.settings = settings
        self.providers = (tracer_provider, meter_provider, logger_provider)
        self.tracer: Tracer = get_tracer(
            s.SCOPE, __version__, tracer_provider, schema_url=s.SCHEMA_URL
        )
        self.metrics = Metrics(
            get_meter(s.SCOPE, __version__, meter_provider, schema_url=s.SCHEMA_URL)
        )
        observe(meter_provider)
        self.logger: Logger = get_logger(
            s.SCOPE, __version__, logger_provider, schema_url=s.SCHEMA_URL
        )
        self.stages_on_span = settings.stage_signal != "log"
        self.stages_on_log = settings.stage_signal != "span"
        self.redactor = redactor or load_redactor(settings.redact)
        self.content_limit = min(settings.content_limit, _sdk_limit())


class Live:
    """The signals that wrapped functions write to; None after `uninstrument()`.

    Wrappers that a caller has kept look here, and pass through when there is nothing.
    """

    signals: Signals | None = None
    look: Callable[[], None] | None = None
    """Looks at LiteLLM's callback lists before each call, once they are adopted."""


def load_redactor(path: str) -> Redactor | None:
    """The function that `module:function` names, or None for an empty path.

    One that can not be loaded becomes a redactor that records nothing: content that the
    user wanted redacted never goes out unredacted.
    """
    if not path:
        return None
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - anything may go wrong in the user's module
        log_once(
            f"redact:{path}",
            "LITESPAN_REDACT=%s can not be loaded (%s: %s): no content is recorded; "
            "name an importable function as module:function",
            path,
            type(error).__name__,
            error,
        )
        return _nothing
    if not callable(found):
        log_once(
            f"redact:{path}",
            "LITESPAN_REDACT=%s is not a function: no content is recorded",
            path,
        )
        return _nothing
    redactor: Redactor = found
    return redactor


def _nothing(_key: str, _value: Any, _attributes: Mapping[str, Any]) -> None:
    return None


def _sdk_limit() -> int:
    """The SDK's cap on attribute values, in characters: it would cut JSON in the middle."""
    for name in _LIMITS:
        text = os.environ.get(name, "").strip()
        if text.isdigit():
            return int(text)
    return 2**31
