"""The interface of a database or file, and the errors that it raises."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from litespan.stores.buffer import Row


class Away(Exception):
    """The store is unavailable; the same rows may be written later.

    The message says why and how to fix it, without credentials. `cause` is one word for it.
    """

    def __init__(self, message: str, cause: str = "away") -> None:
        super().__init__(message)
        self.cause = cause


class Refused(Exception):
    """The store rejected a row. The message contains no data of the row."""


class Store(Protocol):
    """An open database or file. Used by one thread at a time."""

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert `rows` by key. Keys are unique; a started row must not replace a finished one.

        Raises `Away` if the store is unavailable, any other exception if it rejects the rows. Rows
        of a failed write may be written again.
        """

    def close(self) -> None:
        """Release connections and files."""


S = TypeVar("S", bound=Store)


def prepared(store: S, prepare: Callable[[S], None]) -> S:
    """Return `store` after `prepare`, which creates tables or indexes. Close it if that fails."""
    try:
        prepare(store)
    except BaseException:
        store.close()
        raise
    return store
