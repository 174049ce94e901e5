"""Heavy work in another process: the handler only puts a task on a queue."""

import offline  # noqa: F401

import multiprocessing

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan


def worker(tasks):
    for text in iter(tasks.get, None):
        print("worked on:", sum(map(ord, text)))  # such as an evaluation of the answer


class Handover(CustomLogger):
    def __init__(self, tasks):
        super().__init__()
        self.tasks = tasks

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.tasks.put(response_obj["choices"][0]["message"]["content"])


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    tasks = fork.Queue()
    process = fork.Process(target=worker, args=[tasks])
    process.start()
    litespan.add_callback(Handover(tasks))  # was: litellm.callbacks = [Handover(tasks)]

    for _ in range(2):
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hello?"}])

    litespan.flush(10)  # until the handler has put all tasks on the queue
    tasks.put(None)
    process.join()
