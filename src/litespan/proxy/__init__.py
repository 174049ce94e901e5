"""LiteLLM's proxy: `litellm_settings: {callbacks: litespan.proxy.handler}` in its `config.yaml`.

LiteLLM may import this module before its own import is complete, so nothing is set up until
`handler` is first accessed. See `docs/proxy.md`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    handler: Any

__all__ = ["handler"]


def __getattr__(name: str) -> Any:
    """`handler`, set up at first access; misspelled names work, too."""
    if name == "handler" or _is_misspelled(name):
        from litespan.proxy import entry

        return entry.handler(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has 'handler'")


def _is_misspelled(name: str) -> bool:
    from difflib import get_close_matches

    known = "handler" in name.lower() or get_close_matches(name.lower(), ["handler"], 1, 0.75)
    return not name.startswith("_") and bool(known)
