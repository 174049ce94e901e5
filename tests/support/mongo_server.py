"""A MongoDB that keeps its documents on disk: mongo-java-server, which is not MongoDB's own.

MongoDB's own is in no package registry. This one parses and runs the commands by itself, so that
what we send is not judged by us; `tests.support.mongo` is for faults that no server makes at will.
https://github.com/bwaldvogel/mongo-java-server
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tests.support.needs import missing
from tests.support.tools import ROOT, free_port

JARS = ROOT / "build/mongodb"
START = 60.0  # s


class JavaServer:
    """One server, that is stopped and started again on the same port with the same file."""

    def __init__(self, folder: Path) -> None:
        if not (JARS / ".done").exists():
            missing(str(JARS), "run `scripts/mongodb`, which needs a JDK and Maven")
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def uri(self) -> str:
        """How clients find it."""
        return f"mongodb://127.0.0.1:{self.port}/shop"

    def start(self) -> None:
        """Run until it takes connections."""
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command = ["java", *options, "-cp", f"{JARS}{os.pathsep}{JARS}/*", "Server"]
        log = self.folder / "log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, str(self.folder / "data"), str(self.port)], stdout=output, stderr=output
            )
        until = time.monotonic() + START
        while not self._listens():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Hang up on everybody, and write the file."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A server that does nothing: connections stay, answers do not come."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        while not self._stands():  # one of its threads may still be answering
            time.sleep(0.01)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _stands(self) -> bool:
        """Whether every thread has stopped."""
        assert self.process is not None
        states = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in states)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running() -> Iterator[JavaServer]:
    """A server that runs until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="litespan-mongodb-"))
    server = None
    try:
        server = JavaServer(folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder)


@contextmanager
def collection(uri: str, name: str) -> Iterator[Any]:
    """The collection of that name, in the URI's database or `litespan`; dropped at the end."""
    client: MongoClient[Any] = MongoClient(uri)
    found = client.get_default_database("litespan")[name]
    try:
        yield found
    finally:
        found.drop()
        client.close()
