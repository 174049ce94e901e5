"""Tracer, metrics, logger and content policy of an instrumented process."""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry._logs import Logger, get_logger
from opentelemetry.metrics import get_meter
from opentelemetry.trace import get_tracer

from litespan import semconv as s
from litespan.counters import observe
from litespan.errors import log_once
from litespan.generations import V0_1_0
from litespan.instrumentation.call_tracer import CallTracer
from litespan.instrumentation.metrics import Metrics
from litespan.instrumentation.release_metrics import ReleaseMetrics
from litespan.mapping.release import adapt_content
from litespan.settings import Settings
from litespan.version import VERSION

Content = dict[str, list[Any]]
Redactor = Callable[[str, Any, Mapping[str, Any]], Any]

_LIMITS: Final = (
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)


class Signals:
    """The tracer, metrics, logger and settings of one `instrument()` call.

    Attributes:
        providers: the tracer, meter and logger providers passed in; None is the global one.
        redactor: the user's redactor, or None.
        generation: the names of the GenAI conventions that are written.
        content_form: converts content to the form of that generation.
        content_is_direct: whether content is recorded in the form of 1.41 and without a redactor.
    """

    __slots__ = (
        "_content_limit",
        "content_form",
        "content_is_direct",
        "generation",
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
        self.settings = settings
        self.providers = (tracer_provider, meter_provider, logger_provider)
        self.generation = settings.generation
        url = settings.generation.schema_url
        tracer = get_tracer(s.SCOPE, VERSION, tracer_provider, schema_url=url)
        self.tracer: Final = CallTracer(tracer)
        meter = get_meter(s.SCOPE, VERSION, meter_provider, schema_url=url)
        metrics = ReleaseMetrics if settings.generation.new else Metrics
        self.metrics: Metrics = metrics(meter, settings.generation)
        observe(meter_provider)
        self.logger: Logger = get_logger(s.SCOPE, VERSION, logger_provider, schema_url=url)
        adapts = settings.generation == V0_1_0
        self.content_form: Callable[[Content], Content] = adapt_content if adapts else dict
        self.stages_on_span = settings.stage_signal != "log"
        self.stages_on_log = settings.stage_signal != "span"
        self.redactor = redactor or load_redactor(settings.redact)
        self.content_is_direct = self.redactor is None and not adapts
        self._content_limit = min(settings.content_limit, _sdk_limit())

    @property
    def content_limit(self) -> int:
        """The maximum length of a content attribute, in characters: the SDK would cut its JSON."""
        return min(self._content_limit, self.tracer.length_limit)


class Live:
    """The signals of the process; `signals` is None while LiteLLM is not instrumented.

    Wrappers read them at each call, so that wrappers which outlive `uninstrument()` do nothing.
    """

    signals: Signals | None = None
    look: Callable[[], None] | None = None
    """Checks LiteLLM's callback lists before each call, after `litespan.adopt()`."""


def load_redactor(path: str) -> Redactor | None:
    """Import the redactor `module:function`; return None for an empty path.

    If that fails, return a redactor that drops all content, so that content is never recorded
    unredacted.
    """
    if not path:
        return None
    found, problem = _redactor(path)
    if problem:
        log_once(
            f"redact:{path}", "%s; set it to an importable function, as module:function", problem
        )
        return _nothing
    redactor: Redactor = found
    return redactor


def redactor_problem(path: str) -> str:
    """Return why the redactor `module:function` cannot be used; an empty string if it can."""
    return _redactor(path)[1]


def _redactor(path: str) -> tuple[Any, str]:
    """Return the redactor and an empty string, or None and why it cannot be used."""
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
        problem = "" if callable(found) else "is not callable"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may do anything
        found, problem = None, f"cannot be imported ({type(error).__name__}: {error})"
    return found, problem and f"LITESPAN_REDACT={path} {problem}, so no content is recorded"


def _nothing(_key: str, _value: Any, _attributes: Mapping[str, Any]) -> None:
    return None


def _sdk_limit() -> int:
    """Return the SDK's attribute length limit in characters, at which it would cut JSON."""
    for name in _LIMITS:
        text = os.environ.get(name, "").strip()
        if text.isdecimal():
            return int(text)
    return 2**31
