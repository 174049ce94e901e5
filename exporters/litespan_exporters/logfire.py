"""Pydantic Logfire over OTLP, with the attributes that its LLM pages read.

https://logfire.pydantic.dev/docs/how-to-guides/alternative-clients/ (seen 2026-11-20). Limits:
https://logfire.pydantic.dev/docs/reference/limits/
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.export import (
    JSON,
    GenAISpan,
    Item,
    OtlpExporter,
    Policy,
    Variables,
    log_once,
    renamed_attributes,
    to_text,
)

REGIONS: Final = {
    "us": "https://logfire-us.pydantic.dev",
    "eu": "https://logfire-eu.pydantic.dev",
}
PATH: Final = "/v1/traces"

_INFO, _WARNING, _ERROR = 9, 13, 17
_LONGEST_NAME: Final = 512  # bytes
_DAY_NS: Final = 24 * 3600 * 1_000_000_000
_JSON: Final = (s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS)


def attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes to add to Logfire's copy of the span. Pure."""
    fields = renamed_attributes(span)
    parsed = [name for name in _JSON if name in span.attributes or name in fields]
    schema: JSON = {"type": "object", "properties": {name: {"type": "array"} for name in parsed}}
    message = short(span.name)
    return {
        **fields,
        "operation.cost": span.cost.total,
        s.FOR_SYSTEM: span.provider,
        s.CONVERSATION_ID: span.identity.session,
        s.METRIC_FIRST_CHUNK: span.response.time_to_first_chunk,
        "logfire.msg": message,
        "logfire.msg_template": message,
        "logfire.level_num": level(span),
        "logfire.span_type": "span",
        "logfire.tags": list(span.identity.tags) or None,
        "logfire.json_schema": to_text(schema) if parsed else None,
    }


def level(span: GenAISpan) -> int:
    """OpenTelemetry's severity number."""
    if span.error is not None:
        return _ERROR
    return _WARNING if span.call.outcome in ("cancelled", "abandoned") else _INFO


def short(name: str) -> str:
    """`name`, truncated to 512 bytes."""
    return name.encode("utf-8", "replace")[:_LONGEST_NAME].decode("utf-8", "ignore")


def region_of(token: str) -> str:
    """The URL of a write token's region: by its prefix, else the US."""
    found = re.match(r"pylf_v\d+_([a-z]+)_", token)
    return REGIONS.get(found.group(1) if found else "us", REGIONS["us"])


class LogfireExporter(OtlpExporter):
    """Sends GenAI spans to Logfire.

    Reads LOGFIRE_TOKEN, LOGFIRE_BASE_URL. Also LOGFIRE_SERVICE_NAME, LOGFIRE_ENVIRONMENT and
    LOGFIRE_SEND_TO_LOGFIRE.
    """

    name: ClassVar[str] = "logfire"
    variables = Variables(keys=("LOGFIRE_TOKEN",), url=("LOGFIRE_BASE_URL",))
    policy = Policy(max_bytes=5_000_000, gzip=True, split=frozenset({400, 413}))
    hints: ClassVar[Mapping[str, str]] = {
        "401": "unauthorized: check LOGFIRE_TOKEN (a write token) and its region",
    }

    def __init__(
        self,
        token: str | None = None,
        base_url: str | None = None,
        *,
        service_name: str | None = None,
        environment: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            token: a write token, else LOGFIRE_TOKEN.
            base_url: default LOGFIRE_BASE_URL, else by the token's region.
            service_name: default LOGFIRE_SERVICE_NAME, else `service.name`.
            environment: default LOGFIRE_ENVIRONMENT, else the resource's.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        program = {
            s.SERVICE_NAME: service_name or self.env.get("LOGFIRE_SERVICE_NAME"),
            s.ENVIRONMENT: environment or self.env.get("LOGFIRE_ENVIRONMENT"),
        }
        self.resource = Resource({name: value for name, value in program.items() if value})
        if not self.flag("LOGFIRE_SEND_TO_LOGFIRE", default=True):
            self.disable("LOGFIRE_SEND_TO_LOGFIRE is false", "unset it to send")
        elif keys := self.credentials(token=token):
            token = keys[0].reveal()
            if "," in token:
                self.disable(
                    "LOGFIRE_TOKEN contains several tokens", "set the token of one project"
                )
                return
            if base := self.base_url(base_url, region_of(token)):
                # Logfire expects no "Bearer".
                self.connect(base.removesuffix(PATH) + PATH, {"Authorization": keys[0]})

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """Attributes to add to the copy."""
        return attributes(span)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans; logs if some are too old."""
        if any((span.start_time or 0) < time.time_ns() - _DAY_NS for span in spans):
            log_once("logfire.old", "logfire: Logfire rejects spans older than 24 hours")
        yield from super().items(spans)

    def copy(self, span: ReadableSpan, view: GenAISpan, **fields: Any) -> ReadableSpan:
        """The enriched copy, with a name that Logfire accepts."""
        return super().copy(span, view, name=short(span.name), **fields)
