"""The user and session of calls: `with litespan.context(user=…, session=…): …`.

The identity is stored in the OpenTelemetry context, so it propagates to asyncio tasks and to
threads that the context is passed to. It is never written to baggage, which would be sent to
the model provider.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from litespan.objects import safe_str

Scalar = str | bool | int | float

_KEY: Final = otel_context.create_key("litespan-identity")


@dataclass(frozen=True, slots=True)
class Identity:
    """User, session, tags and metadata of the calls inside a `context(...)` block."""

    user: str | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


NOBODY: Final = Identity()


def current(ctx: Context | None = None) -> Identity:
    """Return the identity in `ctx`, by default the current context."""
    identity = (otel_context.get_current() if ctx is None else ctx).get(_KEY)
    return identity if type(identity) is Identity else NOBODY


@contextmanager
def context(
    *,
    user: str | None = None,
    session: str | None = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, Scalar] | None = None,
) -> Iterator[None]:
    """Set the user, session, tags and metadata of every LiteLLM call in the block.

    Blocks nest: an inner block adds tags and metadata and overrides user and session. The
    call's own arguments (`user=`, `metadata=`) take precedence.

    Args:
        user: becomes `user.id`.
        session: becomes `session.id` and `gen_ai.conversation.id`.
        tags: become `litellm.tags`; a single string is one tag.
        metadata: becomes `litellm.metadata.<key>`; values are str, bool, int or float.
    """
    outer = current()
    added = map(safe_str, (tags,) if isinstance(tags, str) else tags)
    identity = Identity(
        user=outer.user if user is None else safe_str(user),
        session=outer.session if session is None else safe_str(session),
        tags=outer.tags + tuple(tag for tag in added if tag not in outer.tags),
        metadata={**outer.metadata, **(metadata or {})},
    )
    token = otel_context.attach(otel_context.set_value(_KEY, identity))
    try:
        yield
    finally:
        otel_context.detach(token)
