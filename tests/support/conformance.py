"""Checks what litespan records against the table of the GenAI conventions: one text a violation."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema

from tests.support import conventions as c
from tests.support.schemas import SCHEMAS

SCOPE = "litespan"
MOST = 200  # spans of one test that are checked; tests with more repeat themselves


def of_span(span: Mapping[str, Any], *, exported: bool = False) -> Iterator[str]:
    """The violations of a span; `exported` are copies that exporters made for a service."""
    attributes = span["attributes"]
    operation = attributes.get("gen_ai.operation.name")
    if span["scope"] != SCOPE or operation is None:
        return
    more = c.FOR_SERVICES if exported else ()
    yield from _attributes(attributes, c.ATTRIBUTES | c.OLD_ATTRIBUTES, more)
    yield from _content(attributes, "on a span")
    yield from _of_operation(span, operation)
    if span["status"] == "OK":
        yield "status OK"
    if ("error.type" in attributes) != (span["status"] == "ERROR"):
        yield f"error.type with status {span['status']}"
    if "server.address" in attributes and "server.port" not in attributes:
        yield "server.address without server.port"
    if operation == "fetch_response" and any(
        name.startswith("gen_ai.usage.") for name in attributes
    ):
        yield "usage on fetch_response"


def _of_operation(span: Mapping[str, Any], operation: str) -> Iterator[str]:
    """The violations of name, kind and required attributes."""
    attributes = span["attributes"]
    if "mcp.method.name" in attributes:  # spans of MCP have names and kinds of their own
        if span["kind"] != "CLIENT" or not span["name"].startswith(attributes["mcp.method.name"]):
            yield f"name or kind of a span of MCP: {span['kind']} {span['name']}"
        return
    rules = c.SPANS.get(operation)
    if rules is None:
        return
    if span["kind"] not in rules.kinds:
        yield f"kind {span['kind']} of {operation}"
    named = f"{operation} {attributes[rules.keyed]}" if rules.keyed in attributes else operation
    if span["name"] != named:
        yield f"name {span['name']!r} of {operation}"
    yield from (f"missing {name} on {operation}" for name in rules.required - attributes.keys())


def of_metric(point: Mapping[str, Any]) -> Iterator[str]:
    """The violations of a metric point."""
    name, labels = point["name"], point["attributes"]
    if not name.startswith("gen_ai."):
        return
    rules = (c.METRICS | c.OLD_METRICS).get(name)
    if rules is None:
        yield f"unknown metric {name}"
        return
    yield from _attributes(labels, c.ATTRIBUTES | c.OLD_ATTRIBUTES, ())
    if point["unit"] != rules.unit:
        yield f"unit {point['unit']} of {name}"
    if point.get("bounds") != rules.bounds and not _close(point.get("bounds"), rules.bounds):
        yield f"buckets of {name}"
    yield from (f"label {label} of {name}" for label in labels.keys() - rules.labels)
    missing = rules.required - labels.keys()
    if labels.get("gen_ai.operation.name") == "execute_tool":
        missing -= {"gen_ai.provider.name"}  # the server of a tool is no GenAI provider
    yield from (f"missing label {label} of {name}" for label in missing)


def of_log(log: Mapping[str, Any]) -> Iterator[str]:
    """The violations of a log event."""
    name, attributes = log["event"], log["attributes"]
    if not name.startswith("gen_ai."):
        return
    rules = c.EVENTS.get(name)
    if rules is None:
        yield f"unknown event {name}"
        return
    yield from _attributes(attributes, c.ATTRIBUTES | c.OLD_ATTRIBUTES, ())
    yield from _content(attributes, "in an event")
    if rules.severity and log["severity"] != rules.severity:
        yield f"severity {log['severity']} of {name}"
    yield from (f"missing {each} of {name}" for each in rules.required - attributes.keys())
    if "exception.stacktrace" in rules.attributes - attributes.keys() and name.endswith(
        ".exception"
    ):
        yield f"no stack trace in {name}"


def undeclared(
    spans: Iterable[Mapping[str, Any]] = (),
    metrics: Iterable[Mapping[str, Any]] = (),
    logs: Iterable[Mapping[str, Any]] = (),
    *,
    exported: bool = False,
) -> set[str]:
    """The violations that are not declared as gaps."""
    found = {*violations(spans, metrics, logs, exported=exported)}
    return found - c.GAPS.keys() - c.ELSEWHERE.keys()


def violations(
    spans: Iterable[Mapping[str, Any]] = (),
    metrics: Iterable[Mapping[str, Any]] = (),
    logs: Iterable[Mapping[str, Any]] = (),
    *,
    exported: bool = False,
) -> Iterator[str]:
    """All violations, declared or not."""
    for span in spans:
        yield from of_span(span, exported=exported)
    for point in metrics:
        yield from of_metric(point)
    for log in logs:
        yield from of_log(log)


def _attributes(
    attributes: Mapping[str, Any], known: Mapping[str, str], more: Iterable[str]
) -> Iterator[str]:
    for name, value in attributes.items():
        plain = name.removesuffix(".sha256").removesuffix(".size").removesuffix("_ref")
        if name in known:
            if not c.of_type(value, known[name]):
                yield f"type of {name}: {type(value).__name__}"
            if name in c.VALUES and value not in c.VALUES[name]:
                yield f"value {value!r} of {name}"
        elif name.startswith("gen_ai.") and plain not in known and name not in more:
            yield f"unknown attribute {name}"


def _content(attributes: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, schema in SCHEMAS.items():
        if name not in attributes:
            continue
        value = attributes[name]
        if isinstance(value, str):
            yield f"text instead of a structured {name} {where}"
            value = json.loads(value)
        try:
            jsonschema.validate(value, schema)
        except jsonschema.ValidationError as error:
            yield f"schema of {name}: {error.message}"


def _close(found: Any, expected: Any) -> bool:
    if not found or not expected or len(found) != len(expected):
        return not found and not expected
    return all(abs(one - other) < 1e-9 for one, other in zip(found, expected, strict=True))
