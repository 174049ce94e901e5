"""LiteLLM, instrumented, on the loopback provider; and handlers that keep what they are told."""

from tests.calls.conftest import quiet_litellm, traced

__all__ = ["quiet_litellm", "traced"]
