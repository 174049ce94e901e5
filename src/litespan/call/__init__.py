"""One live LiteLLM call: its span, its stream, its end."""
