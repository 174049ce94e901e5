"""Whoever waits for a call's result over a network, such as a client of LiteLLM's proxy."""

from typing import Final

from opentelemetry import context as otel_context

from litespan.mapping.failures import Failure

CLIENT_KEY: Final = otel_context.create_key("litespan-client")


class Client:
    """Found in a call's context under `CLIENT_KEY`.

    Attributes:
        gone: whether it has hung up: a stream that is given up then was cancelled by it.
        called: whether a provider was called for it.
        failure: why the last answer failed that the provider had begun to give, if it did.
    """

    def __init__(self) -> None:
        self.gone = False
        self.called = False
        self.failure: Failure | None = None
