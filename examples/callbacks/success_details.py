"""The data of a successful call."""

import offline  # noqa: F401

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


class Details(CustomLogger):
    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        print("model:", kwargs["model"])
        print("messages:", len(kwargs["messages"]))
        print("user:", kwargs["user"])
        print("metadata:", kwargs["litellm_params"]["metadata"])
        print("answer:", response_obj["choices"][0]["message"]["content"])
        print("tokens:", response_obj.usage.total_tokens)
        print(f"cost: ${kwargs['response_cost']:.6f}")
        print("took more than nothing:", end_time > start_time)
        print("provider:", kwargs["standard_logging_object"]["custom_llm_provider"])


litespan.add_callback(Details())  # was: litellm.callbacks = [Details()]

litellm.completion(
    "openai/gpt-4o-mini",
    [{"role": "user", "content": "Hello?"}],
    user="alice",
    metadata={"feature": "search"},
)
