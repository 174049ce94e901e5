"""What must hold before any test imports LiteLLM."""

import os

# LiteLLM fetches its price map from the network while it is imported, unless told not to.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

pytest_plugins = ["tests.support.fixtures", "tests.support.golden"]
