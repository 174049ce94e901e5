"""LiteLLM, instrumented, on the loopback provider; a clean log."""

from tests.support.calls import quiet_litellm, traced
from tests.support.logs import fresh_logs

__all__ = ["fresh_logs", "quiet_litellm", "traced"]
