"""Content in the formats of the providers' APIs: complete, and without bytes on the span."""

import asyncio
import base64
import gc
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import litellm
import pytest

from litespan.genai.inline import bounded
from tests.support.calls import MESSAGES, Traced, content
from tests.support.server import Received, Reply, running

pytestmark = pytest.mark.slow

PICTURE = base64.b64encode(bytes(range(256)) * 8).decode()
SMALL = base64.b64encode(b"\x89PNG a very small one").decode()
URL = f"data:image/png;base64,{PICTURE}"


def hashed(data: str | bytes) -> str:
    """How content refers to bytes, as they were sent."""
    raw = data.encode() if isinstance(data, str) else data
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def picture(data: str = PICTURE) -> dict[str, str]:
    """The part that stands for a PNG."""
    return {"type": "uri", "modality": "image", "uri": hashed(data), "mime_type": "image/png"}


def answer(**message: Any) -> dict[str, Any]:
    """A chat completion with this message."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_165_987,
        "model": "gpt-4o-mini",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    }


def response(*output: Any, status: str = "completed") -> dict[str, Any]:
    """A response of the Responses API with these items."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_795_165_987,
        "status": status,
        "model": "gpt-5-mini",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "output": list(output),
        "usage": {"input_tokens": 3, "output_tokens": 3, "total_tokens": 6},
    }


def message(*blocks: Any) -> dict[str, Any]:
    """A message of Anthropic's with these blocks."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": list(blocks),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 3},
    }


def events(*each: Any) -> Reply:
    """A stream of server-sent events."""
    lines = [
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        if "type" in event
        else f"data: {json.dumps(event)}\n\n"
        for event in each
    ]
    body = "".join(lines) + ("" if "type" in each[0] else "data: [DONE]\n\n")
    return Reply(200, body.encode(), {"content-type": "text/event-stream"})


class Calls:
    """Calls of LiteLLM's by way of each API, and what is recorded of them."""

    def __init__(self, traced: Traced, url: str) -> None:
        self.traced = traced
        self.to = {"api_base": f"{url}/v1", "api_key": "k", "max_retries": 0}
        self.url = url

    def chat(self, messages: Any = None, **given: Any) -> Any:
        """Chat completions."""
        messages = messages or [dict(each) for each in MESSAGES]
        return litellm.completion(model="openai/gpt-4o-mini", messages=messages, **self.to, **given)

    def responses(self, items: Any = "hi", **given: Any) -> Any:
        """Responses."""
        return litellm.responses(model="openai/gpt-5-mini", input=items, **self.to, **given)

    async def messages(self, blocks: Any, **given: Any) -> Any:
        """Messages, all chunks if it is a stream."""
        result = await litellm.anthropic_messages(
            model="anthropic/claude-sonnet-4-5",
            messages=[{"role": "user", "content": blocks}],
            max_tokens=9,
            api_base=self.url,
            api_key="k",
            **given,
        )
        return [chunk async for chunk in result] if given.get("stream") else result

    def recorded(self) -> dict[str, Any]:
        """The content of the last span; no bytes stand anywhere on it."""
        span = self.traced.spans[-1]
        for held in (PICTURE[40:140], SMALL):
            assert held not in repr(span)
        return content(span)

    def asked(self) -> Any:
        """The parts of the last message that was sent."""
        return self.recorded()["gen_ai.input.messages"][-1]["parts"]

    def answered(self) -> Any:
        """The parts of the answer."""
        return self.recorded()["gen_ai.output.messages"][0]["parts"]


Answering = Callable[[Received], Reply]


@pytest.fixture
def calls(capture: Any) -> Any:
    """Instrument, with content, over a provider that answers so."""

    @contextmanager
    def calling(reply: dict[str, Any] | Reply) -> Iterator[Calls]:
        found = reply if isinstance(reply, Reply) else Reply(200, json.dumps(reply).encode())
        with running(lambda _: found) as provider, capture() as traced:
            yield Calls(traced, provider.url)

    return calling


