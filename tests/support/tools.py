"""Vendors' own programs for tests, in environments of their own: they pin what we do not."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(folder: Path, *packages: str) -> Path:
    """The Python of an environment that holds `packages`; made once, then kept."""
    python = folder / "bin" / "python"
    stamp = folder / "installed.txt"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run(
            [ROOT / "scripts/venv", folder, os.devnull, *packages],
            check=True,
            env={**os.environ, "PYTHON": sys.executable},
            stdout=subprocess.DEVNULL,
        )
        stamp.write_text(wanted)
    return python


def free_port() -> int:
    """An unused TCP port on loopback."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(port: int, *command: str | Path, cwd: Path) -> Iterator[None]:
    """`command`, from when it answers on `port` until the block ends."""
    log = cwd / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            else:
                raise AssertionError(f"nothing answers on {port}: {log.read_text()}")
            yield
        finally:
            process.terminate()
            process.wait(10)
