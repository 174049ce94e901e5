"""One line of JSON per call in a file: the argument, by default calls.jsonl."""

import offline  # noqa: F401

import json
import sys
from threading import Lock

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class FileLogger(CustomLogger):
    def __init__(self, path):
        super().__init__()
        self.path = path
        self.lock = Lock()  # sync methods of different calls may run concurrently

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs, start_time, answer=response_obj["choices"][0]["message"]["content"])

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs, start_time, error=str(kwargs["exception"]))

    def write(self, kwargs, start_time, **what):
        line = {
            "time": start_time.isoformat(),
            "call": kwargs["litellm_call_id"],
            "model": kwargs["model"],
            "cost": kwargs.get("response_cost"),
            **what,
        }
        with self.lock, open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


path = sys.argv[1] if len(sys.argv) > 1 else "calls.jsonl"
litespan.add_callback(FileLogger(path))  # was: litellm.callbacks = [FileLogger(…)]

hello = [{"role": "user", "content": "Hello?"}]
litellm.completion("openai/gpt-4o-mini", hello)
try:
    litellm.completion("openai/gpt-4o-mini", hello, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    pass
