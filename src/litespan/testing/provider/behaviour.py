"""The behaviour of the loopback provider: the part of its base URL before `/v1`.

`http://127.0.0.1:8080/status=429&times=2/v1` is a provider that refuses its first two
requests and answers the third. The URL has the whole behaviour, so it works for any program with
a configurable base URL, in any process, and two deployments of one Router can differ.
"""

from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote

TEXT: Final = "Hello! How can I help you today?"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a provider behaves. With the defaults it answers every request normally."""

    # --- failures before an answer ---
    status: int = 200
    """HTTP status; for 400 and above the answer has the provider's own error format."""
    message: str = ""
    """Error text; empty: the provider's usual one. `{prompt}` is replaced by the prompt."""
    retry_after: float = -1.0
    """`Retry-After` header in seconds; negative: no header."""
    delay: float = 0.0
    """Seconds before the answer starts."""
    reset: bool = False
    """Reset the connection (RST) instead of answering."""
    times: int = 0
    """The number of requests with this behaviour; later ones get a normal answer. 0: all."""
    id: int = 0
    """Distinguishes two URLs with the same behaviour, so that each has its own `times`."""

    # --- the answer ---
    text: str = TEXT
    """The assistant's answer, the transcript, …"""
    finish: str = ""
    """Finish reason as the provider writes it; empty: its usual one.

    For the Responses API the status: `completed`, `incomplete` or `failed`.
    """
    tool_calls: int = 1
    """Tool calls in the answer, if the request has tools and no tool result."""

    # --- usage, in tokens ---
    usage: bool = True
    """False: no answer has usage, as with some self-hosted servers."""
    input_tokens: int = 20
    """All input tokens, including cached ones."""
    output_tokens: int = 10
    """All output tokens, including reasoning."""
    cached_tokens: int = 0
    """Input tokens read from the provider's prompt cache."""
    cache_write_tokens: int = 0
    """Input tokens written to the provider's prompt cache (Anthropic only)."""
    audio_tokens: int = 0
    image_tokens: int = 0
    """Input tokens of audio and images; above 0, OpenAI's usage has them by modality."""
    reasoning_tokens: int = 0
    """Output tokens for reasoning; above 0 the answer has a reasoning text."""

    # --- streams ---
    chunks: int = 0
    """Pieces of text in a stream (the text's words, repeated as needed); 0: one per word."""
    pause: float = 0.0
    """Seconds between two frames of a stream."""
    drop_after: int = -1
    """End the body cleanly after this number of frames, without finish reason or `[DONE]`."""
    break_after: int = -1
    """Close the connection in the middle of the body after this number of frames."""
    error_after: int = -1
    """Send an error frame after this number of frames, and stop."""

    @property
    def fails(self) -> bool:
        """Whether the answer is an error."""
        return self.status >= HTTPStatus.BAD_REQUEST

    def path(self) -> str:
        """The URL segment of this behaviour, such as `status=429&times=2`; empty for the default.

        Reserved characters are written as `~` and two hex digits: HTTP clients may decode and
        encode `%`, but leave `~` unchanged.
        """
        parts = [
            f"{field.name}={_text(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return "&".join(parts)

    @staticmethod
    def parse(segment: str) -> "Behaviour":
        """The behaviour of a segment from `path()`.

        Raises ValueError for an unknown name or an invalid value.
        """
        defaults = {field.name: field.default for field in fields(Behaviour)}
        values: dict[str, Any] = {}
        for part in filter(None, segment.split("&")):
            name, _, value = part.partition("=")
            if name not in defaults:
                raise ValueError(f"unknown behaviour {name!r}; known: {', '.join(defaults)}")
            values[name] = _value(name, unquote(value.replace("~", "%")), defaults[name])
        return replace(Behaviour(), **values)

    def pieces(self) -> list[str]:
        """The answer's text in pieces, one per chunk of a stream."""
        words = self.text.split(" ")
        spaced = [words[0], *(f" {word}" for word in words[1:])]
        if not self.chunks:
            return spaced
        return [spaced[i % len(spaced)] for i in range(self.chunks)]

    def answer(self) -> str:
        """The whole text of the answer."""
        return "".join(self.pieces())


def split_path(path: str) -> tuple[str, Behaviour]:
    """`/status=500/v1/embeddings` → `("/v1/embeddings", Behaviour(status=500))`."""
    first, _, rest = path.lstrip("/").partition("/")
    if "=" not in first:
        return path, Behaviour()
    return f"/{rest}", Behaviour.parse(first)


def _text(value: object) -> str:
    text = str(int(value)) if isinstance(value, bool) else str(value)
    return quote(text, safe="").replace("~", "%7E").replace("%", "~")


def _value(name: str, text: str, default: object) -> int | float | bool | str:
    kind = type(default)
    try:
        if kind is bool:
            return bool(int(text))
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
    except ValueError:
        raise ValueError(f"behaviour {name}={text!r} is not a number") from None
    return text
