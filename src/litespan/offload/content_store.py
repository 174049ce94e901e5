"""The store for offloaded content: an fsspec folder, or a prefix of an object store."""

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan import semconv as s
from litespan.background import fork
from litespan.background.pool import Pool
from litespan.counters import count
from litespan.errors import log_once, record_error
from litespan.stores import private_files

_WORKERS: Final = 8
_MAX_KNOWN: Final = 4096  # hashes of contents in the store, the last used at the end
_PAUSE: Final = 30.0  # s for which a failed store is not used
_PASSWORD: Final = re.compile(r"(://[^/:@]*):[^/]*@")


@dataclass(frozen=True, slots=True)
class Reference:
    """The location of offloaded content."""

    url: str
    sha256: str  # hex
    size: int  # bytes

    def attributes(self, name: str) -> dict[str, str | int]:
        """The span attributes that replace the attribute `name`."""
        return {
            name + s.REFERENCE: self.url,
            name + s.REFERENCE_SHA256: self.sha256,
            name + s.REFERENCE_SIZE: self.size,
        }


class Store:
    """Writes contents under a URL. Never raises, and never waits longer than `timeout`."""

    def __init__(self, url: str, timeout: float = 5.0, **options: Any) -> None:
        """Check that the store's driver is installed. Opens no connection.

        Args:
            url: fsspec URL of a folder or prefix, or a path. A password in it is not part of
                references.
            timeout: seconds for one `put_all`.
            options: for fsspec, such as `key` and `secret` of an object store.

        Raises:
            ImportError: fsspec or its driver for this store is missing; the text says what to
                install.
            ValueError: fsspec does not know this kind of store.
        """
        self.url = _absolute(url).rstrip("/")
        self.timeout = timeout
        self.options = options
        _check(self.url)
        self._public_url = without_password(self.url)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._not_before = 0.0
        self._reset()
        fork.register(self, after_in_child=Store._reset)

    def _reset(self) -> None:
        """Start without threads and connections. Also runs in a forked child."""
        self._lock = threading.Lock()
        self._files: Any = None
        self._busy = 0  # threads, including those of earlier calls that hang in the store

    def reference(self, content: bytes) -> Reference:
        """The reference to this content, whether or not it is written. Pure."""
        digest = hashlib.sha256(content).hexdigest()
        return Reference(f"{self._public_url}/{_path(digest)}", digest, len(content))

    def put_all(self, contents: Iterable[bytes]) -> set[str]:
        """Write the contents within `timeout`. Returns the hashes of those in the store."""
        wanted = {hashlib.sha256(content).hexdigest(): content for content in contents}
        with self._lock:
            stored = wanted.keys() & self._known.keys()
            for digest in stored:
                self._known.move_to_end(digest)
        missing = [digest for digest in wanted if digest not in stored]
        if not missing:
            return stored
        if time.monotonic() < self._not_before or self._busy >= _WORKERS:
            count("offload.skipped", len(missing))
            return stored
        until = time.monotonic() + self.timeout
        pool = Pool("litespan-offload", _WORKERS)
        for digest in missing:
            pool.submit(partial(self._put, digest, wanted[digest], until, stored))
        pool.close(until)
        with self._lock:
            stored = {*stored}  # a thread that hangs may add to the other set later
        failed = len(wanted) - len(stored)
        if failed:
            self._not_before = time.monotonic() + _PAUSE
            count("offload.failed", failed)
            log_once(
                "offload.failed",
                "offload: the store did not accept %d content(s) within %g s: they stay on their "
                "spans, and the store is not used for %g s (logged once)",
                failed,
                self.timeout,
                _PAUSE,
            )
        return stored

    def _put(self, digest: str, content: bytes, until: float, stored: set[str]) -> None:
        """Write one content, unless it is too late, and add its hash to `stored`."""
        if time.monotonic() > until:
            return
        with self._lock:
            self._busy += 1
        try:
            with suppress_instrumentation():
                self._write(_path(digest), content)
        except BaseException as error:  # noqa: BLE001 - a driver's CancelledError, for example
            record_error("offload", error)
        else:
            count("offload.written")
            with self._lock:
                stored.add(digest)
                self._known[digest] = None
                if len(self._known) > _MAX_KNOWN:
                    self._known.popitem(last=False)
        finally:
            with self._lock:
                self._busy -= 1

    def _write(self, name: str, content: bytes) -> None:
        with fork.import_lock:
            from fsspec.core import url_to_fs
            from fsspec.implementations.local import LocalFileSystem

        if self._files is None:  # connect on this thread: a driver may be slow or hang
            self._files = url_to_fs(self.url, **self.options)
        files, base = self._files
        path = f"{base.rstrip('/')}/{name}"
        if files.exists(path) and files.size(path) == len(content):
            return
        if isinstance(files, LocalFileSystem):
            _write_local(Path(path), content)
            return
        put(files, path, content)


def put(files: Any, path: str, content: bytes) -> None:
    """Write a file of an fsspec file system, and create its folder."""
    with fork.import_lock:
        from fsspec.asyn import AsyncFileSystem
    if not isinstance(files, AsyncFileSystem):  # object stores have no folders
        files.makedirs(files._parent(path), exist_ok=True)  # noqa: SLF001 - fsspec's own idiom
    files.pipe_file(path, content)


def without_password(url: str) -> str:
    """`url`, as references and logs have it."""
    return _PASSWORD.sub(r"\1@", url)


def _write_local(path: Path, content: bytes) -> None:
    """Write atomically, as object stores do."""
    private_files.make_folder(path.parent)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    with private_files.write(part) as file:
        file.write(content)
    part.replace(path)


def _path(digest: str) -> str:
    return f"{digest[:2]}/{digest}.json"


def _absolute(url: str) -> str:
    """A path as an absolute `file://` URL; URLs unchanged."""
    return url if "://" in url else f"file://{Path(url).expanduser().absolute().as_posix()}"


def _check(url: str) -> None:
    """Raise if the driver for this URL is not installed. Does not import it."""
    if find_spec("fsspec") is None:
        raise ImportError("content offload needs fsspec: pip install litespan[offload]")
    from fsspec.registry import known_implementations, registry
    from fsspec.utils import get_protocol

    protocol = get_protocol(url)
    if protocol in registry:
        return
    if protocol not in known_implementations:
        raise ValueError(f"content offload: fsspec does not know the store {protocol}://")
    driver = known_implementations[protocol]["class"].partition(".")[0]
    if find_spec(driver) is None:
        raise ImportError(f"content offload to {protocol}:// needs {driver}: pip install {driver}")
