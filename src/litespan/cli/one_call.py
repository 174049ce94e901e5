"""`litespan report --call ID`: prints one recorded call as JSON."""

import json
import sys
from typing import Any

from litespan.cli import json_text
from litespan.offload import Unrestorable, restored
from litespan.stores.reading import find
from litespan.stores.records import Record
from litespan.stores.spans import CONTENT


def print_call(store: str, wanted: str) -> int:
    """Print the calls of an id. Returns 0. Raises Unreadable, NotFound."""
    for record in find(store, wanted):
        print(json_text(with_content(record), str))
    return 0


def with_content(record: Record) -> Record:
    """The record with offloaded content, or with the references if it cannot be read."""
    try:
        attributes = restored(record["attributes"] or {})
    except Unrestorable as problem:
        print(f"litespan: {problem}", file=sys.stderr)
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
