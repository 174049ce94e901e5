"""A rotated text file to which several processes append whole lines.

A writer locks the file (`flock`) and then checks that the file still has its name, so rotation,
`logrotate` or `rm` lose no lines.
"""

import errno
import gzip
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from litespan.errors import suppress_errors
from litespan.stores import private_files
from litespan.stores.buffer import Row
from litespan.stores.store import Away

if sys.platform != "win32":  # on Windows only one process may write a file
    import fcntl


_SIZE: Final = re.compile(r"(\d+)\s*([KMGT]?)I?B?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PERIODS: Final = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d"}
_HINTS: Final = {
    errno.ENOENT: "its folder must exist",
    errno.ENOTDIR: "its folder must exist",
    errno.EEXIST: "a file has the name of its folder",
    errno.EACCES: "make the file and its folder writable",
    errno.EROFS: "choose a file on a writable disk",
    errno.EISDIR: "choose a file, not a folder",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of the disk quota",
    errno.EFBIG: "rotate the file at a smaller size",
}


def away(path: Path, error: OSError) -> Away:
    """The error for a file that cannot be written: why, and how to fix it."""
    number = error.errno or 0
    reason = os.strerror(number) if number else type(error).__name__
    hint = _HINTS.get(number, "check the disk")
    return Away(f"cannot write {path}: {reason} ({hint})", errno.errorcode.get(number, "OSError"))


@dataclass(frozen=True, slots=True)
class Rotation:
    """When to rename a file, with the time in its name, and start a new one."""

    size: int = 0  # bytes; 0: no limit
    period: str = ""  # a `strftime` format: rotate when the formatted time (UTC) changes
    gzip: bool = False  # compress rotated files

    @classmethod
    def parse(cls, text: str) -> "Rotation":
        """Read a list such as `64MB,day,gzip`.

        Raises:
            ValueError: a word is invalid; the message contains it.
        """
        size, period, compress = 0, "", False
        for word in filter(None, (part.strip() for part in text.split(","))):
            if found := _SIZE.fullmatch(word):
                size = int(found[1]) * _UNITS[found[2].upper()]
            elif word.lower() in _PERIODS:
                period = _PERIODS[word.lower()]
            elif word.lower() == "gzip":
                compress = True
            else:
                raise ValueError(f"{word!r} is not a size (64MB), hour, day or gzip")
        return cls(size, period, compress)

    def due(self, size: int, written: float, more: int) -> bool:
        """Whether to rotate a file of `size` bytes, last `written` then, before adding `more`."""
        if not size:
            return False
        if self.size and size + more > self.size:
            return True
        then, now = (datetime.fromtimestamp(written, timezone.utc), datetime.now(timezone.utc))
        return f"{then:{self.period}}" != f"{now:{self.period}}" if self.period else False


class AppendFile:
    """A file to append to.

    Args:
        path: The file; created if missing. Its folder must exist.
        rotation: When to start a new file.
        lines: Converts rows to lines.
        header: The first line of each file. A file with another first line is rotated.
    """

    def __init__(
        self,
        path: Path,
        rotation: Rotation,
        lines: Callable[[Sequence[Row]], list[bytes]],
        header: bytes = b"",
    ) -> None:
        self.path: Final = path
        self._rotation = rotation
        self._lines = lines
        self._header = header
        self._fd = -1

    def write(self, rows: Sequence[Row]) -> None:
        """Append the lines of all rows, each with one `write`, or none.

        Raises:
            Away: the file cannot be written and is unchanged.
        """
        lines = self._lines(rows)
        try:
            with self._locked():
                size = os.fstat(self._fd).st_size
                if self._must_rotate(size, sum(map(len, lines))):
                    self._rotate()
                    self.write(rows)
                else:
                    self._append(size, lines)
        except OSError as error:
            self.close()
            raise away(self.path, error) from error

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        while True:
            if self._fd < 0:
                flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
                self._fd = os.open(self.path, flags, private_files.FILE)
            fd = self._fd
            if sys.platform != "win32":
                fcntl.flock(fd, fcntl.LOCK_EX)
            if self._is_current(fd):
                break
            self.close()
        try:
            yield
        finally:
            if sys.platform != "win32" and self._fd == fd:  # closing also unlocks
                fcntl.flock(fd, fcntl.LOCK_UN)

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except FileNotFoundError:
            return False

    def _append(self, size: int, lines: Sequence[bytes]) -> None:
        try:
            if not size and self._header:
                self._write(self._header)
            elif size and self._read(1, size - 1) != b"\n":
                self._write(b"\n")  # ends an incomplete line
            for line in lines:
                self._write(line)
        except OSError:
            os.ftruncate(self._fd, size)
            raise

    def _write(self, line: bytes) -> None:
        while line:  # a partial write means a full disk; the next one raises
            line = line[os.write(self._fd, line) :]

    def _read(self, length: int, at: int) -> bytes:
        os.lseek(self._fd, at, os.SEEK_SET)  # writes still append
        return os.read(self._fd, length)

    def _must_rotate(self, size: int, more: int) -> bool:
        if size and self._header and self._read(len(self._header), 0) != self._header:
            return True
        return self._rotation.due(size, os.fstat(self._fd).st_mtime, more)

    def _rotate(self) -> None:
        """Rename the file to `name-TIME-PID.suffix`. No process writes to it after that."""
        now = datetime.now(timezone.utc)
        name = f"{self.path.stem}-{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}{self.path.suffix}"
        rotated = self.path.with_name(name)
        self.path.rename(rotated)
        self.close()
        if self._rotation.gzip:
            with suppress_errors("compressing a rotated file"):
                _compress(rotated)


def _compress(path: Path) -> None:
    packed, unfinished = path.with_name(f"{path.name}.gz"), path.with_name(f"{path.name}.gz.part")
    try:
        with (
            path.open("rb") as whole,
            private_files.write(unfinished) as file,
            gzip.GzipFile("", "wb", compresslevel=3, fileobj=file) as out,
        ):
            shutil.copymode(path, unfinished)
            shutil.copyfileobj(whole, out, 1 << 20)
        unfinished.replace(packed)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    path.unlink()
