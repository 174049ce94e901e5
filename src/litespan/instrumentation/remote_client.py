"""Whoever waits for a call's result over a network, such as a client of LiteLLM's proxy."""

from collections.abc import Mapping
from typing import Final

from opentelemetry import context as otel_context

from litespan.mapping.failures import Failure
from litespan.mapping.team_settings import NONE, TeamWishes

CLIENT_KEY: Final = otel_context.create_key("litespan-client")


class Client:
    """Found in a call's context under `CLIENT_KEY`.

    Attributes:
        gone: whether it has hung up: a stream that is given up then was cancelled by it.
        called: whether a provider was called for it.
        who: the attributes of that key, None where it has none, once it is known.
        team: what the key, by which the proxy has let it in, and the key's team ask of litespan.
        failure: why the last answer failed that the provider had begun to give, if it did.
    """

    def __init__(self) -> None:
        self.gone = False
        self.called = False
        self.who: Mapping[str, str | None] = {}
        self.team: TeamWishes = NONE
        self.failure: Failure | None = None
