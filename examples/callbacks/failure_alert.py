"""A message when a call fails: to the webhook whose URL is the argument, else printed.

For alerts with rules, such as budgets, see litespan's exporters for Slack and others.
"""

import offline  # noqa: F401

import asyncio
import sys

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class Alert(CustomLogger):
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        text = f"{kwargs['model']} failed: {type(kwargs['exception']).__name__}"
        if len(sys.argv) < 2:
            print(text)
            return
        async with httpx.AsyncClient() as client:
            await client.post(sys.argv[1], json={"text": text})


litespan.add_callback(Alert())  # was: litellm.callbacks = [Alert()]


async def main():
    hello = [{"role": "user", "content": "Hello?"}]
    await litellm.acompletion("openai/gpt-4o-mini", hello)
    try:
        await litellm.acompletion("openai/gpt-4o", hello, mock_response="litellm.RateLimitError")
    except litellm.RateLimitError:
        pass


asyncio.run(main())
