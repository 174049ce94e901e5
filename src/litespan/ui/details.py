"""Whole records of single calls, from the store itself: the index has no content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litespan.stores.conversation import Message, conversation
from litespan.stores.reading import pick
from litespan.stores.records import TIME, Record, Unreadable
from litespan.stores.spans import CONTENT
from litespan.ui.index import Index
from litespan.ui.queries import Row


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of a session: what was new in its input, and its output."""

    call: Row
    messages: Sequence[Message]


class Details:
    """Reads records from the store of an index."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def record(self, call: Mapping[str, Any]) -> Record:
        """The record of a call. Raises Unreadable."""
        found = self._pick([call])
        if call["key"] not in found:
            raise Unreadable("This call is no longer in the store.")
        return found[call["key"]]

    def turns(self, calls: Sequence[Row]) -> list[Turn]:
        """Calls of a session in order; messages that an earlier call showed are left out."""
        records = self._pick(calls, ("key", *CONTENT))
        seen: set[tuple[Any, ...]] = set()
        turns = []
        for call in calls:
            record = records.get(call["key"])
            messages = conversation(record) if record else []
            new = [message for message in messages if (message.role, message.parts) not in seen]
            seen |= {(message.role, message.parts) for message in messages}
            turns.append(Turn(call, new))
        return turns

    def _pick(self, calls: Sequence[Mapping[str, Any]], *columns: Any) -> dict[str, Record]:
        since = min(call["start_time"] for call in calls).strftime(TIME)
        keys = [call["key"] for call in calls]
        return {r["key"]: r for r in pick(self._index.source, keys, since, *columns)}
