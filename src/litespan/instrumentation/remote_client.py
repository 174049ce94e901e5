"""The remote client that waits for a call, such as a client of LiteLLM's proxy."""

from collections.abc import Mapping
from typing import Final

from opentelemetry import context as otel_context

from litespan.mapping.failures import Failure
from litespan.mapping.team_settings import NONE, TeamSettings

CLIENT_KEY: Final = otel_context.create_key("litespan-client")


class Client:
    """The client of a call; the call's context holds it under `CLIENT_KEY`.

    Attributes:
        gone: whether it has disconnected. A stream abandoned after that counts as cancelled.
        called: whether a provider was called for it.
        who: identity attributes of its API key, None where the key has no value.
        team: the litespan settings of its API key and team.
        failure: why the last answer failed after it had started, or None.
    """

    def __init__(self) -> None:
        self.gone = False
        self.called = False
        self.who: Mapping[str, str | None] = {}
        self.team: TeamSettings = NONE
        self.failure: Failure | None = None
