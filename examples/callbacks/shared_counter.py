"""State that several workers share, in Redis (`pip install redis`, and `redis-server`).

The argument is its URL, by default redis://127.0.0.1:6379.

Each worker process has its own handler, so shared state must be outside.
"""

import offline  # noqa: F401

import multiprocessing
import sys

import litellm
import redis
from litellm.integrations.custom_logger import CustomLogger

import litespan


class SharedCounter(CustomLogger):
    def __init__(self, url):
        super().__init__()
        self.redis = redis.Redis.from_url(url)

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.redis.hincrby("calls", kwargs["model"], 1)
        self.redis.hincrbyfloat("cost", kwargs["model"], kwargs.get("response_cost", 0.0))


def work(count):
    for _ in range(count):
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hello?"}])


URL = sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379"
litespan.add_callback(SharedCounter(URL))  # was: litellm.callbacks = [SharedCounter(…)]

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work, args=[count]) for count in (2, 3, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    totals = redis.Redis.from_url(URL, decode_responses=True)
    print(totals.hget("calls", "gpt-4o-mini"), "calls")
    print(f"${float(totals.hget('cost', 'gpt-4o-mini')):.6f}")
