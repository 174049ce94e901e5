"""LiteLLM's functions become spans: what is wrapped, and the life of one call."""