SOURCE = {"type": "base64", "media_type": "image/png", "data": SMALL}
PARTS = {
    "image": ({"type": "image_url", "image_url": {"url": URL}}, picture()),
    "image without its type": (
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "uri", "modality": "image", "uri": hashed(PICTURE)},
    ),
    "sound": (
        {"type": "input_audio", "input_audio": {"data": SMALL, "format": "mp3"}},
        {"type": "uri", "modality": "audio", "uri": hashed(SMALL), "mime_type": "audio/mp3"},
    ),
    "video": (
        {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{PICTURE}"}},
        {"type": "uri", "modality": "video", "uri": hashed(PICTURE), "mime_type": "video/mp4"},
    ),
    "file": (
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PICTURE}"}},
        {
            "type": "uri",
            "modality": "file",
            "uri": hashed(PICTURE),
            "mime_type": "application/pdf",
        },
    ),
    "text with a picture in it": (
        {"type": "text", "text": f"See ![this]({URL}) and 'data: that'."},
        {"type": "text", "content": f"See ![this]({hashed(PICTURE)}) and 'data: that'."},
    ),
}


@pytest.mark.parametrize("kind", PARTS)
def test_inputs_of_chats_are_recorded_as_parts(kind: str, calls: Any) -> None:
    """Bytes of any kind are a hash, with their type."""
    given, recorded = PARTS[kind]
    with calls(answer(content="Done")) as made:
        made.chat([{"role": "user", "content": [given]}])
        assert made.asked() == [recorded]


RESULTS = {
    "parts": (
        [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": URL}}],
        [{"type": "text", "content": "see"}, picture()],
    ),
    "texts": ([{"type": "text", "text": "se"}, {"type": "text", "text": "e"}], "see"),
    "json": (json.dumps({"see": PICTURE}), json.dumps({"see": hashed(PICTURE)})),
    "base64": (PICTURE, hashed(PICTURE)),
    "data of its own": ([{"see": 1}, 2], [{"see": 1}, 2]),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_tool_results_in_chats_are_recorded_as_parts(kind: str, calls: Any) -> None:
    """Text is text, and images are parts."""
    given, recorded = RESULTS[kind]
    asked = {"id": "t", "type": "function", "function": {"name": "shot", "arguments": "{}"}}
    with calls(answer(content="Done")) as made:
        made.chat(
            [
                *MESSAGES,
                {"role": "assistant", "content": None, "tool_calls": [asked]},
                {"role": "tool", "tool_call_id": "t", "content": given},
            ]
        )
        assert made.asked() == [{"type": "tool_call_response", "response": recorded, "id": "t"}]


ITEMS = {
    "function_call_output": (
        {
            "type": "function_call_output",
            "call_id": "t",
            "output": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": URL},
            ],
        },
        [{"type": "text", "content": "see"}, picture()],
    ),
    "computer_call_output": (
        {
            "type": "computer_call_output",
            "call_id": "t",
            "output": {"type": "computer_screenshot", "image_url": URL},
        },
        [picture()],
    ),
    "custom_tool_call_output": (
        {"type": "custom_tool_call_output", "call_id": "t", "output": "seen"},
        "seen",
    ),
}


@pytest.mark.recent_litellm
@pytest.mark.parametrize("kind", ITEMS)
def test_tool_results_of_the_responses_api_are_recorded_as_parts(kind: str, calls: Any) -> None:
    """For every kind of tool."""
    item, recorded = ITEMS[kind]
    with calls(response()) as made:
        made.responses([{"role": "user", "content": "hi"}, item])
        assert made.asked() == [{"type": "tool_call_response", "response": recorded, "id": "t"}]


BLOCKS = {
    "tool_result": (
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "text", "text": "see"}, {"type": "image", "source": SOURCE}],
        },
        {
            "type": "tool_call_response",
            "response": [{"type": "text", "content": "see"}, picture(SMALL)],
            "id": "t",
        },
    ),
    "image": ({"type": "image", "source": SOURCE}, picture(SMALL)),
    "document": (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": SMALL},
        },
        {"type": "uri", "modality": "file", "uri": hashed(SMALL), "mime_type": "application/pdf"},
    ),
    "document of text": (
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "all of it"},
        },
        {"type": "text", "content": "all of it"},
    ),
    "document of parts": (
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "a part"}]},
        },
        {"type": "text", "content": "a part"},
    ),
    "file": (
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "file", "modality": "file", "file_id": "file_1"},
    ),
    "container_upload": (
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "file", "modality": "file", "file_id": "file_1"},
    ),
    "search_result": (
        {
            "type": "search_result",
            "source": "https://host/page",
            "title": "A page",
            "content": [{"type": "text", "text": "found"}],
        },
        {
            "type": "search_result",
            "source": "https://host/page",
            "title": "A page",
            "content": "found",
        },
    ),
    "a kind of tomorrow": (
        {"type": "hologram", "depth": 3, "text": "look", "data": SMALL, "frames": [PICTURE]},
        {"type": "hologram", "depth": 3, "content": "look", "frames": [hashed(PICTURE)]},
    ),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_inputs_of_the_messages_api_are_recorded_as_parts(kind: str, calls: Any) -> None:
    """Every kind of block."""
    block, recorded = BLOCKS[kind]
    with calls(message({"type": "text", "text": "Done"})) as made:
        asyncio.run(made.messages([block]))
        assert made.asked() == [recorded]


