"""Record what the vendors' own SDKs send for one good and one failed call.

    python -m venv sdks
    sdks/bin/pip install athina-logger==1.3.0 lunary==1.4.41 openai posthog==7.91.1 \
        requests supabase==2.34.1
    sdks/bin/python tests/exporters/reference/record.py

Writes `athina.json`, `lunary.json`, `posthog.json` and `supabase.json` beside this file: the
versions, and each request with method, path, headers and JSON body. Nothing leaves loopback.
"""
# mypy: ignore-errors
# ruff: noqa: D103, INP001 - a script: each function records one SDK, and returns its packages

import gzip
import json
import os
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Say hello."},
]
CALL = "5f2b2d3e-8a0f-4c53-9d2a-0a1b2c3d4e5f"
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795165987,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello!"},
        }
    ],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
SHOWN = ("content-type", "content-profile", "prefer", "authorization", "apikey", "athina-api-key")
received = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/v1/chat/completions":
            failed = json.loads(body).get("user") == "fail"
            answer = {"error": {"message": "slow down"}} if failed else ANSWER
            self.reply(429 if failed else 200, answer)
            return
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name: self.headers[name] for name in SHOWN if self.headers.get(name)}
        received.append(
            {"method": "POST", "path": self.path, "headers": headers, "body": json.loads(body)}
        )
        self.reply(200, [] if self.path.startswith("/rest") else {})

    def do_GET(self):
        self.reply(200, {})

    def reply(self, status, value):
        answer = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


def athina():
    os.environ["API_BASE_URL"] = URL
    from athina_logger.api_key import AthinaApiKey
    from athina_logger.inference_logger import InferenceLogger

    AthinaApiKey.set_api_key("athina-key")
    common = {
        "prompt": MESSAGES,
        "language_model_id": "gpt-4o-mini",
        "environment": "production",
        "external_reference_id": CALL,
        "customer_user_id": "user-42",
        "session_id": "sess-7",
        "user_query": "Say hello.",
        "response_time": 1250,
        "custom_attributes": {"provider": "openai"},
        "model_options": {
            "temperature": 0.2,
            "max_completion_tokens": 256,
            "top_p": 0.9,
            "stop": ["x"],
        },
    }
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, "cost": 9e-06}
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    calls = [
        {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    ]
    InferenceLogger.log_inference(
        response=ANSWER, **common, **usage, tools=tools, tool_calls=calls, customer_id="customer-9"
    )
    time.sleep(1)
    InferenceLogger.log_inference(**common)
    time.sleep(1)
    return ["athina-logger"]


def lunary():
    os.environ.update(LUNARY_PUBLIC_KEY="lunary-key", LUNARY_API_URL=URL)
    import lunary

    def at(s):
        return datetime.fromtimestamp(1795165987 + s, timezone.utc).isoformat()

    for run, failed in ((CALL, False), ("a call", True)):
        lunary.track_event(
            "llm",
            "start",
            run,
            name="gpt-4o-mini",
            input=MESSAGES,
            user_id="user-42",
            tags=["checkout"],
            params={"temperature": 0.2},
            metadata={"feature": "refund"},
            timestamp=at(0),
            parent_run_id="chain",
        )
        if failed:
            lunary.track_event(
                "llm", "error", run, error={"message": "slow down", "stack": "…"}, timestamp=at(1)
            )
        else:
            lunary.track_event(
                "llm",
                "end",
                run,
                output={"role": "assistant", "content": "Hello!"},
                token_usage={"prompt": 20, "completion": 10, "promptCached": 4},
                timestamp=at(1),
            )
    time.sleep(1.5)
    return ["lunary"]


def posthog():
    from openai import RateLimitError
    from posthog import Posthog
    from posthog.ai.openai import OpenAI

    client = Posthog("phc_key", host=URL, flush_interval=0.1)
    model = OpenAI(api_key="x", base_url=f"{URL}/v1", posthog_client=client, max_retries=0)
    asked = {"model": "gpt-4o-mini", "messages": MESSAGES, "temperature": 0.2, "max_tokens": 256}
    shown = {"posthog_distinct_id": "user-42", "posthog_trace_id": CALL}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
    model.chat.completions.create(**asked, **shown, tools=tools)
    with suppress(RateLimitError):
        model.chat.completions.create(**asked, posthog_trace_id=CALL, user="fail")
    client.shutdown()
    return ["posthog", "openai"]


def supabase():
    from supabase import create_client

    client = create_client(URL, "sb_secret_key")
    row = {"litellm_call_id": CALL, "model": "gpt-4o", "status": "success", "total_cost": 9e-06}
    rows = [row, {**row, "litellm_call_id": "other"}]
    client.table("request_logs").upsert(row, on_conflict="litellm_call_id").execute()
    client.table("request_logs").upsert(
        rows, on_conflict="litellm_call_id", returning="minimal", default_to_null=False
    ).execute()
    return ["supabase"]


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
URL = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()
for record in (athina, lunary, posthog, supabase):
    received.clear()
    versions = {package: version(package) for package in record()}
    text = json.dumps({"versions": versions, "requests": received}, indent=1, sort_keys=True)
    (HERE / f"{record.__name__}.json").write_text(text.replace(URL, "http://loopback") + "\n")
os._exit(0)  # the SDKs' threads do not end by themselves
