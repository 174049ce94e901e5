# ruff: noqa: INP001 - a program to run, not a module to import
"""A small help desk with LiteLLM: the program that `litespan demo` runs.

It does not use litespan or OpenTelemetry. LiteLLM's own environment variables have the URLs and
keys of its models.
"""

import argparse
import asyncio
import json
import os
from typing import Any

import litellm

litellm.suppress_debug_info = True

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "order_status",
            "description": "Where an order is.",
            "parameters": {
                "type": "object",
                "properties": {"order": {"type": "string"}},
                "required": ["order"],
            },
        },
    }
]


def order_status(order: str) -> str:
    """The status of an order."""
    return f"Order {order} left our house this morning."


def turn(text: str) -> dict[str, Any]:
    """A message from a customer."""
    return {"role": "user", "content": text}


def answer(model: str) -> str:
    """A plain call."""
    response = litellm.completion(
        model,
        [{"role": "system", "content": "You are a kind help desk."}, turn("How do I return it?")],
        max_tokens=200,
        user="ada",
        metadata={"session_id": "returns-17", "tags": ["returns"], "channel": "mail"},
    )
    return str(response.choices[0].message.content)


async def translate(model: str) -> str:
    """Two calls at the same time."""
    languages = ("French", "German")
    answers = await asyncio.gather(
        *(
            litellm.acompletion(
                model=model,
                messages=[turn(f"Say 'thank you' in {language}.")],
                max_tokens=50,
                user="grace",
                metadata={"session_id": "letters-4", "tags": ["translation"]},
            )
            for language in languages
        )
    )
    return " / ".join(answer.choices[0].message.content for answer in answers)


def stream(model: str) -> str:
    """A stream."""
    chunks = litellm.completion(
        model,
        [turn("How do you ship?")],
        max_tokens=200,
        stream=True,
        stream_options={"include_usage": True},
        user="ada",
        metadata={"session_id": "shipping-2", "tags": ["shipping"]},
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def look_up(model: str) -> str:
    """A tool call: the model requests the order's status, then answers with it."""
    history = [turn("Where is my order 4711?")]
    caller: dict[str, Any] = {"user": "grace", "metadata": {"session_id": "order-4711"}}
    message = litellm.completion(model, history, tools=TOOLS, **caller).choices[0].message
    history.append(message.model_dump(exclude_none=True))
    prefix = ""
    for call in message.tool_calls or []:
        status = order_status(**json.loads(call.function.arguments))
        history.append({"role": "tool", "tool_call_id": call.id, "content": status})
        prefix = f"(after {call.function.name}) "
    if message.tool_calls:
        message = litellm.completion(model, history, tools=TOOLS, **caller).choices[0].message
    return f"{prefix}{message.content}"


def index(model: str) -> str:
    """An embedding."""
    vectors = litellm.embedding(model, ["returns", "shipping"], user="indexer").data
    return f"{len(vectors)} vectors of {len(vectors[0]['embedding'])} numbers"


def refused() -> str:
    """A failure: this deployment rejects the API key."""
    try:
        litellm.completion(
            "openai/gpt-4o",
            [turn("Hello?")],
            api_base=os.environ["REFUSING_API_BASE"],
            api_key="sk-revoked",
            user="ada",
        )
    except litellm.AuthenticationError as error:
        return f"{type(error).__name__}, status {error.status_code}"
    return "the key was accepted"


def busy(spare: str) -> str:
    """An overloaded model: the router tries it twice, then falls back to another one."""
    router = litellm.Router(
        model_list=[
            {
                "model_name": "desk",
                "litellm_params": {
                    "model": "openai/gpt-4o",
                    "api_base": "os.environ/BUSY_API_BASE",
                    "api_key": "sk-busy",
                },
            },
            {"model_name": "spare", "litellm_params": {"model": spare}},
        ],
        fallbacks=[{"desk": ["spare"]}],
        num_retries=1,
    )
    response = router.completion(
        "desk",
        [turn("Are you open on Monday?")],
        max_tokens=200,
        user="grace",
        metadata={"session_id": "hours-9", "tags": ["hours"]},
    )
    return str(response.choices[0].message.content)


def main() -> None:
    """Make all calls and print their results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("spare")
    parser.add_argument("--embedding")
    options = parser.parse_args()

    print("a plain call:", answer(options.model))
    print("two at once:", asyncio.run(translate(options.model)))
    print("a stream:", stream(options.model))
    print("a tool call:", look_up(options.model))
    if options.embedding:
        print("an embedding:", index(options.embedding))
    print("a failure:", refused())
    print("a retry and a fallback:", busy(options.spare))


if __name__ == "__main__":
    main()
