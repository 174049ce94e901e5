"""Settings that are read from environment variables.

Each field of `Settings` is one variable. Its metadata contains the variable's name, its valid
values and its description. `docs/settings.md` is generated from this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litespan import parsers
from litespan.parsers import variable

STREAM_EVENTS: Final = ("first", "all", "off")
STAGE_SIGNALS: Final = ("span", "log", "both")
CLIENT_OPTIONS: Final = ("mute", "content", "sampling", "baggage")
CONTENT_MODES: Final = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")


def _setting(
    env: str, default: Any, parse: Callable[[str], Any], values: str, about: str
) -> Any:  # the type of the field it describes
    return variable(env, default, parse, about, values=values)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the core. Read once, at `instrument()`."""

    content: str = _setting(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "NO_CONTENT",
        parsers.choice(*CONTENT_MODES),
        ", ".join(CONTENT_MODES),
        "Whether messages, instructions, tool definitions and outputs are recorded: not at "
        "all, on the span, on a log event, or on both.",
    )
    content_limit: int = _setting(
        "LITESPAN_CONTENT_LIMIT",
        65536,
        parsers.size,
        "characters",
        "The maximum length of a content attribute. Longer content is shortened and remains valid "
        "JSON.",
    )
    redact: str = _setting(
        "LITESPAN_REDACT",
        "",
        str,
        "module:function",
        "A function `redact(key, value, attributes)`. It receives each content attribute before "
        "it is recorded, and each error text as an input message. It returns the value to record, "
        "or None to record nothing.",
    )
    offload: str = _setting(
        "LITESPAN_OFFLOAD",
        "",
        str,
        "URL or path",
        "Where to store large content: a folder, s3://…, gs://… or any other fsspec URL. "
        "Exporters receive its URL, hash and size instead.",
    )
    offload_above: int = _setting(
        "LITESPAN_OFFLOAD_ABOVE",
        8192,
        parsers.size,
        "bytes",
        "Content attributes larger than this are offloaded.",
    )
    suppress_nested: bool = _setting(
        "LITESPAN_SUPPRESS_NESTED",
        True,
        parsers.flag,
        "true, false",
        "Whether to suppress duplicate spans: those of instrumented provider SDKs below LiteLLM, "
        "and litespan's own below a framework that reports the same call.",
    )
    baggage: tuple[str, ...] = _setting(
        "LITESPAN_BAGGAGE",
        (),
        parsers.names,
        "names",
        "Baggage entries to record: `user.id`, `session.id`, or any other name, which becomes "
        "metadata. litespan never writes baggage.",
    )

    stream_events: str = _setting(
        "LITESPAN_STREAM_EVENTS",
        "first",
        parsers.choice(*STREAM_EVENTS),
        ", ".join(STREAM_EVENTS),
        "Which chunks of a stream become `litellm.stream_chunk` events. They use at most half of "
        "the span's event limit, so that they never displace other events; "
        "`litellm.stream.chunks_left_out` counts the rest.",
    )
    stage_signal: str = _setting(
        "LITESPAN_STAGE_SIGNAL",
        "span",
        parsers.choice(*STAGE_SIGNALS),
        ", ".join(STAGE_SIGNALS),
        "Whether the stages of a call are recorded as span events, log events, or both.",
    )

    input: tuple[str, ...] = _setting(
        "LITESPAN_INPUT",
        (),
        parsers.names,
        "exporters",
        "Exporters that receive a call before its request is sent, so that calls which hang or "
        "crash the process are recorded. The exporter must support updates, as sqlite does.",
    )
    success: tuple[str, ...] = _setting(
        "LITESPAN_SUCCESS",
        (),
        parsers.names,
        "exporters",
        "Exporters that receive calls that succeeded. Exporters in OTEL_TRACES_EXPORTER receive "
        "all spans.",
    )
    failure: tuple[str, ...] = _setting(
        "LITESPAN_FAILURE",
        (),
        parsers.names,
        "exporters",
        "Exporters that receive calls that failed or were cancelled.",
    )
    adopt: bool = _setting(
        "LITESPAN_ADOPT",
        False,
        parsers.flag,
        "true, false",
        "Whether litespan takes over the entries of LiteLLM's callback lists that it supports.",
    )
    exporter_content: tuple[tuple[str, float], ...] = _setting(
        "LITESPAN_EXPORTER_CONTENT",
        (),
        parsers.shares,
        "exporter=off, exporter=0.1, …",
        "For exporters in these three lists: the fraction of traces whose recorded content they "
        "receive; `off` means none. Everything else, including cost and tokens, is always sent.",
    )
    callbacks: tuple[str, ...] = _setting(
        "LITESPAN_CALLBACKS",
        (),
        parsers.names,
        "module.instance, …",
        "Handlers that receive the stages of every call, as importable names of instances. They "
        "are imported when the first call starts.",
    )

    excluded: tuple[str, ...] = _setting(
        "OTEL_PYTHON_EXCLUDED_URLS",
        ("^/health", "^/metrics", "^/ui", "^/_next", "^/litellm-asset-prefix", "^/favicon"),
        parsers.patterns,
        "regular expressions",
        "Paths of LiteLLM's proxy that get no server span. LLM calls made by such requests are "
        "still recorded.",
    )
    headers: tuple[str, ...] = _setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        (),
        parsers.lower_names,
        "names",
        "Request headers of LiteLLM's proxy to record on the server span and on the spans of its "
        "calls. Headers with credentials are never recorded.",
    )
    body: tuple[str, ...] = _setting(
        "LITESPAN_PROXY_BODY",
        (),
        parsers.names,
        "names",
        "Top-level fields of request bodies of LiteLLM's proxy to record on the spans of its "
        "calls, if they are strings, numbers or booleans.",
    )

    proxy_services: bool = _setting(
        "LITESPAN_PROXY_SERVICES",
        False,
        parsers.flag,
        "true, false",
        "Whether server spans of LiteLLM's proxy have an event for each wait for authentication, "
        "database, cache or router, with its duration.",
    )

    clients_may: tuple[str, ...] = _setting(
        "LITESPAN_CLIENTS_MAY",
        (),
        parsers.choices(*CLIENT_OPTIONS),
        ", ".join(CLIENT_OPTIONS),
        "What clients of LiteLLM's proxy may control for their requests: `mute` exporters, turn "
        "`content` off, disable recording through the `sampling` flag of `traceparent`, set the "
        "user and session in `baggage`. Default: nothing.",
    )
    team_hosts: tuple[str, ...] = _setting(
        "LITESPAN_TEAM_HOSTS",
        (),
        parsers.hosts,
        "host or host:port, …",
        "Hosts that exporters of teams and keys may use even if they are private or without TLS, "
        "such as langfuse:3000. Without a port, the default port of the scheme.",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `env`, by default `os.environ`.

        An invalid value is reported in one warning, and the default is used.
        """
        return parsers.from_env(cls, env)
