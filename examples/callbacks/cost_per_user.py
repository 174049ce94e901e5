"""The cost per user."""

import offline  # noqa: F401

from collections import Counter

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class CostTracker(CustomLogger):
    def __init__(self):
        super().__init__()
        self.cost = Counter()
        self.calls = Counter()

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        user = kwargs["user"] or "nobody"
        self.calls[user] += 1
        self.cost[user] += kwargs.get("response_cost", 0.0)  # missing if the price is unknown


tracker = CostTracker()
litespan.add_callback(tracker, concurrency=1)  # was: litellm.callbacks = [tracker]

hello = [{"role": "user", "content": "Hello?"}]
for user in ("alice", "bob", "alice"):
    litellm.completion("openai/gpt-4o-mini", hello, user=user)
with litespan.context(user="carol"):  # or for a whole block
    litellm.completion("openai/gpt-4o-mini", hello)

litespan.flush(10)
for user, cost in sorted(tracker.cost.items()):
    print(f"{user}: {tracker.calls[user]} calls, ${cost:.6f}")
