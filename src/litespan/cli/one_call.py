"""One recorded call, whole, as JSON: `litespan report --call ID`."""

import json
import sys
from typing import Any

from litespan.cli import json_text
from litespan.offload import Unrestorable, restored
from litespan.stores.reading import named, records
from litespan.stores.records import Record
from litespan.stores.spans import CONTENT


def print_call(store: str, wanted: str) -> int:
    """Print each call of that call id, key or trace id; 1 if there is none. Raises Unreadable."""
    found = 0
    for record in records(store):
        if wanted in (record["call_id"], record["key"], record["trace_id"]):
            print(json_text(_whole(record), str))
            found += 1
    if not found:
        print(f"litespan report: no call {wanted} in {named(store)}", file=sys.stderr)
    return 0 if found else 1


def _whole(record: Record) -> Record:
    """The record with offloaded content in its columns, or the references if it cannot be read."""
    try:
        attributes = restored(record["attributes"] or {})
    except Unrestorable as problem:
        print(f"litespan report: {problem}", file=sys.stderr)
        return record
    content = {
        column: _parsed(attributes.pop(name))
        for column, name in CONTENT.items()
        if name in attributes
    }
    return {**record, "attributes": attributes, **content}


def _parsed(content: str) -> Any:
    """JSON as litespan writes it; other texts as they are."""
    try:
        return json.loads(content)
    except ValueError:
        return content
