"""An action that depends on the answer: a positive one puts a ticket on a queue."""

import offline  # noqa: F401

import queue

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan

tickets = queue.Queue()


class Tickets(CustomLogger):
    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        answer = response_obj["choices"][0]["message"]["content"]
        if "positive" in answer.lower():
            tickets.put({"customer": kwargs["user"], "text": kwargs["messages"][-1]["content"]})


litespan.add_callback(Tickets())  # was: litellm.callbacks = [Tickets()]

REVIEWS = {"alice": ("I love it", "Positive."), "bob": ("It broke", "Negative.")}
for user, (review, answer) in REVIEWS.items():
    messages = [
        {"role": "system", "content": "Is this review positive or negative?"},
        {"role": "user", "content": review},
    ]
    litellm.completion("openai/gpt-4o-mini", messages, user=user, mock_response=answer)

litespan.flush(10)
while not tickets.empty():
    print(tickets.get())
