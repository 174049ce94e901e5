"""Settings that are read from environment variables.

Each field of `Settings` is one variable. Its metadata contains the variable's name, its valid
values and its description. `docs/settings.md` is generated from this table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from litespan import parsers
from litespan.generations import BY_OPT_IN, OPT_IN, V1_41, Generation
from litespan.parsers import variable

CLIENT_OPTIONS: Final = ("mute", "content", "sampling", "baggage")
CONTENT_MODES: Final = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")
CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
RUN: Final = "LITESPAN_RUN"
"""Set by `litespan run` for the program that it starts: see `litespan.running`."""


def _content(text: str) -> str:
    """A mode; `true` and `false` are the values of earlier conventions."""
    earlier = {"true": "SPAN_ONLY", "1": "SPAN_ONLY", "false": "NO_CONTENT", "0": "NO_CONTENT"}
    return parsers.choice(*CONTENT_MODES)(earlier.get(text.lower(), text))


def _generation(text: str) -> Generation:
    """The generation that the list selects; entries of other areas, such as `http`, are ignored."""
    names = parsers.lower_names(text)
    for name in names:
        if name not in BY_OPT_IN and re.match(r"gen[-_.]?ai", name):
            known = ", ".join(BY_OPT_IN)
            raise parsers.BadSetting(f"not a list of {known} and names of other areas")
    return next((found for name, found in BY_OPT_IN.items() if name in names), V1_41)


def _flag(env: str, default: bool, about: str) -> Any:
    return variable(env, default, parsers.flag, about, values="true, false")


def _choice(env: str, options: tuple[str, ...], about: str) -> Any:
    """One of `options`; by default the first."""
    return variable(env, options[0], parsers.choice(*options), about, values=", ".join(options))


def _text(env: str, values: str, about: str) -> Any:
    return variable(env, "", str, about, values=values)


def _list(env: str, values: str, about: str, parse: Callable[[str], Any] = parsers.names) -> Any:
    return variable(env, (), parse, about, values=values)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the core. Read once, at `instrument()`."""

    content: str = variable(
        CONTENT,
        "NO_CONTENT",
        _content,
        "Whether messages, instructions, tool definitions and outputs are recorded: not at "
        "all, on the span, on a log event, or on both. `true` means SPAN_ONLY.",
        values=", ".join(CONTENT_MODES),
    )
    content_limit: int = variable(
        "LITESPAN_CONTENT_LIMIT",
        65536,
        parsers.size,
        "The maximum length of a content attribute. Longer content is shortened and remains valid "
        "JSON.",
        values="characters",
    )
    redact: str = _text(
        "LITESPAN_REDACT",
        "module:function",
        "A function `redact(key, value, attributes)`. It receives each content attribute before "
        "it is recorded, and each error text as an input message. It returns the value to record, "
        "or None to record nothing.",
    )
    offload: str = _text(
        "LITESPAN_OFFLOAD",
        "URL or path",
        "Where to store large content: a folder, s3://…, gs://… or any other fsspec URL. "
        "Exporters receive its URL, hash and size instead.",
    )
    offload_above: int = variable(
        "LITESPAN_OFFLOAD_ABOVE",
        8192,
        parsers.size,
        "Content attributes larger than this are offloaded.",
        values="bytes",
    )
    spool: str = _text(
        "LITESPAN_SPOOL",
        "folder",
        "Keep finished calls in this folder until each exporter and handler has received them, so "
        "that a killed process or a long outage loses none. Default: they are kept in memory.",
    )
    spool_sync: str = _choice(
        "LITESPAN_SPOOL_SYNC",
        ("normal", "full"),
        "With `normal`, written calls survive if the process is killed. With `full`, they also "
        "survive a power failure, because each write waits for the disk.",
    )
    spool_max_bytes: int = variable(
        "LITESPAN_SPOOL_MAX_BYTES",
        1_000_000_000,
        parsers.size,
        "The maximum size of the calls in the spool, for each process. Beyond it, the oldest calls "
        "lose their content; if that is not enough, the oldest calls are dropped.",
        values="bytes",
    )
    spool_max_age: float = variable(
        "LITESPAN_SPOOL_MAX_AGE",
        604_800.0,
        parsers.amount,
        "Calls that are older are dropped when their destination fails again, or if their handler "
        "is not registered.",
        values="seconds",
    )
    suppress_nested: bool = _flag(
        "LITESPAN_SUPPRESS_NESTED",
        True,
        "Whether to suppress duplicate spans: those of instrumented provider SDKs below LiteLLM, "
        "and litespan's own below a framework that reports the same call.",
    )
    baggage: tuple[str, ...] = _list(
        "LITESPAN_BAGGAGE",
        "names",
        "Baggage entries to record: `user.id`, `session.id`, or any other name, which becomes "
        "metadata. litespan never writes baggage.",
    )

    generation: Generation = variable(  # noqa: RUF009 - as the others: an immutable value
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        V1_41,
        _generation,
        "Which names of the GenAI conventions are written: those of the release v0.1.0, or with "
        "`/dup` both these and the default ones of 1.41. A list; entries of other areas are "
        "ignored.",
        values=f"{OPT_IN}, {OPT_IN}/dup",
    )

    stream_events: str = _choice(
        "LITESPAN_STREAM_EVENTS",
        ("first", "all", "off"),
        "Which chunks of a stream become `litellm.stream_chunk` events. They use at most half of "
        "the span's event limit, so that they never displace other events; "
        "`litellm.stream.chunks_left_out` counts the rest.",
    )
    stage_signal: str = _choice(
        "LITESPAN_STAGE_SIGNAL",
        ("span", "log", "both"),
        "Whether the stages of a call are recorded as span events, log events, or both.",
    )

    input: tuple[str, ...] = _list(
        "LITESPAN_INPUT",
        "exporters",
        "Exporters that receive a call before its request is sent, so that calls which hang or "
        "crash the process are recorded. The exporter must support updates, as sqlite does.",
    )
    success: tuple[str, ...] = _list(
        "LITESPAN_SUCCESS",
        "exporters",
        "Exporters that receive calls that succeeded. Exporters in OTEL_TRACES_EXPORTER receive "
        "all spans.",
    )
    failure: tuple[str, ...] = _list(
        "LITESPAN_FAILURE",
        "exporters",
        "Exporters that receive calls that failed or were cancelled.",
    )
    adopt: bool = _flag(
        "LITESPAN_ADOPT",
        False,
        "Whether litespan takes over the entries of LiteLLM's callback lists that it supports.",
    )
    exporter_content: tuple[tuple[str, float], ...] = _list(
        "LITESPAN_EXPORTER_CONTENT",
        "exporter=off, exporter=0.1, …",
        "For exporters in LITESPAN_INPUT, LITESPAN_SUCCESS and LITESPAN_FAILURE: the fraction of "
        "traces whose recorded content they receive; `off` means none. Everything else, including "
        "cost and tokens, is always sent.",
        parsers.shares,
    )
    callbacks: tuple[str, ...] = _list(
        "LITESPAN_CALLBACKS",
        "module.instance, …",
        "Handlers that receive the stages of every call, as importable names of instances. They "
        "are imported when the first call starts.",
    )

    excluded: tuple[str, ...] = variable(
        "OTEL_PYTHON_EXCLUDED_URLS",
        ("^/health", "^/metrics", "^/ui", "^/_next", "^/litellm-asset-prefix", "^/favicon"),
        parsers.patterns,
        "Paths of LiteLLM's proxy that get no server span. LLM calls made by such requests are "
        "still recorded.",
        values="regular expressions",
    )
    headers: tuple[str, ...] = _list(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        "names",
        "Request headers of LiteLLM's proxy to record on the server span and on the spans of its "
        "calls. Headers with credentials are never recorded.",
        parsers.lower_names,
    )
    body: tuple[str, ...] = _list(
        "LITESPAN_PROXY_BODY",
        "names",
        "Top-level fields of request bodies of LiteLLM's proxy to record on the spans of its "
        "calls, if they are strings, numbers or booleans.",
    )

    proxy_services: bool = _flag(
        "LITESPAN_PROXY_SERVICES",
        False,
        "Whether server spans of LiteLLM's proxy have an event for each wait for authentication, "
        "database, cache or router, with its duration.",
    )

    clients_may: tuple[str, ...] = _list(
        "LITESPAN_CLIENTS_MAY",
        ", ".join(CLIENT_OPTIONS),
        "What clients of LiteLLM's proxy may control for their requests: `mute` exporters, turn "
        "`content` off, disable recording through the `sampling` flag of `traceparent`, set the "
        "user and session in `baggage`. Default: nothing.",
        parsers.choices(*CLIENT_OPTIONS),
    )
    team_hosts: tuple[str, ...] = _list(
        "LITESPAN_TEAM_HOSTS",
        "host or host:port, …",
        "Hosts that exporters of teams and keys may use even if they are private or without TLS, "
        "such as langfuse:3000. Without a port, the default port of the scheme.",
        parsers.hosts,
    )

    @classmethod
    def from_env(
        cls, env: Mapping[str, str] | None = None, given: Mapping[str, Any] = MappingProxyType({})
    ) -> "Settings":
        """Read the settings as `parsers.from_env` does."""
        return parsers.from_env(cls, env, given)
