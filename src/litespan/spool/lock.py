"""Locks of spool files: the operating system releases them when a process ends, in any way."""

import os
import sys
from pathlib import Path

from litespan.stores import private_files

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock_path(path: Path) -> Path:
    """The lock file of a spool file."""
    return path.with_suffix(".lock")


def lock_file(path: Path) -> int | None:
    """Lock the file of `path`. Returns the open lock file; None if it is locked already."""
    lock = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, private_files.FILE)
    try:
        if sys.platform == "win32":
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def is_in_use(path: Path) -> bool:
    """Whether a process has the file. Raises OSError."""
    if not lock_path(path).exists():
        return False
    lock = lock_file(path)
    if lock is not None:
        os.close(lock)
    return lock is None
