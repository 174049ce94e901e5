"""`litespan report --call ID`: prints one recorded call as JSON."""

import json
import sys
from typing import Any

from litespan.cli import json_text
from litespan.offload import Unrestorable, restored
from litespan.stores.reading import named, records
from litespan.stores.records import Record
from litespan.stores.spans import CONTENT


def print_call(store: str, wanted: str) -> int:
    """Print each call with that call id, key or trace id. Raises Unreadable.

    Returns 0, or 1 if there is none.
    """
    calls = 0
    for record in records(store):
        if wanted in (record["call_id"], record["key"], record["trace_id"]):
            print(json_text(_with_content(record), str))
            calls += 1
    if not calls:
        print(f"litespan report: no call {wanted} in {named(store)}", file=sys.stderr)
    return 0 if calls else 1


def _with_content(record: Record) -> Record:
    """The record with offloaded content, or with the references if it cannot be read."""
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
    """Parsed JSON, or the text if it is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content
