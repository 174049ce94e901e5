"""Lunary on loopback: the ingestion of runs."""

import json
import uuid
from datetime import datetime
from typing import Any

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, Anyone, strict


class Lunary(Anyone):
    """A project.

    Rules: https://github.com/lunary-ai/lunary, `packages/backend/src/api/v1/runs/ingest.ts`.
    Starts insert, ends and errors update: without a start they are lost. A start waits for its
    parent, once and 5 s long, if that is not there yet.
    """

    TYPES = ("llm", "chain", "agent", "tool", "embed", "retriever", "thread", "log")
    EVENT = frozenset(("type", "event", "runId", "parentRunId", "timestamp", "runtime"))
    ASKED = frozenset(("name", "input", "params", "userId", "userProps", "tags", "templateId"))
    FIELDS = EVENT | ASKED | {"output", "tokensUsage", "error", "metadata"}

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return Reply(401)
        assert request.path == "/v1/runs/ingest"
        body = strict(request.body)
        assert "\0" not in _texts(body), "unsupported Unicode escape sequence"
        assert set(body) == {"events"}
        results = []
        for event in sorted(body["events"], key=lambda event: event["timestamp"][:23]):  # ms
            parent = event.get("parentRunId")
            late = {other["runId"] for other in body["events"]} - set(self.records)
            assert event["event"] != "start" or parent not in late, "waits 5 s for its parent"
            self._rules(event)
            error = self._apply(event)
            results.append({"id": event["runId"], "success": not error, "error": error})
        return Reply(200, json.dumps({"results": results}).encode())

    def _apply(self, event: dict[str, Any]) -> str | None:
        run = event["runId"]
        if event["event"] == "start":
            if run in self.records:
                return "Run with this external id already exists"
            self.records[run] = {}
        elif run not in self.records:
            return "Run not found"
        self.take(run, {**self.records[run], **event})
        return None

    def _rules(self, event: dict[str, Any]) -> None:
        assert set(event) <= self.FIELDS
        assert event["type"] in self.TYPES
        assert event["event"] in ("start", "end", "error")
        assert str(uuid.UUID(event["runId"])) == event["runId"]
        assert len(event.get("parentRunId", event["runId"])) == 36
        datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
        assert ("error" in event) == (event["event"] == "error")
        assert all(type(n) is int for n in event.get("tokensUsage", {}).values())
        assert set(event.get("tokensUsage", {})) <= {"prompt", "completion", "promptCached"}
        for value in event["metadata"].values():
            assert isinstance(value, str | bool | int | float), "dropped by Lunary"
        assert all(isinstance(tag, str) for tag in event.get("tags", ()))


def _texts(value: Any) -> str:
    """All text in it, names too."""
    if isinstance(value, dict):
        return "".join(map(_texts, [*value, *value.values()]))
    return "".join(map(_texts, value)) if isinstance(value, list) else str(value)
