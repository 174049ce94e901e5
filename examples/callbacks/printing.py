"""All stages of a plain call, a stream, and a call that fails."""

import offline  # noqa: F401

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class Printer(CustomLogger):
    def log_pre_api_call(self, model, messages, kwargs):
        print("before:", model, messages[-1]["content"])

    def log_post_api_call(self, kwargs, response_obj, start_time, end_time):
        print("after: ", (end_time - start_time).total_seconds() > 0)

    def log_stream_event(self, kwargs, response_obj, start_time, end_time):
        print("chunk: ", response_obj.choices[0].delta.content)

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        print("success:", response_obj.choices[0].message.content)

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        print("failure:", type(kwargs["exception"]).__name__)


# One stage at a time: otherwise the lines of concurrent calls would mix.
litespan.add_callback(Printer(), concurrency=1)  # was: litellm.callbacks = [Printer()]

hello = [{"role": "user", "content": "Hello?"}]
litellm.completion("openai/gpt-4o-mini", hello)
for chunk in litellm.completion("openai/gpt-4o-mini", hello, stream=True):
    pass
try:
    litellm.completion("openai/gpt-4o-mini", hello, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    pass
