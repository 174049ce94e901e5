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

import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from litespan.errors import log_once
from litespan.stores.buffer import KEY, NAMES, OUTCOME, STARTED, Row
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.exporter import StoreExporter
from litespan.stores.schema import INDEXES, TABLE
from litespan.stores.store import Away, Refused, Store, prepared

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.errors import PyMongoError

VARIABLE: Final = "LITESPAN_MONGODB"
URI: Final = "MONGODB_URI"
COLLECTION: Final = "LITESPAN_MONGODB_COLLECTION"
DEFAULT_DATABASE: Final = "litespan"

_DEEPEST: Final = 60  # levels; MongoDB's limit is 100
_LARGEST: Final = 16_000_000  # bytes; MongoDB's limit is 16 MiB
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
        self.variable = self.set_variable(VARIABLE, URI)
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


def document(row: Row) -> dict[str, Any]:
    """A row as a document without None, and without content if it is too large."""
    made = {
        name: convert(value) if convert is not None else value
        for (name, convert), value in zip(_FIELDS, row, strict=True)
        if value is not None
    }
    if sum(len(row[i]) for i in _CONTENT if row[i] is not None) > _LARGEST // 4:
        from bson import encode

        if len(encode(made)) > _LARGEST:
            for i in _CONTENT:
                made.pop(NAMES[i], None)
            log_once("mongodb.cut", "mongodb: content beyond 16 MB is left out (logged once)")
    return made


@cache
def _decimal128() -> Any:
    from bson.decimal128 import Decimal128

    return Decimal128


def _decimal(value: Any) -> Any:
    return _decimal128()(value)


def _parsed(text: str) -> Any:
    """Parse JSON text to values for BSON."""
    value = _decode(text)
    brackets = text.count("{") + text.count("[")
    return _limit_depth(value, _DEEPEST) if brackets > _DEEPEST else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_key(key): value for key, value in pairs}


@lru_cache(4096)  # most names are from the conventions
def _key(key: str) -> str:
    key = key.replace(".", "\uff0e")
    return f"\uff04{key[1:]}" if key.startswith("$") else key


def _integer(digits: str) -> Any:
    if len(digits) < 19 or -(2**63) <= int(digits) < 2**63:
        return int(digits)
    return _decimal(digits) if len(digits.removeprefix("-")) < 35 else digits


_decode: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer).decode


def _limit_depth(value: Any, depth: int) -> Any:
    """`value` with JSON text in place of deeper levels."""
    if isinstance(value, dict | list) and not depth:
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, dict):
        return {key: _limit_depth(item, depth - 1) for key, item in value.items()}
    return [_limit_depth(item, depth - 1) for item in value] if isinstance(value, list) else value


_BSON: Final[dict[Kind, Callable[[Any], Any]]] = {
    "key": str,
    "money": _decimal,
    "json": _parsed,
}
_FIELDS: Final = [
    ("_id" if i == KEY else column.name, _BSON.get(column.kind)) for i, column in enumerate(COLUMNS)
]
_CONTENT: Final = [i for i, column in enumerate(COLUMNS) if column.content]
