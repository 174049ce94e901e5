"""Pure functions: LiteLLM's arguments and results → span attributes."""
