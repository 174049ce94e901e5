"""`import offline`: without an API key, a local provider answers the program's requests."""

import os

if "OPENAI_API_KEY" not in os.environ:
    from litespan.testing import LoopbackProvider

    provider = LoopbackProvider()
    os.environ["OPENAI_API_KEY"] = "offline"
    os.environ["OPENAI_BASE_URL"] = provider.url
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
