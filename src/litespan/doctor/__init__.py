"""`litespan doctor`: finds problems in a set-up, and how to fix each of them.

A check is a function from a `Setup` to findings. Checks of packages, variables and LiteLLM's
configuration are pure; those of exporters and of the process try them out.
"""

from litespan.doctor.examine import examine
from litespan.doctor.setup import Finding, Setup, current_setup

__all__ = ["Finding", "Setup", "current_setup", "examine"]
