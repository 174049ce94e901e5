"""Where content is put: a folder, or a prefix of an object store, by fsspec."""

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan import semconv as s
from litespan.background import fork
from litespan.background.threads import start
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.stores import private_files

_WORKERS: Final = 8
_REMEMBERED: Final = 4096  # contents that are known to be in the store
_PAUSE: Final = 30.0  # s without a store after it failed
_PASSWORD: Final = re.compile(r"(://[^/:@]*):[^/]*@")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a content is."""

    url: str
    sha256: str  # hex
    size: int  # bytes

    def attributes(self, name: str) -> dict[str, str | int]:
        """What stands on the span in place of the attribute `name`."""
        return {
            name + s.REFERENCE: self.url,
            name + s.REFERENCE_SHA256: self.sha256,
            name + s.REFERENCE_SIZE: self.size,
        }


class Store:
    """Writes contents under a URL. Never raises, never waits beyond its time."""

    def __init__(self, url: str, timeout: float = 5.0, **options: Any) -> None:
        """Nothing is opened yet.

        Args:
            url: fsspec URL of a folder or prefix, or a path. A password in it is used, and left
                out of the references.
            timeout: seconds that one `put_all` may take.
            options: for fsspec, such as `key` and `secret` of an object store.

        Raises:
            ImportError: fsspec, or its driver of this store, is missing; the text says what to
                install.
            ValueError: fsspec knows no such kind of store.
        """
        self.url = _absolute(url).rstrip("/")
        self.timeout = timeout
        self.options = options
        _check(self.url)
        self._shown = _PASSWORD.sub(r"\1@", self.url)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._not_before = 0.0
        self._renew()
        fork.register(self, after_in_child=Store._renew)

    def _renew(self) -> None:
        """Also in a forked child: the parent's threads and connections are not the child's."""
        self._lock = threading.Lock()
        self._files: Any = None
        self._hung = 0  # threads of earlier calls that the store has not let go

    def reference(self, content: bytes) -> Reference:
        """Where this content is, or would be. Pure."""
        digest = hashlib.sha256(content).hexdigest()
        return Reference(f"{self._shown}/{_place(digest)}", digest, len(content))

    def put_all(self, contents: Iterable[bytes]) -> set[str]:
        """Write them; the hashes of those that are in the store when the time is up."""
        wanted = {hashlib.sha256(content).hexdigest(): content for content in contents}
        with self._lock:
            missing = [digest for digest in wanted if digest not in self._known]
        if not missing:
            return set(wanted)
        if time.monotonic() < self._not_before or self._hung >= _WORKERS:
            count("offload.skipped", len(missing))
            return set(wanted) - set(missing)
        until = time.monotonic() + self.timeout
        ended = threading.Semaphore(0)

        def work() -> None:
            self._work(missing, wanted)
            ended.release()

        workers = min(_WORKERS, len(missing))
        for _ in range(workers):
            start(work)
        for _ in range(workers):
            ended.acquire(timeout=max(until - time.monotonic(), 0.0))
        with self._lock:
            done = {digest for digest in wanted if digest in self._known}
        if len(done) < len(wanted):
            self._not_before = time.monotonic() + _PAUSE
            count("offload.failed", len(wanted) - len(done))
            log_once(
                "offload.failed",
                "offload: the store did not take %d content(s) in %g s: they stay on their spans, "
                "and the store is left alone for %g s (logged once)",
                len(wanted) - len(done),
                self.timeout,
                _PAUSE,
            )
        return done

    def _work(self, missing: list[str], wanted: Mapping[str, bytes]) -> None:
        """Take one content after another; several threads share the list."""
        with self._lock:
            self._hung += 1
        with suppress_instrumentation(), suppress_errors("offload"):
            while True:
                with self._lock:
                    if not missing:
                        break
                    digest = missing.pop()
                self._put(digest, wanted[digest])
                with self._lock:
                    self._known[digest] = None
                    if len(self._known) > _REMEMBERED:
                        self._known.popitem(last=False)
                count("offload.written")
        with self._lock:
            self._hung -= 1

    def _put(self, digest: str, content: bytes) -> None:
        with fork.import_lock:
            from fsspec.asyn import AsyncFileSystem
            from fsspec.core import url_to_fs
            from fsspec.implementations.local import LocalFileSystem

        if self._files is None:  # made here: a driver may take its time, or hang
            self._files = url_to_fs(self.url, **self.options)
        files, base = self._files
        path = f"{base.rstrip('/')}/{_place(digest)}"
        if files.exists(path) and files.size(path) == len(content):
            return
        if isinstance(files, LocalFileSystem):
            _put_here(Path(path), content)
            return
        if not isinstance(files, AsyncFileSystem):  # object stores have no folders to make
            files.makedirs(files._parent(path), exist_ok=True)  # noqa: SLF001 - fsspec's own idiom
        files.pipe_file(path, content)


def _put_here(path: Path, content: bytes) -> None:
    """Whole or not at all, as object stores write."""
    private_files.make_folder(path.parent)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    with private_files.write(part) as file:
        file.write(content)
    part.replace(path)


def _place(digest: str) -> str:
    return f"{digest[:2]}/{digest}.json"


def _absolute(url: str) -> str:
    """A path as a URL that means the same elsewhere on this machine; URLs as they are."""
    return url if "://" in url else f"file://{Path(url).expanduser().absolute().as_posix()}"


def _check(url: str) -> None:
    """Raise if what serves this URL is not installed. Imports no driver."""
    if find_spec("fsspec") is None:
        raise ImportError("content offload needs fsspec: pip install litespan[offload]")
    from fsspec.registry import known_implementations, registry
    from fsspec.utils import get_protocol

    protocol = get_protocol(url)
    if protocol in registry:
        return
    if protocol not in known_implementations:
        raise ValueError(f"content offload: fsspec knows no store {protocol}://")
    driver = known_implementations[protocol]["class"].partition(".")[0]
    if find_spec(driver) is None:
        raise ImportError(f"content offload to {protocol}:// needs {driver}: pip install {driver}")
