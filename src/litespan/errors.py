"""The one place where telemetry errors are swallowed, logged once and counted.

Nothing that litespan does may raise into the application. Code that runs on the
application's threads goes through `quiet(...)`; what fails there is logged once per
place, with the lines of code that led there, on the logger `litespan`, and counted in
`litespan.stats()`.
"""

import logging
import traceback
from types import TracebackType
from typing import Final

from litespan.counters import count

logger: Final = logging.getLogger("litespan")
_seen: Final[set[str]] = set()


def log_once(
    key: str,
    message: str,
    *args: object,
    level: int = logging.WARNING,
    error: BaseException | None = None,
) -> None:
    """Log `message % args` on the logger `litespan`, the first time that `key` is seen.

    With the traceback of `error`, if there is one.
    """
    if key not in _seen:
        _seen.add(key)
        trace = (type(error), error, error.__traceback__) if error is not None else None
        logger.log(level, message, *args, exc_info=trace)


def record_error(where: str, error: BaseException) -> None:
    """Count `error` under `where`, and log where it came from, once per place and type.

    Its own text is left out: it can hold what a request or a response said.
    """
    count(f"errors.{where}")
    key = f"{where}:{type(error).__name__}"
    if key not in _seen:
        _seen.add(key)
        logger.warning(
            "%s failed: %s (logged once; the application is not affected)\n%s",
            where,
            type(error).__name__,
            "".join(traceback.format_tb(error.__traceback__)).rstrip(),
        )


class suppress_errors:  # noqa: N801 - reads as a statement: `with suppress_errors("here"):`
    """`with suppress_errors("exporting"): …` swallows every `Exception` of its body."""

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
