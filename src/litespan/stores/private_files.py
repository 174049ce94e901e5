"""Files and folders that only their owner may read: calls say who did what, with what content.

What exists keeps its mode: whoever opened it to others meant to. Windows has no such modes.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

FILE, FOLDER = 0o600, 0o700


def write(path: Path) -> BinaryIO:
    """Open a file for writing; it is emptied if there is one. Raises OSError."""
    return open(path, "wb", opener=_open)


def make_file(path: str | os.PathLike[str]) -> None:
    """Make an empty file if there is none.

    Says nothing if it cannot: whoever then opens the file says why, in its own words.
    """
    with suppress(OSError):
        os.close(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where there are none. Raises OSError."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(FOLDER, exist_ok=True)


def _open(path: Any, flags: int) -> int:
    return os.open(path, flags, FILE)
