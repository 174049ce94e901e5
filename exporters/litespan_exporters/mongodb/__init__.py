"""One document for each call in a MongoDB collection, through PyMongo (extra `mongodb`).

    OTEL_TRACES_EXPORTER=mongodb LITESPAN_MONGODB=mongodb://localhost/litespan …
    db.llm_calls.aggregate([{$group: {_id: "$model", usd: {$sum: "$cost_usd"}}}])

Fields have the names of the columns; unknown values are left out. `_id` is the key (a string),
money is Decimal128, times are dates (in milliseconds), lists and objects are arrays and documents.
In the keys of objects, dots and leading dollars are written as U+FF0E and U+FF04, because they have
a special meaning in queries: `attributes.gen_ai\uff0erequest\uff0emodel`. Whole numbers
beyond 64 bits are text in attributes; in content Decimal128, or text beyond 34 digits.

Finished documents replace those of the same key; started ones are only inserted.
The role `readWrite` on the database suffices; without permission, no indexes are created.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from litespan.errors import log_once
from litespan.stores.buffer import OUTCOME, STARTED, Row
from litespan.stores.exporter import StoreExporter
from litespan.stores.schema import INDEXES, TABLE
from litespan.stores.store import Away, Refused, Store, prepared
from litespan_exporters.mongodb.documents import document

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.errors import PyMongoError

VARIABLE: Final = "LITESPAN_MONGODB"
URI: Final = "MONGODB_URI"
COLLECTION: Final = "LITESPAN_MONGODB_COLLECTION"
DEFAULT_DATABASE: Final = "litespan"

_DUPLICATE_KEY: Final = 11000  # another writer inserted the same key concurrently
_UNAUTHORIZED: Final = 13
_OPTIONS: Final = {
    "serverSelectionTimeoutMS": 3_000,
    "connectTimeoutMS": 3_000,
    "socketTimeoutMS": 20_000,
    "appname": "litespan",
}
"""Defaults, which the URI overrides."""


class MongoExporter(StoreExporter):
    """Writes one document per call to a MongoDB collection.

    Reads LITESPAN_MONGODB or MONGODB_URI. Also LITESPAN_MONGODB_COLLECTION.

    Args:
        uri: `mongodb://…` or `mongodb+srv://…`, with the database's name (else `litespan`);
            default `LITESPAN_MONGODB`, else `MONGODB_URI`.
        collection: Default `LITESPAN_MONGODB_COLLECTION`, else `llm_calls`.
        content: False excludes messages, instructions and tools.
        limits: see `StoreExporter`.
    """

    name = "mongodb"
    needs = ("pymongo",)

    def __init__(
        self,
        uri: str | None = None,
        *,
        collection: str | None = None,
        content: bool = True,
        **limits: Any,
    ) -> None:
        super().__init__(content=content, **limits)
        self.variable = next(filter(os.environ.get, (VARIABLE, URI)), VARIABLE)
        self._uri = self.setting(uri, VARIABLE, URI)
        self.collection = self.setting(collection, COLLECTION, default=TABLE)
        if not self._uri:
            self.disable(f"{VARIABLE} is not set", f"set it, or {URI}, to the database's URI")
        elif (place := _place(self._uri, self.collection)) is None:
            self.disable(
                f"{self.variable} is not a MongoDB URI", "write mongodb://user@host/database"
            )
        else:
            self.turn_on(place)

    def connect(self) -> Store:
        """Create a client and the indexes.

        Raises:
            Away: there is no server, or it denies access.
        """
        import pymongo
        from pymongo.errors import ConfigurationError, PyMongoError

        given = {name.lower() for name, _ in parse_qsl(urlsplit(self._uri).query)}
        options: dict[str, Any] = {
            name: value for name, value in _OPTIONS.items() if name.lower() not in given
        }
        try:
            client: MongoClient[Any] = pymongo.MongoClient(self._uri, **options)
            try:
                database = client.get_default_database()
            except ConfigurationError:
                database = client.get_database(DEFAULT_DATABASE)
            documents = _Documents(client, database[self.collection], self)
            return prepared(documents, _Documents.ensure)
        except PyMongoError as error:
            raise self.failure(error) from None

    def failure(self, error: "PyMongoError") -> Away:
        """Convert an error of PyMongo, whose message can contain credentials."""
        from pymongo import errors

        kind = type(error).__name__
        code = error.code if isinstance(error, errors.OperationFailure) else None
        if isinstance(error, errors.InvalidURI | errors.ConfigurationError):
            hint = "escape special characters in the password as %40; check the options"
            return Away(f"{self.variable} is invalid: {kind} ({hint})", kind)
        if code in (_UNAUTHORIZED, 18):  # unauthorized, unauthenticated
            hint = f"check user and password in {self.variable}, and the user's role"
            return Away(f"{kind} {code} ({hint})", str(code))
        if isinstance(error, errors.OperationFailure):
            return Away(f"{kind} {code} (check the server's log)", str(code))
        return Away(f"no connection: {kind} (check the server and {self.variable})", kind)


def _place(uri: str, collection: str) -> str | None:
    """Host, database and collection, without credentials; None for an invalid URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme not in ("mongodb", "mongodb+srv") or not parts.netloc:
        return None
    first = parts.netloc.rpartition("@")[2].partition(",")[0]
    host, colon, port = ("", "", "") if first.endswith("]") else first.rpartition(":")
    if colon and not port.isdigit():
        return None
    database = parts.path.strip("/") or DEFAULT_DATABASE
    return f"mongodb://{host or first}:{port if colon else 27017}/{database}#{collection}"


class _Documents:
    """A client, and the collection that it writes to."""

    def __init__(
        self, client: "MongoClient[Any]", collection: "Collection[Any]", exporter: MongoExporter
    ) -> None:
        self._client = client
        self._collection = collection
        self._exporter = exporter

    def ensure(self) -> None:
        """Create missing indexes."""
        from pymongo import IndexModel
        from pymongo.errors import OperationFailure

        try:
            self._collection.create_indexes([IndexModel(list(names)) for names in INDEXES])
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            log_once(
                "mongodb.indexes", "mongodb: no permission to create indexes, so queries are slow"
            )

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert all rows, in any order."""
        from pymongo import ReplaceOne, UpdateOne
        from pymongo.errors import BulkWriteError, DocumentTooLarge, PyMongoError

        operations: list[Any] = []
        for row in rows:
            found = document(row)
            key = {"_id": found["_id"]}
            if row[OUTCOME] == STARTED:
                del found["_id"]
                operations.append(UpdateOne(key, {"$setOnInsert": found}, upsert=True))
            else:
                operations.append(ReplaceOne(key, found, upsert=True))
        try:
            self._collection.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            raise self._failure_of(error) from None
        except DocumentTooLarge:
            raise Refused("DocumentTooLarge") from None
        except PyMongoError as error:
            raise self._exporter.failure(error) from None

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _failure_of(self, error: Any) -> Exception:
        """Convert errors of single documents or of the write concern."""
        details = error.details or {}
        codes = {wrong.get("code") for wrong in details.get("writeErrors", ())}
        if codes - {_DUPLICATE_KEY}:
            return Refused(f"write error {', '.join(sorted(map(str, codes)))}")
        reason = "another writer has inserted the same call" if codes else "not replicated"
        return Away(f"{reason} (it is written again)", reason)
