"""LiteLLM, instrumented, on the loopback provider."""

from tests.support.calls import capture, quiet_litellm, traced

__all__ = ["capture", "quiet_litellm", "traced"]
