"""Reads the MongoDB collection of the exporter."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from litespan.stores.records import KINDS, Reader, Record, Unreadable, converted, missing, moment
from litespan.stores.schema import TABLE
from litespan_exporters.mongodb import COLLECTION, DEFAULT_DATABASE, URI, VARIABLE


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The documents of the MongoDB collection."""
    try:
        import pymongo
        from pymongo.errors import ConfigurationError, PyMongoError
    except ImportError:
        raise missing("pymongo", "mongodb") from None
    name = os.environ.get(COLLECTION, "").strip() or TABLE
    try:
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(
            place, serverSelectionTimeoutMS=10_000
        )
        with client:
            try:
                collection = client.get_default_database()[name]
            except ConfigurationError:
                collection = client[DEFAULT_DATABASE][name]
            chosen = {"_id" if column == "key" else column: 1 for column in columns}
            wanted = {"start_time": {"$gte": moment(since)}} if since else {}
            for document in collection.find(wanted, chosen).sort("start_time"):
                document["key"] = document.pop("_id")
                yield {n: converted(n, _of_bson(n, document.get(n))) for n in columns}
    except PyMongoError as error:
        raise Unreadable(f"cannot read MongoDB: {type(error).__name__}") from None


def _of_bson(name: str, value: Any) -> Any:
    """Convert BSON numbers to decimals or ints, and restore keys."""
    from bson.decimal128 import Decimal128
    from bson.int64 import Int64

    if isinstance(value, Decimal128):
        exact = value.to_decimal()
        return exact if KINDS.get(name) == "money" else int(exact)
    if type(value) is Int64:
        return int(value)
    if isinstance(value, dict):
        plain = {key.replace("\uff0e", "."): item for key, item in value.items()}
        return {
            f"${key[1:]}" if key.startswith("\uff04") else key: _of_bson(key, item)
            for key, item in plain.items()
        }
    return [_of_bson("", item) for item in value] if isinstance(value, list) else value


READER: Final = Reader(read, (VARIABLE, URI), schemes=("mongodb://", "mongodb+srv://"))