def tool(name: str, arguments: Any, identifier: str = "t") -> dict[str, Any]:
    """The part of a call of a tool."""
    return {"type": "tool_call", "name": name, "arguments": arguments, "id": identifier}


def result(value: Any, identifier: str = "t") -> dict[str, Any]:
    """The part of a tool's answer."""
    return {"type": "tool_call_response", "response": value, "id": identifier}


OUTPUTS = {
    "custom_tool_call": (
        {"type": "custom_tool_call", "call_id": "t", "id": "i", "name": "py", "input": "{1}"},
        [tool("py", "{1}")],
        "tool_call",
    ),
    "computer_call": (
        {
            "type": "computer_call",
            "call_id": "t",
            "id": "i",
            "action": {"type": "click", "x": 1, "y": 2, "button": "left"},
            "pending_safety_checks": [],
            "status": "completed",
        },
        [tool("computer", {"type": "click", "x": 1, "y": 2, "button": "left"})],
        "tool_call",
    ),
    "mcp_call": (
        {
            "type": "mcp_call",
            "id": "t",
            "name": "roll",
            "arguments": '{"sides":6}',
            "server_label": "dice",
            "output": "4",
            "error": None,
        },
        [tool("roll", {"sides": 6}), result("4")],
        "completed",
    ),
    "web_search_call": (
        {
            "type": "web_search_call",
            "id": "t",
            "status": "completed",
            "action": {"type": "search", "query": "the weather"},
        },
        [tool("web_search", {"type": "search", "query": "the weather"})],
        "completed",
    ),
    "file_search_call": (
        {
            "type": "file_search_call",
            "id": "t",
            "status": "completed",
            "queries": ["the weather"],
            "results": [{"file_id": "file_1", "text": "rain"}],
        },
        [
            tool("file_search", ["the weather"]),
            result([{"file_id": "file_1", "text": "rain"}]),
        ],
        "completed",
    ),
    "code_interpreter_call": (
        {
            "type": "code_interpreter_call",
            "id": "t",
            "code": "plot()",
            "container_id": "c",
            "status": "completed",
            "outputs": [{"type": "image", "url": URL}],
        },
        [tool("code_interpreter", "plot()"), result([picture()])],
        "completed",
    ),
    "image_generation_call": (
        {
            "type": "image_generation_call",
            "id": "t",
            "status": "completed",
            "output_format": "png",
            "result": SMALL,
        },
        [tool("image_generation", {"output_format": "png"}), result([picture(SMALL)])],
        "completed",
    ),
    "a tool of tomorrow": (
        {"type": "robot_call", "call_id": "t", "id": "i", "move": "left"},
        [tool("robot", {"move": "left"})],
        "completed",
    ),
}


@pytest.mark.recent_litellm
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_of_the_responses_api_are_recorded_as_parts(
    kind: str, stream: bool, calls: Any
) -> None:
    """Tool calls, with their results if the provider has run the tools."""
    item, recorded, reason = OUTPUTS[kind]
    whole = response(item)
    streamed = events(
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.completed", "response": whole},
    )
    with calls(streamed if stream else whole) as made:
        given = made.responses(stream=stream)
        if stream:
            list(given)
        (attributes,) = made.recorded()["gen_ai.output.messages"]
        assert (attributes["parts"], attributes["finish_reason"]) == (recorded, reason)


