"""The loopback provider: an HTTP server on 127.0.0.1 in a thread of this process."""

from itertools import count
from threading import Thread
from typing import Any

from litespan.testing.provider.behaviour import Behaviour
from litespan.testing.provider.http import Recorded, Server


class LoopbackProvider:
    """A model provider for tests: `with LoopbackProvider() as provider: … provider.url`.

    It implements the APIs of OpenAI (chat, completions, responses, embeddings, images, audio,
    moderations, videos, files, batches, vector stores, …), Anthropic (messages, skills), Gemini
    (generateContent, interactions), Cohere (rerank), Mistral (OCR) and Perplexity (search), plain
    and streamed, with fixed ids, times and usage. `url_for(status=429, times=2)` is a base URL of
    the same server with another `Behaviour`. Pass either as LiteLLM's `api_base`. A client with
    `provider.root` as its HTTP proxy may use any host name: `http://api.anthropic.com/…`.
    """

    def __init__(self, port: int = 0) -> None:
        """Listen on 127.0.0.1:`port` (0: any free port). Raises OSError if it is in use."""
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
        """The base URL with the default behaviour."""
        return f"{self.root}/v1"

    def url_for(self, **behaviour: Any) -> str:
        """The base URL with another behaviour; each URL counts its `times` separately.

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
        """Clear the recorded requests."""
        with self._server.lock:
            self._server.requests.clear()

    def close(self) -> None:
        """Stop listening, close all connections and end all pauses. Safe to call twice."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()

    def __enter__(self) -> "LoopbackProvider":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
