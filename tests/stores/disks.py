"""Disks that are soon full."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """A folder in which no more than a few bytes can be written."""

    folder: Path
    complaint: str  # what the operating system says when it is full
    mounted: bool

    def grow(self) -> None:
        """Make room."""
        if self.mounted:
            _mount("-o", "remount,size=100m", str(self.folder))
        else:
            _limit(resource.getrlimit(resource.RLIMIT_FSIZE)[1])


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Disk]:
    """A file system of `size` bytes on `folder`, which is made.

    Who may not mount gets a limit on what this process writes into a file.
    """
    folder.mkdir()
    if _mount("-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder)):
        try:
            yield Disk(folder, "No space left on device (free some disk space)", mounted=True)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    _limit(size)
    try:
        complaint = "File too large (rotate the file at a smaller size)"
        yield Disk(folder, complaint, mounted=False)
    finally:
        _limit(resource.getrlimit(resource.RLIMIT_FSIZE)[1])


def _mount(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True)
    return done.returncode == 0


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
