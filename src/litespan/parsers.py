"""Dataclasses whose fields are read from environment variables, and parsers of their values."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from datetime import time
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from litespan.errors import log_once

T = TypeVar("T")
Names = tuple[str, ...]
_FRACTIONS: Final = {"True": "on", "False": "off"}
_FLAGS: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


class BadSetting(ValueError):
    """An invalid value of a variable; the message says what is valid."""


def variable(env: str, default: Any, parse: Callable[[str], Any], about: str, **more: str) -> Any:
    """A field that is read from the variable `env`.

    Args:
        env: the variable's name.
        default: the value if the variable is not set or invalid.
        parse: converts the variable's text, or raises `BadSetting`.
        about: description, for the documentation.
        more: further columns of the documentation.
    """
    return field(default=default, metadata={"env": env, "parse": parse, "about": about, **more})


def from_env(
    cls: type[T], env: Mapping[str, str] | None, given: Mapping[str, Any] = MappingProxyType({})
) -> T:
    """Create `cls` from the variables in `env`, by default `os.environ`.

    Values in `given`, by the name of their field, have precedence. An invalid value is reported in
    one warning, and the default is used.
    """
    found, lines = read(cls, os.environ if env is None else env, given)
    for line in lines:
        log_once(f"setting:{line}", "%s", line)
    return found


def read(
    cls: type[T], env: Mapping[str, str], given: Mapping[str, Any] = MappingProxyType({})
) -> tuple[T, list[str]]:
    """Return what `from_env` returns, and one message for each invalid value."""
    values: dict[str, Any] = {}
    lines = []
    rows: Any = fields(cls)  # type: ignore[arg-type]
    for row in rows:
        name = row.metadata["env"]
        text = env.get(name, "").strip()
        if (value := given.get(row.name)) is not None:
            chosen = as_text(value)
            if text not in ("", chosen):
                log_once(
                    f"both:{row.name}",
                    "litespan.%s=%s is used, and %s=%s is ignored: remove one of them",
                    *(row.name, chosen, name, text),
                )
            name, text = f"litespan.{row.name}", chosen
        if not text:
            continue
        try:
            values[row.name] = row.metadata["parse"](text)
        except BadSetting as error:
            shown = {None: "off", "": "nothing", (): "nothing"}.get(row.default, row.default)
            lines.append(f"{name}={text!r} is {error}: using the default, {shown}")
    return cls(**values), lines


def as_text(value: Any) -> str:
    """A value of a configuration file or of an argument, as a variable would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{name}={_FRACTIONS.get(str(of), of)}" for name, of in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).strip()


def choice(*values: str) -> Callable[[str], str]:
    """A parser of one of `values`, in any case."""
    known = {value.lower(): value for value in values}

    def parse(text: str) -> str:
        try:
            return known[text.lower()]
        except KeyError:
            raise BadSetting(f"not one of {', '.join(values)}") from None

    return parse


def choices(*values: str) -> Callable[[str], Names]:
    """A parser of a list of some of `values`, in any case."""

    def parse(text: str) -> Names:
        found = names(text.lower())
        if not set(found) <= set(values):
            raise BadSetting(f"not a list of {', '.join(values)}")
        return found

    return parse


def flag(text: str) -> bool:
    """A Boolean."""
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise BadSetting("not one of true, false") from None


def size(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch("0*[1-9][0-9]{0,17}", text):  # fits into 64 bits
        raise BadSetting("not a whole number above 0")
    return int(text)


def amount(text: str) -> float:
    """A number above 0."""
    if (value := number(text)) <= 0:
        raise BadSetting("not a number above 0")
    return value


def amount_or_off(text: str) -> float | None:
    """A number above 0, or None for `off`."""
    if text.lower() in ("off", "none", "false"):
        return None
    if (value := number(text)) <= 0:
        raise BadSetting("not a number above 0, or off")
    return value


def seconds(text: str) -> float:
    """A number of seconds, 0 or more."""
    if (value := number(text)) < 0:
        raise BadSetting("not a number of seconds, 0 or more")
    return value


def time_or_off(text: str) -> time | None:
    """A time of day in UTC, or None for `off`."""
    if text.lower() in ("off", "none", "false"):
        return None
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise BadSetting("not a time such as 09:00, or off")
    return time.fromisoformat(text)


def number(text: str) -> float:
    """The number; -1 if it is none, or not finite."""
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if math.isfinite(value) else -1.0


def names(text: str) -> Names:
    """A comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def lower_names(text: str) -> Names:
    """A comma-separated list, in lower case."""
    return names(text.lower())


def hosts(text: str) -> Names:
    """A list of hosts, with or without port."""
    found = lower_names(text)
    for name in found:
        try:
            parts = urlsplit(f"//{name}")
            bare = parts.netloc == name and parts.hostname and "*" not in name and "@" not in name
            _ = parts.port
        except ValueError:
            bare = False
        if not bare:
            raise BadSetting(f"not a list of hosts as host or host:port, in {name!r}")
    return found


def patterns(text: str) -> Names:
    """A list of regular expressions."""
    found = names(text)
    for name in found:
        try:
            re.compile(name)
        except re.error as error:
            raise BadSetting(f"not a regular expression, in {name!r}: {error}") from None
    return found


def shares(text: str) -> tuple[tuple[str, float], ...]:
    """A list of names with a fraction each."""
    found = []
    for part in names(text):
        name, _, given = part.partition("=")
        share = {"off": 0.0, "on": 1.0}.get(given.strip().lower(), number(given))
        if not 0.0 <= share <= 1.0:
            raise BadSetting("not a list of exporter=off, exporter=on or exporter=share")
        found.append((name.strip(), share))
    return tuple(found)


def trace_link(text: str) -> tuple[str, str]:
    """`[NAME=]URL`: the name, by default the host, and a URL with `{trace_id}` in it."""
    name, is_named, url = text.partition("=")
    if not is_named or "://" in name or "/" in name:
        name, url = "", text
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise BadSetting("not a URL with http or https")
    if "{trace_id}" not in url:
        raise BadSetting("a URL without {trace_id}, which the trace's id replaces")
    return name or host, url


def trace_links(text: str) -> tuple[tuple[str, str], ...]:
    """Links as `trace_link` reads them, with blanks between them."""
    return tuple(map(trace_link, text.split()))


def link_to(url: str, trace_id: str, span_id: str) -> str:
    """The URL with the ids, both in hex, in the place of `{trace_id}` and `{span_id}`."""
    url = url.replace("{trace_id}", quote(trace_id, safe=""))
    return url.replace("{span_id}", quote(span_id, safe=""))
