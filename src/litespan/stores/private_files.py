"""Creates files and folders that only their owner can read, because calls contain private data.

Existing files keep their mode. Windows has no such modes.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

FILE, FOLDER = 0o600, 0o700


def write(path: Path) -> BinaryIO:
    """Open a file for writing and truncate it. Raises OSError."""
    return open(path, "wb", opener=_open)


def make_file(path: str | os.PathLike[str]) -> None:
    """Create an empty file if there is none.

    Ignores errors: opening the file then reports them.
    """
    with suppress(OSError):
        os.close(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents. Raises OSError."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(FOLDER, exist_ok=True)


def _open(path: Any, flags: int) -> int:
    return os.open(path, flags, FILE)
