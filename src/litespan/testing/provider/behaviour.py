"""How one provider address behaves: the part of the URL before `/v1`.

`http://127.0.0.1:8080/status=429&times=2/v1` is a provider that refuses its first two
requests and answers the third. The address carries everything, so a behaviour reaches
any program that lets its base URL be set, in any process, on any of LiteLLM's routes,
and two deployments of one Router can differ.
"""

from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote

TEXT: Final = "Hello! How can I help you today?"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One provider's manners. The defaults are those of a healthy one.

    Raises ValueError for a name or a value that has no meaning here.
    """

    # --- failures before an answer ---
    status: int = 200
    """HTTP status; 400 and above answers with the provider's own error shape."""
    message: str = ""
    """Error text; empty: the provider's usual one. `{prompt}` is replaced by the request's text."""
    retry_after: float = -1.0
    """`Retry-After` header in seconds; negative: none."""
    delay: float = 0.0
    """Seconds before the answer begins."""
    reset: bool = False
    """Reset the connection (RST) instead of answering."""
    times: int = 0
    """The first so many requests meet this behaviour, later ones a healthy provider; 0: all."""
    id: int = 0
    """Tells apart two addresses with the same manners, so that each has its own `times`."""

    # --- what is said ---
    text: str = TEXT
    """The assistant's answer, the transcript, …"""
    finish: str = ""
    """Finish reason in the provider's own words; empty: its usual one.

    Of the Responses API the status: `completed`, `incomplete` or `failed`.
    """
    tool_calls: int = 1
    """Tool calls in the answer, when the request brings tools and no tool result yet."""

    # --- usage, in tokens ---
    usage: bool = True
    """False: no usage in any answer, as some self-hosted servers do."""
    input_tokens: int = 20
    """All input tokens, cached ones included."""
    output_tokens: int = 10
    """All output tokens, reasoning ones included."""
    cached_tokens: int = 0
    """Input tokens read from the provider's prompt cache."""
    cache_write_tokens: int = 0
    """Input tokens written to the provider's prompt cache (Anthropic only)."""
    reasoning_tokens: int = 0
    """Output tokens spent on reasoning; above 0 the answer carries a reasoning text."""

    # --- streams ---
    chunks: int = 0
    """Pieces of text in a stream (the text's words, repeated as needed); 0: one per word."""
    pause: float = 0.0
    """Seconds between two frames of a stream."""
    drop_after: int = -1
    """End the body cleanly after so many frames, without finish reason or `[DONE]`."""
    break_after: int = -1
    """Close the connection in mid-body after so many frames."""
    error_after: int = -1
    """Send an error frame after so many frames, and stop."""

    @property
    def fails(self) -> bool:
        """Whether the answer is an error."""
        return self.status >= HTTPStatus.BAD_REQUEST

    def path(self) -> str:
        """The URL segment that says this, such as `status=429&times=2`; empty when healthy.

        What is special in a URL is written `~` and two hex digits: HTTP clients decode and
        encode `%` as they like, and leave `~` alone.
        """
        said = [
            f"{field.name}={_text(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return "&".join(said)

    @staticmethod
    def parse(segment: str) -> "Behaviour":
        """The behaviour that `path()` wrote."""
        defaults = {field.name: field.default for field in fields(Behaviour)}
        said: dict[str, Any] = {}
        for part in filter(None, segment.split("&")):
            name, _, value = part.partition("=")
            if name not in defaults:
                raise ValueError(f"unknown behaviour {name!r}; known: {', '.join(defaults)}")
            said[name] = _value(name, unquote(value.replace("~", "%")), defaults[name])
        return replace(Behaviour(), **said)

    def pieces(self) -> list[str]:
        """The answer as a stream brings it, piece by piece."""
        words = self.text.split(" ")
        spaced = [words[0], *(f" {word}" for word in words[1:])]
        if not self.chunks:
            return spaced
        return [spaced[i % len(spaced)] for i in range(self.chunks)]

    def answer(self) -> str:
        """The whole answer: what the pieces add up to."""
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
