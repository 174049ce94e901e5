"""The generic API's own rules: JSONL records, batches, headers, and a signature for each batch."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan_exporters.generic_api import GenericApiExporter
from litespan_exporters.jsonl import JsonlExporter
from tests.cases import CASES, OTHERS
from tests.stores.places import calls
from tests.support.server import Received, Reply, in_turn, running

SIGNING = "whsec-0123456789"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of a URL."""
    for name in ("URL", "SECRET", "HEADERS"):
        monkeypatch.delenv(f"LITESPAN_GENERIC_API_{name}", raising=False)


def is_genuine(request: Received) -> bool:
    """As a receiver checks it, from the description on the page."""
    fields = dict(part.split("=", 1) for part in request.headers["x-signature-256"].split(","))
    signed = fields["t"].encode() + b"." + request.body
    digest = hmac.new(SIGNING.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest, fields["v1"])


def test_records_are_those_of_a_jsonl_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One record per call, and none for other spans; the configured headers are sent."""
    file = tmp_path / "calls.jsonl"
    stored = JsonlExporter(file)
    cases = [CASES[name] for name in ("chat", "tool_call", "stream", "embedding", "failure")]
    stored.export(cases)
    stored.shutdown()
    with running(lambda _: Reply(204)) as vendor:
        monkeypatch.setenv("LITESPAN_GENERIC_API_URL", f"{vendor.url}/hook")
        monkeypatch.setenv("LITESPAN_GENERIC_API_HEADERS", "Authorization=Bearer%20x,X-Team=shop")
        exporter = GenericApiExporter()
        assert exporter.export([*cases, *OTHERS.values()]) is SpanExportResult.SUCCESS
        exporter.shutdown()
        (request,) = vendor.received
    assert (request.path, request.headers["content-type"]) == ("/hook", "application/json")
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["x-team"] == "shop"
    assert "x-signature-256" not in request.headers
    assert json.loads(request.body) == [json.loads(line) for line in file.open()]


def test_each_batch_is_signed() -> None:
    """Including those of a split: 250 calls in three batches, one of which is refused once."""
    with running(lambda _: Reply(200), in_turn(Reply(413))) as vendor:
        exporter = GenericApiExporter(vendor.url, SIGNING, backoff=0.02)
        assert exporter.export(calls(range(250))) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert all(is_genuine(request) for request in vendor.received)
    taken = [record["key"] for r in vendor.received[1:] for record in json.loads(r.body)]
    assert len(taken) == len(set(taken)) == 250
    assert max(len(json.loads(request.body)) for request in vendor.received) == 100


def test_content_false_sends_no_message() -> None:
    """`content=False` leaves out messages even if the span has them."""
    with running(lambda _: Reply(200)) as vendor:
        exporter = GenericApiExporter(vendor.url, content=False)
        exporter.export([CASES["multimodal"]])
        exporter.shutdown()
        (request,) = vendor.received
    (record,) = json.loads(request.body)
    assert "What is in these pictures?" not in request.body.decode()
    assert record["input_tokens"] == 1105
