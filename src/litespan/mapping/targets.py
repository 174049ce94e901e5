"""The functions of LiteLLM that litespan wraps: one table for patching and unpatching."""

from dataclasses import dataclass
from typing import Final

from litespan import semconv as s


@dataclass(frozen=True, slots=True)
class Operation:
    """What a LiteLLM function does, in the words of the GenAI conventions.

    `name` is `gen_ai.operation.name`; `output` is `gen_ai.output.type` where the function
    itself fixes it. The conventions have no name for rerank and moderation: these values
    are our own, as the conventions allow.
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


@dataclass(frozen=True, slots=True, eq=False)  # a key of caches: hashed by its identity
class Target:
    """One function: `call_type` is LiteLLM's own name for it.

    The function is looked up under `attribute` (default `call_type`) in each of `modules`;
    the names can hold different functions, one of which calls the other.
    """

    call_type: str
    operation: Operation
    modules: tuple[str, ...] = ("litellm", "litellm.main")
    attribute: str = ""

    @property
    def name(self) -> str:
        """The name under which the function stands in its modules."""
        return self.attribute or self.call_type

    @property
    def asynchronous(self) -> bool:
        """Whether its result is awaited."""
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

# Every method of `litellm.Router` runs its attempts through this one.
ROUTER: Final = Target(
    s.ROUTER_SPAN, CHAT, ("litellm.router",), "Router.async_function_with_fallbacks"
)
