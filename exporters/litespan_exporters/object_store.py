"""Calls as JSONL or Parquet files by day in S3, Google Cloud Storage or Azure (extra `offload`).

    pip install 'litespan[offload]' s3fs
    OTEL_TRACES_EXPORTER=s3 LITESPAN_S3=s3://bucket/calls opentelemetry-instrument python app.py

Any fsspec URL works. Credentials are those of the driver: of `s3fs` AWS's own (variables, profiles,
roles), of `gcsfs` Google's, of `adlfs` the variables AZURE_STORAGE_ACCOUNT_NAME and others.
https://filesystem-spec.readthedocs.io

Files go to `date=YYYY-MM-DD/` by the start of the call in UTC. Rows are kept in memory for up to
60 seconds to be written together; the rest is written at exit. Files are never changed: of the
rows of a key, one whose outcome is not `started` is valid.
"""

import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, Final
from uuid import uuid4

from litespan.background import fork
from litespan.offload.content_store import put, without_password
from litespan.stores import arrow
from litespan.stores.buffer import Row
from litespan.stores.daily_files import DailyFilesExporter, by_day, file_name
from litespan.stores.store import Away
from litespan_exporters.jsonl import JsonlExporter

_DRIVERS: Final = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
}
"""Scheme → the module that fsspec uses for it."""


def _jsonl(rows: Sequence[Row]) -> bytes:
    return b"".join(JsonlExporter.lines(rows))


def _parquet(rows: Sequence[Row]) -> bytes:
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(arrow.table(rows), file, compression="zstd")
    return file.getvalue()


FORMATS: Final[dict[str, Callable[[Sequence[Row]], bytes]]] = {
    "jsonl": _jsonl,
    "parquet": _parquet,
}


class ObjectStoreExporter(DailyFilesExporter):
    """Base class: calls as files by day below an fsspec URL.

    Args:
        url: Where to write; default: the store's variable.
        format: `jsonl` or `parquet`; default: the variable with the suffix `_FORMAT`, else jsonl.
        interval: Seconds that rows may wait to be written together; default: the variable with
            the suffix `_INTERVAL`, else 60. With 0 every export writes a file.
        content: False excludes messages, instructions and tools.
        options: for fsspec, such as `key` and `secret`.
        limits: see `StoreExporter`.
    """

    variable: ClassVar[str]
    example: ClassVar[str]

    def __init__(
        self,
        url: str | None = None,
        *,
        format: str | None = None,  # noqa: A002 - as in the variable
        interval: float | None = None,
        content: bool = True,
        options: dict[str, Any] | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(interval, f"{self.variable}_INTERVAL", content=content, **limits)
        self.url: Final = self.setting(url, self.variable).rstrip("/")
        self.options: Final = options or {}
        self.format: Final = self.setting(format, f"{self.variable}_FORMAT", default="jsonl")
        if not self.problem and self._is_valid() and self._is_installed():
            self.turn_on(without_password(self.url))

    def _is_valid(self) -> bool:
        if not self.url:
            self.disable(f"{self.variable} is not set", f"set it to a URL such as {self.example}")
        elif "://" not in self.url:
            self.disable(f"{self.variable} is not a URL", f"set a URL such as {self.example}")
        elif self.format not in FORMATS:
            self.disable(
                f"{self.variable}_FORMAT={self.format!r} is not a format", "set jsonl or parquet"
            )
        return not self.problem

    def _is_installed(self) -> bool:
        driver = _DRIVERS.get(self.url.partition("://")[0], "")
        parquet = {"pyarrow": "litespan[parquet]"} if self.format == "parquet" else {}
        packages = {
            "fsspec": "litespan[offload]",
            **({driver: driver} if driver else {}),
            **parquet,
        }
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            names = " ".join(f"'{packages[package]}'" for package in missing)
            self.disable(f"{missing[0]} is not installed", f"pip install {names}")
        return not missing

    def connect(self) -> "Bucket":
        """The file system, which opens no connection yet."""
        with fork.import_lock:
            from fsspec.core import url_to_fs
        try:
            files, base = url_to_fs(self.url, **self.options)
        except Exception as error:
            raise _away(self.place, error) from error
        return Bucket(files, base, self.place, self.format)


class Bucket:
    """The files below one URL."""

    def __init__(self, files: Any, base: str, place: str, suffix: str) -> None:
        self._files = files
        self._base = base.rstrip("/")
        self._place = place
        self._suffix = suffix

    def write(self, rows: Sequence[Row]) -> None:
        """Write one new file for each day of the rows."""
        for folder, of_day in by_day(rows):
            path = f"{self._base}/{folder}/{file_name(uuid4().hex[:12], self._suffix)}"
            data = FORMATS[self._suffix](of_day)
            try:
                put(self._files, path, data)
            except Exception as error:  # drivers raise errors of many kinds
                raise _away(self._place, error) from error

    def close(self) -> None:
        """Do nothing: no file is open."""


def _away(place: str, error: Exception) -> Away:
    """The error without the driver's text, which may contain credentials."""
    kind = type(error).__name__
    return Away(f"cannot write {place}: {kind} (check the URL and the credentials)", kind)


class S3Exporter(ObjectStoreExporter):
    """Writes calls to files by day in S3 or a compatible store.

    Reads LITESPAN_S3. Also LITESPAN_S3_FORMAT and LITESPAN_S3_INTERVAL. See
    `ObjectStoreExporter` for the arguments.
    """

    name = "s3"
    variable = "LITESPAN_S3"
    example = "s3://bucket/calls"


class GcsBucketExporter(ObjectStoreExporter):
    """Writes calls to files by day in Google Cloud Storage.

    Reads LITESPAN_GCS. Also LITESPAN_GCS_FORMAT and LITESPAN_GCS_INTERVAL. See
    `ObjectStoreExporter` for the arguments.
    """

    name = "gcs_bucket"
    variable = "LITESPAN_GCS"
    example = "gs://bucket/calls"


class AzureStorageExporter(ObjectStoreExporter):
    """Writes calls to files by day in Azure Blob Storage or Data Lake.

    Reads LITESPAN_AZURE. Also LITESPAN_AZURE_FORMAT and LITESPAN_AZURE_INTERVAL. See
    `ObjectStoreExporter` for the arguments.
    """

    name = "azure_storage"
    variable = "LITESPAN_AZURE"
    example = "abfs://container/calls"
