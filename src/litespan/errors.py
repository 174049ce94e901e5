"""Suppresses, logs and counts litespan's own errors.

litespan must never raise into the application. Code that runs on the application's threads uses
`suppress_errors(...)` or `record_error(...)`: each error is counted in `litespan.stats()` and
logged once per place and exception type on the logger `litespan`.
"""

import logging
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final

from litespan.counters import count

logger: Final = logging.getLogger("litespan")
_seen: Final[set[str]] = set()


class _Unhandled(logging.Handler):
    """Prints warnings to standard error, with a prefix, if the program has set up no logging.

    Without it, Python prints the bare message, which does not say where it comes from.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record unless another handler receives it."""
        if len(logger.handlers) > 1 or (logger.propagate and logging.getLogger().handlers):
            return
        try:
            text = self.format(record)
            prefix = "" if text.startswith("litespan") else "litespan: "
            sys.stderr.write(f"{prefix}{text}\n")
        except Exception:  # noqa: BLE001 - a closed stream, as at exit
            self.handleError(record)


if not logger.handlers:
    logger.addHandler(_Unhandled(logging.WARNING))


def log_once(
    key: str,
    message: str,
    *args: object,
    level: int = logging.WARNING,
    error: BaseException | None = None,
) -> None:
    """Log `message % args` on the logger `litespan`, the first time that `key` is seen.

    Includes the traceback of `error`, if given. Suppresses errors of the program's log handlers.
    """
    if key not in _seen:
        _seen.add(key)
        with suppress(Exception):
            logger.log(level, message, *args, exc_info=error)


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean …?)`, to append to a message; empty if no known name is similar.

    `prefix` is not compared: all names have it.
    """
    import difflib  # rarely needed, and not at a start

    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def record_error(where: str, error: BaseException) -> None:
    """Count `error` as `errors.{where}`, and log its traceback once per place and type.

    The exception's message is not logged: it may contain parts of a request or response.
    """
    count(f"errors.{where}")
    kind = type(error).__name__
    key = f"{where}:{kind}"
    if key not in _seen:  # formatting is slow
        trace = "".join(traceback.format_tb(error.__traceback__)).rstrip()
        message = "%s failed: %s (logged once; the application is not affected)\n%s"
        log_once(key, message, where, kind, trace)


class suppress_errors:  # noqa: N801 - reads as a statement: `with suppress_errors("here"):`
    """Suppresses and records every `Exception` of its block."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        record_error(self._where, error)
        return True
