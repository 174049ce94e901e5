"""Base class of stores that append lines to a file: JSONL and CSV."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from litespan.stores.append_file import AppendFile, Rotation
from litespan.stores.buffer import Row
from litespan.stores.exporter import StoreExporter
from litespan.stores.store import Store


class LinesExporter(StoreExporter):
    """Appends one line for each call to a file.

    Args:
        path: The file; default the store's variable, else `litespan` with the store's suffix in
            the working directory. Its folder must exist.
        rotate: When to start a new file: a list of a size (`64MB`), `hour` or `day`, and `gzip`
            to compress the old one; default the variable with the suffix `_ROTATE`, else never.
            Rotated files are never deleted.
        content: False excludes messages, instructions and tools.
        limits: see `StoreExporter`.
    """

    variable: ClassVar[str]
    header: ClassVar[bytes] = b""
    """First line of every file."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        rotate: str | None = None,
        content: bool = True,
        **limits: Any,
    ) -> None:
        super().__init__(content=content, **limits)
        self.path: Final = self.file(path, self.variable, f"litespan.{self.name}")
        variable = f"{self.variable}_ROTATE"
        try:
            self.rotation = Rotation.parse(self.setting(rotate, variable))
        except ValueError as error:
            self.disable(f"{variable}: {error}", "fix it or unset it")
            return
        self.turn_on(self.path.as_uri())

    @staticmethod
    @abstractmethod
    def lines(rows: Sequence[Row]) -> list[bytes]:
        """Each row as a line, including the line end."""

    def connect(self) -> Store:
        """The file, not opened yet."""
        return AppendFile(self.path, self.rotation, self.lines, self.header)