SERVER_TOOLS = [
    {"type": "thinking", "thinking": "hm", "signature": PICTURE},
    {"type": "redacted_thinking", "data": SMALL},
    {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"query": "rain"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "t",
        "content": [{"type": "web_search_result", "title": "Rain", "url": "https://host"}],
    },
    {"type": "server_tool_use", "id": "u", "name": "code_execution", "input": {"code": "1+1"}},
    {
        "type": "code_execution_tool_result",
        "tool_use_id": "u",
        "content": {"type": "code_execution_result", "stdout": "2", "return_code": 0},
    },
    {"type": "mcp_tool_use", "id": "v", "name": "roll", "server_name": "dice", "input": {}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "v",
        "is_error": False,
        "content": [{"type": "text", "text": "4"}],
    },
    {"type": "text", "text": "It rains."},
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_outputs_of_the_messages_api_are_recorded_as_parts(stream: bool, calls: Any) -> None:
    """Tools that the provider runs, and their results."""
    starts = [
        {"type": "content_block_start", "index": index, "content_block": block}
        for index, block in enumerate(SERVER_TOOLS)
    ]
    start = {"type": "message_start", "message": {**message(), "stop_reason": None}}
    streamed = events(start, *starts, {"type": "message_stop"})
    with calls(streamed if stream else message(*SERVER_TOOLS)) as made:
        asyncio.run(made.messages([{"type": "text", "text": "Rain?"}], stream=stream))
        assert made.answered() == [
            {"type": "reasoning", "content": "hm"},
            {"type": "redacted_thinking"},
            tool("web_search", {"query": "rain"}),
            result([{"type": "web_search_result", "title": "Rain", "url": "https://host"}]),
            tool("code_execution", {"code": "1+1"}, "u"),
            result({"type": "code_execution_result", "stdout": "2", "return_code": 0}, "u"),
            tool("roll", {}, "v"),
            result("4", "v"),
            {"type": "text", "content": "It rains."},
        ]


def test_a_spoken_answer_is_text_and_a_hash(calls: Any) -> None:
    """The transcript is text, and the audio is a hash."""
    spoken = {"id": "a", "expires_at": 1, "data": SMALL, "transcript": "spoken words"}
    with calls(answer(content=None, audio=spoken)) as made:
        made.chat()
        assert made.answered() == [
            {"type": "text", "content": "spoken words"},
            {"type": "uri", "modality": "audio", "uri": hashed(SMALL)},
        ]


@pytest.mark.recent_litellm
def test_images_in_an_answer_are_parts(calls: Any) -> None:
    """They are parts of the message."""
    image = {"type": "image_url", "index": 0, "image_url": {"url": URL}}
    with calls(answer(content="Here", images=[image])) as made:
        made.chat()
        assert made.answered() == [{"type": "text", "content": "Here"}, picture()]


def test_speech_is_recorded_as_a_hash(calls: Any) -> None:
    """The audio is a hash of the sent data, even if it looks like text."""
    sound = b"ID3 sounds like text " + bytes(range(128))
    with calls(Reply(200, sound, {"content-type": "audio/mpeg"})) as made:
        litellm.speech(model="openai/tts-1", input="say this", voice="alloy", **made.to)
        assert "sounds like text" not in repr(made.traced.span)
        assert made.answered() == [
            {"type": "uri", "modality": "audio", "uri": hashed(sound), "mime_type": "audio/mpeg"}
        ]
        assert made.asked() == [{"type": "text", "content": "say this"}]


def test_generated_images_are_recorded_as_hashes(calls: Any) -> None:
    """Base64 of any length is a hash, in any field."""
    made_of = {"created": 1, "data": [{"b64_json": SMALL}, {"url": "https://host/a.png?sig=1"}]}
    with calls(made_of) as made:
        litellm.image_generation(model="openai/gpt-image-1", prompt="a cat", **made.to)
        assert made.answered() == [
            {"type": "uri", "modality": "image", "uri": hashed(SMALL)},
            {"type": "uri", "modality": "image", "uri": "https://host/a.png"},
        ]


# --- streams ------------------------------------------------------------------------------


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_795_165_987,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


def piece(arguments: str, **more: Any) -> dict[str, Any]:
    """A chunk with a piece of a tool call, with no index unless `more` has one."""
    named = {"name": more.pop("name")} if "name" in more else {}
    return chunk(tool_calls=[{"function": {**named, "arguments": arguments}, **more}])


FIRST = {"type": "tool_call", "name": "one", "arguments": {"x": 1}}
SECOND = {"type": "tool_call", "name": "two", "arguments": {"y": 2}}
TOOL_STREAMS = {
    "no index": (
        [
            piece('{"x":1}', id="a", type="function", name="one"),
            piece('{"y":2}', id="b", type="function", name="two"),
        ],
        [{**FIRST, "id": "a"}, {**SECOND, "id": "b"}],
    ),
    "no index, in pieces": (
        [
            piece("", id="a", type="function", name="one"),
            piece('{"x":'),
            piece("1}"),
            piece("", id="b", type="function", name="two"),
            piece('{"y":2}'),
        ],
        [{**FIRST, "id": "a"}, {**SECOND, "id": "b"}],
    ),
    "neither index nor id": (
        [
            piece('{"x":1}', type="function", name="one"),
            piece('{"y":2}', type="function", name="two"),
        ],
        [FIRST, SECOND],
    ),
    "the same function twice": (
        [
            piece('{"x":1}', type="function", name="one"),
            piece('{"x":1}', type="function", name="one"),
        ],
        [FIRST, FIRST],
    ),
    "name and id in every piece": (
        [
            piece('{"x":', index=0, id="a", type="function", name="one"),
            piece("1}", index=0, id="a", type="function", name="one"),
        ],
        [{**FIRST, "id": "a"}],
    ),
    "function_call": (
        [
            chunk(function_call={"name": "one", "arguments": ""}),
            chunk(function_call={"arguments": '{"x":'}),
            chunk(function_call={"arguments": "1}"}),
        ],
        [FIRST],
    ),
}


@pytest.mark.parametrize("left", [False, True], ids=["whole", "left"])
@pytest.mark.parametrize("kind", TOOL_STREAMS)
def test_each_streamed_tool_call_is_one_part(kind: str, left: bool, calls: Any) -> None:
    """However the provider numbers them, and wherever the stream is abandoned."""
    chunks, recorded = TOOL_STREAMS[kind]
    with calls(events(*chunks, chunk(reason="tool_calls"))) as made:
        stream = made.chat(stream=True)
        if left:
            for _ in chunks:
                next(stream)
        else:
            list(stream)
        del stream
        gc.collect()
        assert made.answered() == recorded


def test_a_streamed_spoken_answer_is_assembled(calls: Any) -> None:
    """Transcript and audio are assembled from the chunks."""
    chunks = [
        chunk(audio={"id": "a", "transcript": "spoken "}),
        chunk(audio={"id": "a", "transcript": "words", "data": SMALL}),
    ]
    with calls(events(*chunks, chunk(reason="stop"))) as made:
        stream = made.chat(stream=True)
        for _ in chunks:
            next(stream)
        del stream
        gc.collect()
        assert made.answered() == [
            {"type": "text", "content": "spoken words"},
            {"type": "uri", "modality": "audio", "uri": hashed(SMALL)},
        ]


@pytest.mark.recent_litellm
def test_an_abandoned_responses_stream_has_the_received_content(calls: Any) -> None:
    """Reasoning, text and tool calls."""
    begun: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress")},
        {
            "type": "response.reasoning_summary_text.delta",
            "item_id": "r",
            "output_index": 0,
            "summary_index": 0,
            "delta": "hm",
        },
        *(
            {
                "type": "response.output_text.delta",
                "item_id": "m",
                "output_index": 1,
                "content_index": 0,
                "delta": text,
                "logprobs": [],
            }
            for text in ("It ", "rains.")
        ),
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": {
                "type": "function_call",
                "id": "f",
                "call_id": "t",
                "name": "umbrella",
                "arguments": "",
            },
        },
        {
            "type": "response.function_call_arguments.delta",
            "item_id": "f",
            "output_index": 2,
            "delta": '{"open":true}',
        },
    ]
    numbered = [{**event, "sequence_number": at} for at, event in enumerate(begun)]
    with calls(events(*numbered)) as made:
        stream = made.responses(stream=True)
        for _ in begun:
            next(stream)
        del stream
        gc.collect()
        assert made.answered() == [
            {"type": "reasoning", "content": "hm"},
            {"type": "text", "content": "It rains."},
            tool("umbrella", {"open": True}),
        ]


# --- bounds -------------------------------------------------------------------------------


def nodes(value: Any) -> int:
    """How many lists and objects there are."""
    if isinstance(value, dict):
        return 1 + sum(map(nodes, value.values()))
    return 1 + sum(map(nodes, value)) if isinstance(value, list) else 0


def test_shared_and_cyclic_content_is_bounded() -> None:
    """Branches that are shared or cyclic are followed only up to a limit."""
    shared: dict[str, Any] = {"leaf": 1}
    for _ in range(24):
        shared = {"left": shared, "right": shared}
    circle: list[Any] = []
    circle.append(circle)
    assert nodes(bounded(shared)) <= 20_001
    assert nodes(bounded(circle)) <= 100


def test_an_unusual_message_does_not_affect_the_others(calls: Any) -> None:
    """Cyclic documents, bytes and objects are recorded as far as possible."""
    blocks: list[Any] = [{"type": "text", "text": "fine"}]
    blocks.append({"type": "document", "source": {"type": "content", "content": blocks}})
    with calls(message({"type": "text", "text": "Done"})) as made:
        with pytest.raises((ValueError, RecursionError, litellm.APIConnectionError)):
            asyncio.run(made.messages(blocks))
        assert made.asked()[0] == {"type": "text", "content": "fine"}
