"""Helicone on loopback."""

import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.support.server import Received, Reply
from tests.support.vendors.base import SECRET, Anyone, strict, validate


class Helicone(Anyone):
    """The worker's custom log.

    Rules: https://github.com/Helicone/helicone `worker/src/lib/managers/AsyncLog.ts`, and what
    the Fetch standard's `new Headers(meta)` throws on.
    """

    PATHS: ClassVar = ("/custom/v1/log", "/oai/v1/log", "/anthropic/v1/log")
    TIME: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["seconds", "milliseconds"],
        "properties": {
            "seconds": {"type": "integer", "minimum": 0},
            "milliseconds": {"type": "integer", "minimum": 0, "maximum": 999},
        },
    }
    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["providerRequest", "providerResponse", "timing"],
        "additionalProperties": False,
        "properties": {
            "providerRequest": {
                "type": "object",
                "required": ["url", "json", "meta"],
                "properties": {
                    "url": {"type": "string", "minLength": 1},
                    "json": {"type": "object"},
                    "meta": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            "providerResponse": {
                "type": "object",
                "required": ["json", "status", "headers"],
                "properties": {
                    "json": {"type": "object"},
                    "status": {"type": "integer"},
                    "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                    "cost": {"type": "number"},
                    "textBody": {"type": "string"},
                },
            },
            "timing": {
                "type": "object",
                "required": ["startTime", "endTime"],
                "properties": {
                    "startTime": TIME,
                    "endTime": TIME,
                    "timeToFirstToken": {"type": "number", "minimum": 0},
                },
            },
        },
    }

    def __call__(self, request: Received) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return Reply(401)
        assert request.path in self.PATHS
        assert request.headers["content-type"] == "application/json"
        assert "content-encoding" not in request.headers
        assert len(request.body) <= 10 * 1024 * 1024, "Payload too large"
        log = strict(request.body)
        validate(log, self.SCHEMA)
        self._timing(log["timing"])
        key = self._meta(log["providerRequest"]["meta"], request.headers)
        self._bodies(request.path, log)
        self.take(key, log)
        return Reply(200, b"ok", {"helicone-id": key})

    def _timing(self, timing: Mapping[str, Any]) -> None:
        start, end = (
            timing[name]["seconds"] * 1000 + timing[name]["milliseconds"]
            for name in ("startTime", "endTime")
        )
        assert start <= end, "startTime cannot be greater than endTime"

    def _meta(self, meta: Mapping[str, str], headers: Mapping[str, str]) -> str:
        names = [name.lower() for name in meta]
        assert len(set(names)) == len(names)
        assert "helicone-auth" not in names
        for name, value in meta.items():
            assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), name
            value.encode("latin-1")
            assert not set(value) & {"\r", "\n", "\0"}
            assert headers.get(name.lower(), value) == value  # sent as both
        key = meta["Helicone-Request-Id"]
        assert uuid.UUID(key).version in (1, 2, 3, 4, 5)
        return key

    def _bodies(self, path: str, log: Mapping[str, Any]) -> None:
        asked, answer = log["providerRequest"]["json"], log["providerResponse"]
        said, status = answer["json"], answer["status"]
        assert status == -3 or 200 <= status < 600
        if asked.get("stream"):
            assert "streamed_data" in said or "textBody" in answer
        if 400 <= status < 600:
            assert isinstance(said["error"]["message"], str)
        elif path == "/anthropic/v1/log":
            assert isinstance(said["content"], list)
            assert all(isinstance(block.get("input", {}), dict) for block in said["content"])
            assert "prompt_tokens" not in said["usage"]
        else:
            assert isinstance(said.get("choices", said.get("data")), list)
            for choice in said.get("choices", ()):
                for call in choice.get("message", {}).get("tool_calls", ()):
                    assert isinstance(call["function"]["arguments"], str)
