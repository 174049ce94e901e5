"""Settings: one frozen table, read from the environment.

Each field of `Settings` is one variable; its metadata holds the variable's name, the
values it takes and what it does. `docs/settings.md` is checked against this table.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit

from litespan.errors import log_once

STREAM_EVENTS: Final = ("first", "all", "off")
STAGE_SIGNALS: Final = ("span", "log", "both")
WISHES: Final = ("mute", "content", "sampling", "baggage")
CONTENT_MODES: Final = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")


class BadSetting(ValueError):
    """A value that a setting does not take; the message says which values it takes."""


def _choice(*values: str) -> Callable[[str], str]:
    known = {value.lower(): value for value in values}

    def parse(text: str) -> str:
        try:
            return known[text.lower()]
        except KeyError:
            raise BadSetting(f"not one of {', '.join(values)}") from None

    return parse


def _flag(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    try:
        return known[text.lower()]
    except KeyError:
        raise BadSetting("not one of true, false") from None


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise BadSetting("not a whole number above 0")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _wishes(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    if not set(names) <= set(WISHES):
        raise BadSetting(f"not a list of {', '.join(WISHES)}")
    return names


def _hosts(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    for name in names:
        try:
            parts = urlsplit(f"//{name}")
            bare = parts.netloc == name and parts.hostname and "*" not in name and "@" not in name
            _ = parts.port
        except ValueError:
            bare = False
        if not bare:
            raise BadSetting(f"not a list of hosts as host or host:port, in {name!r}")
    return names


def _patterns(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        try:
            re.compile(name)
        except re.error as error:
            raise BadSetting(f"not a regular expression, in {name!r}: {error}") from None
    return names


def _lower_names(text: str) -> tuple[str, ...]:
    return _names(text.lower())


def _shares(text: str) -> tuple[tuple[str, float], ...]:
    found = []
    for part in _names(text):
        name, _, given = part.partition("=")
        try:
            share = {"off": 0.0, "on": 1.0}.get(given.strip().lower())
            share = float(given) if share is None else share
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0:
            raise BadSetting("not a list of exporter=off, exporter=on or exporter=share")
        found.append((name.strip(), share))
    return tuple(found)


def _text(text: str) -> str:
    return text


def _setting(
    env: str, default: Any, parse: Callable[[str], Any], values: str, about: str
) -> Any:  # the type of the field it describes
    return field(
        default=default, metadata={"env": env, "parse": parse, "values": values, "about": about}
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What litespan does where the user has a choice. Read once, at `instrument()`."""

    content: str = _setting(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "NO_CONTENT",
        _choice(*CONTENT_MODES),
        ", ".join(CONTENT_MODES),
        "Whether messages, instructions, tool definitions and outputs are recorded: not at "
        "all, on the span, on a log event, or on both.",
    )
    content_limit: int = _setting(
        "LITESPAN_CONTENT_LIMIT",
        65536,
        _size,
        "characters",
        "The longest content attribute. Longer content is shortened inside its JSON, which "
        "stays valid.",
    )
    redact: str = _setting(
        "LITESPAN_REDACT",
        "",
        _text,
        "module:function",
        "A function `redact(key, value, attributes)` that sees each content attribute and each "
        "error text, which it gets as an input message, before "
        "it is recorded and returns what to record, or None for nothing.",
    )
    offload: str = _setting(
        "LITESPAN_OFFLOAD",
        "",
        _text,
        "URL or path",
        "Where large content goes: a folder, or s3://…, gs://… and whatever else fsspec knows. "
        "Exporters are given its URL, hash and size instead.",
    )
    offload_above: int = _setting(
        "LITESPAN_OFFLOAD_ABOVE",
        8192,
        _size,
        "bytes",
        "Content attributes of more bytes than this are large.",
    )
    suppress_nested: bool = _setting(
        "LITESPAN_SUPPRESS_NESTED",
        True,
        _flag,
        "true, false",
        "Whether instrumentations of the provider's SDK below LiteLLM are kept from reporting "
        "the same generation again, and litespan below a framework that reports it itself.",
    )
    baggage: tuple[str, ...] = _setting(
        "LITESPAN_BAGGAGE",
        (),
        _names,
        "names",
        "Baggage entries to read as identity: user.id, session.id, or any other name, which "
        "becomes metadata. Baggage is never written.",
    )

    stream_events: str = _setting(
        "LITESPAN_STREAM_EVENTS",
        "first",
        _choice(*STREAM_EVENTS),
        ", ".join(STREAM_EVENTS),
        "Which chunks of a stream become `litellm.stream_chunk` events. All of them take at most "
        "half of the room that a span has for events, so that none pushes another one out; "
        "`litellm.stream.chunks_left_out` counts the rest.",
    )
    stage_signal: str = _setting(
        "LITESPAN_STAGE_SIGNAL",
        "span",
        _choice(*STAGE_SIGNALS),
        ", ".join(STAGE_SIGNALS),
        "Whether the stages of a call are events on its span, log events, or both.",
    )

    input: tuple[str, ...] = _setting(
        "LITESPAN_INPUT",
        (),
        _names,
        "exporters",
        "Exporters that are told of a call before its request is sent, so that one that hangs or "
        "dies is on record: those that can update what they have written, such as sqlite.",
    )
    success: tuple[str, ...] = _setting(
        "LITESPAN_SUCCESS",
        (),
        _names,
        "exporters",
        "Exporters that are given the calls that succeeded, besides those of "
        "OTEL_TRACES_EXPORTER, which are given all spans.",
    )
    failure: tuple[str, ...] = _setting(
        "LITESPAN_FAILURE",
        (),
        _names,
        "exporters",
        "Exporters that are given the calls that failed or were cancelled.",
    )
    adopt: bool = _setting(
        "LITESPAN_ADOPT",
        False,
        _flag,
        "true, false",
        "Whether names and handlers in LiteLLM's own callback lists that litespan serves are "
        "taken over from there.",
    )
    exporter_content: tuple[tuple[str, float], ...] = _setting(
        "LITESPAN_EXPORTER_CONTENT",
        (),
        _shares,
        "exporter=off, exporter=0.1, …",
        "For exporters of these three lists: the share of traces whose recorded content they are "
        "given, off for none of it. All the rest, cost and tokens too, they are always given.",
    )
    callbacks: tuple[str, ...] = _setting(
        "LITESPAN_CALLBACKS",
        (),
        _names,
        "module.instance, …",
        "Handlers that are told the stages of every call: importable names of instances, looked "
        "up when the first call starts.",
    )

    excluded: tuple[str, ...] = _setting(
        "OTEL_PYTHON_EXCLUDED_URLS",
        ("^/health", "^/metrics", "^/ui", "^/_next", "^/litellm-asset-prefix", "^/favicon"),
        _patterns,
        "regular expressions",
        "Paths of LiteLLM's proxy whose requests get no server span. The LLM calls that they may "
        "lead to are recorded all the same.",
    )
    headers: tuple[str, ...] = _setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        (),
        _lower_names,
        "names",
        "Headers of requests to LiteLLM's proxy to record, on the server span and on the calls' "
        "spans. Those that carry credentials are never recorded.",
    )
    body: tuple[str, ...] = _setting(
        "LITESPAN_PROXY_BODY",
        (),
        _names,
        "names",
        "Top-level fields of the JSON that clients send to LiteLLM's proxy, to be recorded on "
        "the calls' spans where they hold text, numbers or booleans.",
    )

    clients_may: tuple[str, ...] = _setting(
        "LITESPAN_CLIENTS_MAY",
        (),
        _wishes,
        ", ".join(WISHES),
        "What clients of LiteLLM's proxy may decide about the record of their requests: `mute` "
        "exporters, switch `content` off, leave requests out by their own `sampling` flag in "
        "`traceparent`, say who they are in `baggage`. By default nothing.",
    )
    team_hosts: tuple[str, ...] = _setting(
        "LITESPAN_TEAM_HOSTS",
        (),
        _hosts,
        "host or host:port, …",
        "Hosts that exporters of teams and keys may use although they are not public or have no "
        "TLS, such as langfuse:3000. Without a port, the scheme's own one.",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read every variable of `env` (default `os.environ`).

        A value that is not understood is named in one warning and its default is used.
        """
        source = os.environ if env is None else env
        values: dict[str, Any] = {}
        for row in fields(cls):
            name = row.metadata["env"]
            text = source.get(name, "").strip()
            if not text:
                continue
            try:
                values[row.name] = row.metadata["parse"](text)
            except BadSetting as error:
                default = None if row.default is MISSING else row.default
                log_once(
                    f"setting:{name}:{text}",
                    "%s=%r is %s: using the default, %s",
                    name,
                    text,
                    error,
                    default if default not in ("", ()) else "nothing",
                )
        return cls(**values)
