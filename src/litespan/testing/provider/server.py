"""The loopback provider: an HTTP server on 127.0.0.1 in a thread of this process."""

from itertools import count
from threading import Thread
from typing import Any

from litespan.testing.provider.behaviour import Behaviour
from litespan.testing.provider.http import Recorded, Server


class LoopbackProvider:
    """A provider to test against: `with LoopbackProvider() as provider: … provider.url`.

    It speaks OpenAI (chat, completions, responses, embeddings, images, audio, moderations),
    Anthropic (messages), Gemini (generateContent) and Cohere (rerank), plain and streamed,
    with fixed ids, times and usage. `url_for(status=429, times=2)` is the base URL of the same
    server with other manners: see `Behaviour`. Pass either as LiteLLM's `api_base`. A client
    whose HTTP proxy is `provider.root` may call it by any name: `http://api.anthropic.com/…`.
    """

    def __init__(self, port: int = 0) -> None:
        """Listen on 127.0.0.1:`port` (0: a free one). Raises OSError when it is taken."""
        self._server = Server(port)
        self._ids = count(1)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def root(self) -> str:
        """The server's address without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The base URL of a healthy provider."""
        return f"{self.root}/v1"

    def url_for(self, **behaviour: Any) -> str:
        """The base URL of a provider with these manners; each has its own count of `times`.

        Raises TypeError for a name that `Behaviour` does not have.
        """
        if behaviour.get("times"):
            behaviour = {"id": next(self._ids), **behaviour}
        segment = Behaviour(**behaviour).path()
        return f"{self.root}/{segment}/v1" if segment else self.url

    @property
    def requests(self) -> list[Recorded]:
        """Every request so far, in order of arrival."""
        with self._server.lock:
            return list(self._server.requests)

    def clear(self) -> None:
        """Forget the recorded requests."""
        with self._server.lock:
            self._server.requests.clear()

    def close(self) -> None:
        """Stop listening and end every open connection and pause. Safe to call twice."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()

    def __enter__(self) -> "LoopbackProvider":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
