"""Pure functions that convert LiteLLM's arguments and results to span attributes."""
