"""One row per call in your own database: the argument, by default calls.db.

litespan has stores for SQLite, PostgreSQL and others; this is for tables of your own.
"""

import offline  # noqa: F401

import sqlite3
import sys

import litellm
from litellm.integrations.custom_logger import CustomLogger

import litespan

TABLE = """
    create table if not exists llm (call text, model text, tokens integer, cost real, error text)
"""


class DatabaseLogger(CustomLogger):
    def __init__(self, path):
        super().__init__()
        self.path = path
        with sqlite3.connect(path) as database:
            database.execute(TABLE)

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.insert(kwargs, response_obj.usage.total_tokens, None)

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.insert(kwargs, None, type(kwargs["exception"]).__name__)

    def insert(self, kwargs, tokens, error):
        row = (
            kwargs["litellm_call_id"],
            kwargs["model"],
            tokens,
            kwargs.get("response_cost"),
            error,
        )
        with sqlite3.connect(self.path) as database:
            database.execute("insert into llm values (?, ?, ?, ?, ?)", row)


path = sys.argv[1] if len(sys.argv) > 1 else "calls.db"
litespan.add_callback(DatabaseLogger(path))  # was: litellm.callbacks = [DatabaseLogger(…)]

hello = [{"role": "user", "content": "Hello?"}]
litellm.completion("openai/gpt-4o-mini", hello)
try:
    litellm.completion("openai/gpt-4o-mini", hello, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    pass
