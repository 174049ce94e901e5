"""Reads the MongoDB collection of the exporter."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from litespan.stores.records import Reader, Record, Unreadable, converted, missing, moment
from litespan.stores.schema import TABLE
from litespan_exporters.mongodb import COLLECTION, DEFAULT_DATABASE, URI, VARIABLE
from litespan_exporters.mongodb.documents import of_bson


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
                yield {n: converted(n, of_bson(n, document.get(n))) for n in columns}
    except PyMongoError as error:
        raise Unreadable(f"cannot read MongoDB: {type(error).__name__}") from None


READER: Final = Reader(read, (VARIABLE, URI), schemes=("mongodb://", "mongodb+srv://"))
