"""`litespan doctor`: finds what is wrong with a set-up, and says how to fix each problem.

A check is a function from a `Setup` to findings. Checks of packages, variables and LiteLLM's
configuration are pure; those of exporters and of the process try them out.
"""

from litespan.doctor.examine import examine
from litespan.doctor.setup import Finding, Setup, current_setup

__all__ = ["Finding", "Setup", "current_setup", "examine"]
