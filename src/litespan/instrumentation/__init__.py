"""Wrappers around LiteLLM's functions, and the life cycle of one call."""
