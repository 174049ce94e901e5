"""What every vendor on loopback has: it remembers what arrived, by idempotency key."""

import json
from collections import Counter
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.server import Received, Reply

_VALIDATORS: dict[int, Any] = {}  # by the schema's identity

SECRET = "sk-test-0123456789abcdef"


def strict(body: bytes) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN, no lone surrogates."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = body.decode("utf-8")
    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def validate(value: Any, schema: dict[str, Any]) -> None:
    """By a JSON schema, which is itself checked once: that takes longer than all the rest."""
    if id(schema) not in _VALIDATORS:
        Draft202012Validator.check_schema(schema)
        _VALIDATORS[id(schema)] = Draft202012Validator(schema)
    _VALIDATORS[id(schema)].validate(value)


class Anyone:
    """A service without known rules: it accepts everything."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()  # idempotency key → how often
        self.records: dict[str, Any] = {}  # by the same key, the last one

    def __call__(self, request: Received) -> Reply:
        return Reply(200)

    def take(self, key: str, record: Any) -> None:
        """Remember what arrived."""
        self.taken[key] += 1
        self.records[key] = record
