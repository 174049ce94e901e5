"""An operator's own `proxy_callbacks.py`, as LiteLLM's documentation has it; copied to the config.

Each event is a line in `events.txt`.
"""

import os
import threading
from pathlib import Path
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

with Path("loads.txt").open("a") as loads:
    loads.write(f"{os.getpid()}\n")


class Diary(CustomLogger):
    """Writes down each event, and whether LiteLLM's or litespan's threads delivered it."""

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """A call succeeded."""
        teller = "litespan" if threading.current_thread().name.startswith("litespan") else "LiteLLM"
        metadata = kwargs["litellm_params"]["metadata"]
        line = f"{teller} {kwargs['litellm_call_id']} {metadata.get('user_api_key_team_id')}\n"
        with Path("events.txt").open("a") as file:  # noqa: ASYNC230 - one line
            file.write(line)


diary = Diary()
