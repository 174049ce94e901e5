"""Async methods. They run on litespan's event loop: the application's may be closed by then."""

import offline  # noqa: F401

import asyncio

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class Slow(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        await asyncio.sleep(0.2)  # such as a request to a service
        print("received call", kwargs["litellm_params"]["metadata"]["number"])

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        print("received a", type(kwargs["exception"]).__name__)


litespan.add_callback(Slow())  # was: litellm.callbacks = [Slow()]


async def ask(number):
    messages = [{"role": "user", "content": "Hello?"}]
    await litellm.acompletion("openai/gpt-4o-mini", messages, metadata={"number": number})


asyncio.run(ask(1))
asyncio.run(ask(2))
# The program ends here and both loops are closed. Both calls are still delivered.
