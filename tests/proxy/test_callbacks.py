"""An operator's own `proxy_callbacks.py` beside the config."""

from pathlib import Path

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.conftest import FILES, config
from tests.proxy.running import HERE, KEY, proxy, until


def test_a_callback_works_in_both_lists(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path: Path
) -> None:
    """LiteLLM and LITESPAN_CALLBACKS use the same instance, and run its module once."""
    settings = config(loopback)
    settings["litellm_settings"]["callbacks"] = ["proxy_callbacks.diary", "litespan.proxy.handler"]
    files = {**FILES, "proxy_callbacks.py": (HERE / "handlers.py").read_text()}
    env = {"LITESPAN_CALLBACKS": "proxy_callbacks.diary"}
    with proxy(
        tmp_path / "gateway", settings, loopback, collector, files=files, env=env
    ) as running:
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
        answer = running.client(KEY).post("/v1/chat/completions", json=body)
        call_id = answer.headers["x-litellm-call-id"]
        events = tmp_path / "gateway" / "events.txt"

        def told() -> list[str]:
            return sorted(events.read_text().splitlines()) if events.exists() else []

        until(lambda: len(told()) >= 2, "two tellings")
        assert told() == [f"LiteLLM {call_id} team-blue", f"litespan {call_id} team-blue"]
        assert len((tmp_path / "gateway" / "loads.txt").read_text().splitlines()) == 1
