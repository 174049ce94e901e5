"""A MongoDB by its wire protocol: what the store's commands do, in memory.

The protocol, and the commands' parsing, are mockupdb's; what update, find and createIndexes do
is restated from https://www.mongodb.com/docs/manual/reference/command/.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bson import BSON
from mockupdb import MockupDB, OpMsg

MAX_DOCUMENT = 16 * 1024 * 1024
Command = dict[str, Any]
Fault = Callable[[Command], Command | bool | None]
"""What to answer instead; True: hang up; None: the command is served."""


class MongoServer:
    """One server, that is stopped and started again on the same port."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[Any, dict[str, Any]]] = defaultdict(dict)
        self.indexes: dict[str, list[list[str]]] = {}
        self.commands: list[Command] = []
        self.fault: Fault | None = None
        self.port: int | None = None
        self._server: MockupDB | None = None

    def start(self) -> None:
        """Listen, on the port of before."""
        self._server = MockupDB(port=self.port, max_wire_version=21, auto_ismaster=True)
        self._server.autoresponds(self._answer)
        self.port = self._server.run()

    def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def uri(self) -> str:
        """How clients find it."""
        return f"mongodb://127.0.0.1:{self.port}/shop"

    def _answer(self, request: Any) -> Any:
        if not isinstance(request, OpMsg):
            return False
        command = dict(request.doc)
        name = next(iter(command))
        if name.lower() in {"hello", "ismaster"}:
            return False
        self.commands.append(command)
        reply = self.fault(command) if self.fault is not None else None
        if reply is True:
            request.hangs_up()
        else:
            request.replies(reply or self._serve(name, command))
        return True

    def _serve(self, name: str, command: Command) -> Command:
        documents = self.collections[str(command[name])]
        if name == "update":
            return self._update(documents, command["updates"])
        if name == "createIndexes":
            made = self.indexes.setdefault(str(command[name]), [])
            made += [list(index["key"]) for index in command["indexes"]]
        if name == "find":
            least = command["filter"].get("start_time", {}).get("$gte")
            batch = [d for d in documents.values() if least is None or d["start_time"] >= least]
            batch.sort(key=lambda d: [d[name] for name in command.get("sort", {})])
            return {"ok": 1, "cursor": {"id": 0, "ns": "shop.x", "firstBatch": batch}}
        return {"ok": 1}

    def _update(self, documents: dict[Any, dict[str, Any]], updates: list[Command]) -> Command:
        upserted = []
        for index, update in enumerate(updates):
            assert update["upsert"] is True
            assert list(update["q"]) == ["_id"]
            key, change = update["q"]["_id"], update["u"]
            assert len(BSON.encode(change)) <= MAX_DOCUMENT
            known = key in documents
            if not known:
                upserted.append({"index": index, "_id": key})
            if "$setOnInsert" in change:
                documents.setdefault(key, {"_id": key, **change["$setOnInsert"]})
            else:
                assert not any(name.startswith("$") for name in change)
                documents[key] = dict(change)
        return {"ok": 1, "n": len(updates), "nModified": 0, "upserted": upserted}


@contextmanager
def running() -> Iterator[MongoServer]:
    """A server that runs until the block ends."""
    server = MongoServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
