"""Where litespan hooks into LiteLLM, and how it lets go again."""
