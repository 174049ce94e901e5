"""`Helicone-…` headers with ids and properties, sent as `meta` and as HTTP headers.

https://docs.helicone.ai/helicone-headers/header-directory (seen 2026-11-20)
"""

import re
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from litespan.export import GenAISpan

_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))
_INVALID: Final = re.compile(r"[^!#$&'*+.^_`|~0-9A-Za-z-]")  # not allowed in header names
_LONGEST_VALUE: Final = 1000  # characters
_INCOMPLETE_ESCAPE: Final = re.compile(r"%[0-9A-F]?$")  # a truncated escape
_OWN: Final = "helicone-"
_FORBIDDEN: Final = frozenset({"helicone-auth"})


def meta(span: GenAISpan) -> dict[str, str]:
    """Ids and properties as valid header names and values. litespan's own names win."""
    identity, call, cost = span.identity, span.call, span.cost
    named = {
        "Helicone-Request-Id": span.key_text,
        "Helicone-User-Id": identity.user,
        "Helicone-Session-Id": identity.session,
        "Helicone-Session-Path": f"/{span.operation}" if identity.session else None,
        "Helicone-Session-Name": span.service.name if identity.session else None,
        "Helicone-Prompt-Id": span.request.prompt_name,
        "Helicone-Prompt-Version": span.request.prompt_version,
    }
    properties = {
        "litellm_call_id": call.id,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "cost_usd": usd(cost.total),
        "cost_input_usd": usd(cost.input),
        "cost_output_usd": usd(cost.output),
        "cost_cache_read_usd": usd(cost.cache_read),
        "cost_reasoning_usd": usd(cost.reasoning),
        "cost_saved_usd": usd(cost.saved),
        "saved_input_tokens": _text(span.usage.input) if call.cache_hit else None,
        "saved_output_tokens": _text(span.usage.output) if call.cache_hit else None,
        "cost_source": cost.source,
        "provider": span.provider,
        "operation": span.operation,
        "environment": span.service.environment,
        "service": span.service.name,
        "release": span.service.version,
        "tags": ",".join(identity.tags),
        "team": identity.team_alias or identity.team_id,
        "organization": identity.organization_id,
        "project": identity.project_id,
        "end_user": identity.end_user_id,
        "api_key": identity.api_key_alias,
        "route": identity.route,
        "outcome": call.outcome,
        "stream": "true" if span.request.stream else None,
        "attempt": _text(call.attempt),
        "model_group": call.model_group,
        "deployment": call.deployment_id,
        "fallback_from": call.fallback_from,
        "cache_hit": _text(call.cache_hit),
        "error_type": span.error.type if span.error else None,
        "output_type": span.request.output_type,
        "server": span.request.server_address,
        "reasoning_tokens": _text(span.usage.reasoning),
        "cache_write_tokens": _text(span.usage.cache_creation),
        "input_audio_tokens": _text(span.usage.audio_input),
        "output_audio_tokens": _text(span.usage.audio_output),
        "usage_source": span.usage.source,
    }
    found = {name: header_value(value) for name, value in named.items() if value}
    for name, value in properties.items():
        if value:
            found[f"Helicone-Property-{name}"] = header_value(value)
    taken = {name.lower() for name in found} | _FORBIDDEN
    for key, free in identity.metadata.items():
        # Metadata named `Helicone-…` keep their names, as in LiteLLM's callback.
        own = key.lower().startswith(_OWN)
        name = _INVALID.sub("_", key if own else f"Helicone-Property-{key}")
        if (value := _text(free)) and name.lower() not in taken:
            taken.add(name.lower())
            found[name] = header_value(value)
    return found


def usd(amount: float | None) -> str | None:
    """US dollars as a plain decimal number, without an exponent."""
    return None if amount is None else f"{Decimal(repr(amount)):f}"


def header_value(text: str) -> str:
    """`text` as a header value: percent-encoded UTF-8 unless it is printable ASCII."""
    if text.isascii() and text.isprintable():
        return text[:_LONGEST_VALUE].strip()
    encoded = quote(text, safe=_PRINTABLE.replace("%", ""), errors="replace")
    return _INCOMPLETE_ESCAPE.sub("", encoded[:_LONGEST_VALUE]).strip()


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return None if value is None else str(value)
