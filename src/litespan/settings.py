"""Settings that are read from environment variables.

Each field of `Settings` is one variable. Its metadata contains the variable's name, its valid
values and its description. `docs/settings.md` is generated from this table.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from litespan.errors import log_once
from litespan.generations import BY_OPT_IN, OPT_IN, V1_41, Generation

STREAM_EVENTS: Final = ("first", "all", "off")
STAGE_SIGNALS: Final = ("span", "log", "both")
CLIENT_OPTIONS: Final = ("mute", "content", "sampling", "baggage")
CONTENT_MODES: Final = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")


class BadSetting(ValueError):
    """An invalid value of a setting; the message lists the valid ones."""


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


def _client_options(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    if not set(names) <= set(CLIENT_OPTIONS):
        raise BadSetting(f"not a list of {', '.join(CLIENT_OPTIONS)}")
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


def _generation(text: str) -> Generation:
    """The generation that the list selects; entries of other areas, such as `http`, are ignored."""
    names = _names(text.lower())
    for name in names:
        if name not in BY_OPT_IN and re.match(r"gen[-_.]?ai", name):
            raise BadSetting(f"not a list of {', '.join(BY_OPT_IN)} and names of other areas")
    return next((found for name, found in BY_OPT_IN.items() if name in names), V1_41)


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
    """All settings of the core. Read once, at `instrument()`."""

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
        "The maximum length of a content attribute. Longer content is shortened and remains valid "
        "JSON.",
    )
    redact: str = _setting(
        "LITESPAN_REDACT",
        "",
        _text,
        "module:function",
        "A function `redact(key, value, attributes)`. It receives each content attribute before "
        "it is recorded, and each error text as an input message. It returns the value to record, "
        "or None to record nothing.",
    )
    offload: str = _setting(
        "LITESPAN_OFFLOAD",
        "",
        _text,
        "URL or path",
        "Where to store large content: a folder, s3://…, gs://… or any other fsspec URL. "
        "Exporters receive its URL, hash and size instead.",
    )
    offload_above: int = _setting(
        "LITESPAN_OFFLOAD_ABOVE",
        8192,
        _size,
        "bytes",
        "Content attributes larger than this are offloaded.",
    )
    suppress_nested: bool = _setting(
        "LITESPAN_SUPPRESS_NESTED",
        True,
        _flag,
        "true, false",
        "Whether to suppress duplicate spans: those of instrumented provider SDKs below LiteLLM, "
        "and litespan's own below a framework that reports the same call.",
    )
    baggage: tuple[str, ...] = _setting(
        "LITESPAN_BAGGAGE",
        (),
        _names,
        "names",
        "Baggage entries to record: `user.id`, `session.id`, or any other name, which becomes "
        "metadata. litespan never writes baggage.",
    )

    generation: Generation = _setting(  # noqa: RUF009 - as the others: an immutable value
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        V1_41,
        _generation,
        f"{OPT_IN}, {OPT_IN}/dup",
        "Which names of the GenAI conventions are written: those of the release v0.1.0, or with "
        "`/dup` both these and the default ones of 1.41. A list; entries of other areas are "
        "ignored.",
    )

    stream_events: str = _setting(
        "LITESPAN_STREAM_EVENTS",
        "first",
        _choice(*STREAM_EVENTS),
        ", ".join(STREAM_EVENTS),
        "Which chunks of a stream become `litellm.stream_chunk` events. They use at most half of "
        "the span's event limit, so that they never displace other events; "
        "`litellm.stream.chunks_left_out` counts the rest.",
    )
    stage_signal: str = _setting(
        "LITESPAN_STAGE_SIGNAL",
        "span",
        _choice(*STAGE_SIGNALS),
        ", ".join(STAGE_SIGNALS),
        "Whether the stages of a call are recorded as span events, log events, or both.",
    )

    input: tuple[str, ...] = _setting(
        "LITESPAN_INPUT",
        (),
        _names,
        "exporters",
        "Exporters that receive a call before its request is sent, so that calls which hang or "
        "crash the process are recorded. The exporter must support updates, as sqlite does.",
    )
    success: tuple[str, ...] = _setting(
        "LITESPAN_SUCCESS",
        (),
        _names,
        "exporters",
        "Exporters that receive calls that succeeded. Exporters in OTEL_TRACES_EXPORTER receive "
        "all spans.",
    )
    failure: tuple[str, ...] = _setting(
        "LITESPAN_FAILURE",
        (),
        _names,
        "exporters",
        "Exporters that receive calls that failed or were cancelled.",
    )
    adopt: bool = _setting(
        "LITESPAN_ADOPT",
        False,
        _flag,
        "true, false",
        "Whether litespan takes over the entries of LiteLLM's callback lists that it supports.",
    )
    exporter_content: tuple[tuple[str, float], ...] = _setting(
        "LITESPAN_EXPORTER_CONTENT",
        (),
        _shares,
        "exporter=off, exporter=0.1, …",
        "For exporters in these three lists: the fraction of traces whose recorded content they "
        "receive; `off` means none. Everything else, including cost and tokens, is always sent.",
    )
    callbacks: tuple[str, ...] = _setting(
        "LITESPAN_CALLBACKS",
        (),
        _names,
        "module.instance, …",
        "Handlers that receive the stages of every call, as importable names of instances. They "
        "are imported when the first call starts.",
    )

    excluded: tuple[str, ...] = _setting(
        "OTEL_PYTHON_EXCLUDED_URLS",
        ("^/health", "^/metrics", "^/ui", "^/_next", "^/litellm-asset-prefix", "^/favicon"),
        _patterns,
        "regular expressions",
        "Paths of LiteLLM's proxy that get no server span. LLM calls made by such requests are "
        "still recorded.",
    )
    headers: tuple[str, ...] = _setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        (),
        _lower_names,
        "names",
        "Request headers of LiteLLM's proxy to record on the server span and on the spans of its "
        "calls. Headers with credentials are never recorded.",
    )
    body: tuple[str, ...] = _setting(
        "LITESPAN_PROXY_BODY",
        (),
        _names,
        "names",
        "Top-level fields of request bodies of LiteLLM's proxy to record on the spans of its "
        "calls, if they are strings, numbers or booleans.",
    )

    clients_may: tuple[str, ...] = _setting(
        "LITESPAN_CLIENTS_MAY",
        (),
        _client_options,
        ", ".join(CLIENT_OPTIONS),
        "What clients of LiteLLM's proxy may control for their requests: `mute` exporters, turn "
        "`content` off, disable recording through the `sampling` flag of `traceparent`, set the "
        "user and session in `baggage`. Default: nothing.",
    )
    team_hosts: tuple[str, ...] = _setting(
        "LITESPAN_TEAM_HOSTS",
        (),
        _hosts,
        "host or host:port, …",
        "Hosts that exporters of teams and keys may use even if they are private or without TLS, "
        "such as langfuse:3000. Without a port, the default port of the scheme.",
    )

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        given: Mapping[str, Any] = MappingProxyType({}),
    ) -> "Settings":
        """Read the settings from `env`, by default `os.environ`.

        An invalid value is reported in one warning, and the default is used.

        Args:
            env: the variables.
            given: values by the name of their field, which have precedence.
        """
        source = os.environ if env is None else env
        values: dict[str, Any] = {}
        for row in fields(cls):
            name = row.metadata["env"]
            text = source.get(name, "").strip()
            if given.get(row.name) is not None:
                _report_both(row.name, name, given[row.name], text)
                name, text = f"litespan.{row.name}", _as_text(given[row.name])
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


def _as_text(value: Any) -> str:
    """Return a value of a configuration file or argument as a variable would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        shares = {True: "on", False: "off"}
        return ",".join(
            f"{name}={shares.get(share, share) if isinstance(share, bool) else share}"
            for name, share in value.items()
        )
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).strip()


def _report_both(name: str, variable: str, value: Any, text: str) -> None:
    if text and text != _as_text(value):
        log_once(
            f"both:{name}",
            "litespan.%s=%s is used, and %s=%s is ignored: remove one of them",
            name,
            _as_text(value),
            variable,
            text,
        )
