"""The generic webhook's signature, as a receiver checks it."""

import hashlib
import hmac
import time

import pytest

from litespan_exporters.webhook import SIGNATURE, WebhookExporter, signature
from tests.alerting.calls import RATE_LIMIT, span
from tests.support.server import Received, Reply, running

SECRET = "a shared secret"


def test_the_signature_equals_the_one_of_openssl() -> None:
    """The expected value is from another tool.

    printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a shared secret'
    """
    assert signature(SECRET, b'{"a":1}', 1_700_000_000) == (
        "t=1700000000,v1=ef23e49b675f867e011b03c7b15d2eea3779f42e414e32f844cdfbc0b5a8cb49"
    )


@pytest.mark.parametrize("secret", [SECRET, ""])
def test_the_body_that_arrives_is_the_signed_one(secret: str) -> None:
    """The time is now; without a secret there is no signature."""
    requests: list[Received] = []

    def accept(request: Received) -> Reply:
        requests.append(request)
        return Reply(200)

    with running(accept) as server:
        exporter = WebhookExporter(url=f"{server.url}/alerts", secret=secret)
        exporter.export([span(**RATE_LIMIT)])
        assert exporter.force_flush(10_000)
        exporter.shutdown()
    (request,) = requests
    given = {name.lower(): value for name, value in request.headers.items()}.get(SIGNATURE.lower())
    if not secret:
        assert given is None
        return
    assert given is not None
    at, signed = (part.split("=", 1)[1] for part in given.split(","))
    expected = hmac.new(secret.encode(), f"{at}.".encode() + request.body, hashlib.sha256)
    assert hmac.compare_digest(signed, expected.hexdigest())
    assert abs(int(at) - time.time()) < 60
    assert secret not in repr(exporter)
