"""The table of LiteLLM functions that litespan wraps."""

from dataclasses import dataclass
from typing import Final

from litespan import semconv as s


@dataclass(frozen=True, slots=True)
class Operation:
    """The GenAI operation of a LiteLLM function.

    `name` is `gen_ai.operation.name`; `output` is `gen_ai.output.type` if the function determines
    it. The conventions have no name for rerank and moderation, and allow custom values.
    """

    name: str
    output: str | None = None


CHAT: Final = Operation("chat")
TEXT: Final = Operation("text_completion")
EMBEDDINGS: Final = Operation("embeddings")
IMAGE: Final = Operation("generate_content", "image")
TRANSCRIPT: Final = Operation("generate_content", "text")
SPEECH: Final = Operation("generate_content", "speech")
RERANK: Final = Operation("rerank")
MODERATION: Final = Operation("litellm.moderation")


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, because it is a cache key
class Target:
    """One function; `call_type` is LiteLLM's name for it.

    Each of `modules` has the function under `attribute` (default `call_type`). These can be
    different functions, one of which calls the other.
    """

    call_type: str
    operation: Operation
    modules: tuple[str, ...] = ("litellm", "litellm.main")
    attribute: str = ""

    @property
    def name(self) -> str:
        """The name of the function in its modules."""
        return self.attribute or self.call_type

    @property
    def asynchronous(self) -> bool:
        """Whether the function is async."""
        return self.call_type.startswith("a") and self.attribute != "create"


def _pair(call_type: str, operation: Operation) -> tuple[Target, Target]:
    return Target(call_type, operation), Target(f"a{call_type}", operation)


TARGETS: Final[tuple[Target, ...]] = (
    *_pair("completion", CHAT),
    *_pair("text_completion", TEXT),
    *_pair("embedding", EMBEDDINGS),
    *_pair("responses", CHAT),
    *_pair("image_generation", IMAGE),
    *_pair("image_edit", IMAGE),
    *_pair("image_variation", IMAGE),
    *_pair("transcription", TRANSCRIPT),
    *_pair("speech", SPEECH),
    *_pair("rerank", RERANK),
    *_pair("moderation", MODERATION),
    Target("anthropic_messages", CHAT, ("litellm",)),
    Target("anthropic_messages", CHAT, ("litellm.anthropic_interface.messages",), "create"),
)

# All methods of `litellm.Router` run their attempts through this one.
ROUTER: Final = Target(
    s.ROUTER_SPAN, CHAT, ("litellm.router",), "Router.async_function_with_fallbacks"
)
