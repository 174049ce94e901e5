"""A real PostgreSQL server on loopback, made for the tests and gone with them."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.needs import missing

PASSWORD = "pg-secret-0123456789"
USER = "litespan"


def _binaries() -> Path:
    """Where `initdb` and `pg_ctl` are: of the newest server that is installed."""
    found = shutil.which("initdb")
    if found is not None and shutil.which("pg_ctl") is not None:
        return Path(found).parent
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    if not folders:
        missing("a PostgreSQL server", "apt-get install postgresql")
    return folders[-1]


class PostgresServer:
    """One cluster. The superuser's and the database's name is `USER`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self._binaries = _binaries()
        self._as: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            user = next(u for u in ("postgres", "nobody") if _exists(u))
            self._as = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"]
            shutil.chown(folder, user)
        folder.chmod(0o755)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            *("initdb", "--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            *(f"--username={USER}", f"--pwfile={password}", "--wal-segsize=1"),
            *("-D", str(self.data)),
        )
        self.start()
        self.sql(f"create database {USER}", database="postgres")

    def dsn(self, user: str = USER, password: str = PASSWORD, database: str = USER) -> str:
        """The database's URL."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = USER) -> list[tuple]:
        """Run a statement by a connection of its own."""
        import psycopg

        with psycopg.connect(self.dsn(database=database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, on the same port as ever."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once: connections are cut."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A server whose processes do nothing: connections stay, answers do not come."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def limit_files(self, size: str) -> None:
        """No file of its may grow beyond so many bytes, or `unlimited`; for new connections."""
        command = [*self._as, "prlimit", f"--pid={self.pid}", f"--fsize={size}:"]
        subprocess.run(command, check=True)

    @property
    def pid(self) -> int:
        """The first of its processes; the others are its children."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def _run(self, binary: str, *arguments: str) -> None:
        command = [*self._as, str(self._binaries / binary), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if binary == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(
                f"{binary} failed: {done.stdout or (log.read_text() if log.exists() else '')}"
            )


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A server that runs until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="litespan-postgres-"))
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
