"""A handler with state."""

import offline  # noqa: F401

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class CallCounter(CustomLogger):
    def __init__(self):
        super().__init__()
        self.succeeded = 0
        self.failed = 0

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.succeeded += 1

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.failed += 1


counter = CallCounter()
# One stage at a time, so that counting is safe.
litespan.add_callback(counter, concurrency=1)  # was: litellm.callbacks = [counter]

hello = [{"role": "user", "content": "Hello?"}]
for _ in range(3):
    litellm.completion("openai/gpt-4o-mini", hello)
try:
    litellm.completion("openai/gpt-4o-mini", hello, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    pass

litespan.flush(10)
print(counter.succeeded, "succeeded,", counter.failed, "failed")
