"""Calls that start, succeed and fail, sent to different exporters.

Their files are in the folder that the argument names, by default the current one.
"""

import offline  # noqa: F401

import os
import sys

import litellm
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import litespan

folder = sys.argv[1] if len(sys.argv) > 1 else "."
os.environ["LITESPAN_SQLITE"] = f"{folder}/calls.db"
os.environ["LITESPAN_JSONL"] = f"{folder}/good.jsonl"
os.environ["LITESPAN_CSV"] = f"{folder}/bad.csv"
trace.set_tracer_provider(TracerProvider())  # `opentelemetry-instrument` does this for you

litespan.configure(
    input=["sqlite"],  # was: litellm.input_callback = […]
    success=["jsonl"],  # was: litellm.success_callback = […]
    failure=["csv", "sqlite"],  # was: litellm.failure_callback = […]
)

hello = [{"role": "user", "content": "Hello?"}]
litellm.completion("openai/gpt-4o-mini", hello, user="alice")
try:
    litellm.completion("openai/gpt-4o", hello, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    pass
