"""Answers that LiteLLM passes on unchanged: every format, split anywhere, damaged anywhere."""

import random
from importlib import import_module
from typing import Any

import pytest

from litespan.mapping.chunks import error_in, read_passed
from litespan.mapping.passed import MOST, Tail, events
from litespan.mapping.paths import passed_on
from litespan.mapping.request import Request
from tests.support import passed

REQUEST = Request(passed_on("pass_through_endpoint", "/own/chat"), {})
PLAIN = (20, 10, None, None)
CACHED = (28, 10, 5, 3)
FORMATS: list[Any] = [
    pytest.param(passed.CONVERSE, CACHED, "end_turn", id="converse"),
    pytest.param(passed.NOVA, CACHED, "end_turn", id="nova"),
    pytest.param(passed.CLAUDE, CACHED, "end_turn", id="claude"),
    pytest.param(passed.LLAMA, PLAIN, "stop", id="llama"),
    pytest.param(passed.GOOGLE, PLAIN, "STOP", id="google"),
    pytest.param(passed.OLLAMA, PLAIN, "stop", id="ollama"),
    pytest.param(passed.COHERE, PLAIN, "COMPLETE", id="cohere"),
    pytest.param(passed.COHERE_V2, PLAIN, "COMPLETE", id="cohere-v2"),
    pytest.param(passed.PLAIN_CONVERSE, CACHED, "end_turn", id="converse-plain"),
    pytest.param(passed.OPENAI, PLAIN, "stop", id="openai"),
]
BODIES = pytest.mark.parametrize("body", [row.values[0] for row in FORMATS])


@pytest.mark.parametrize(("body", "tokens", "reason"), FORMATS)
def test_every_format_has_its_tokens_and_finish_reason(
    body: bytes, tokens: Any, reason: str
) -> None:
    """The source is the provider."""
    answer = read_passed(REQUEST, None, [body]).answer
    usage = answer.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read, usage.cache_creation) == tokens
    assert (usage.source, answer.finish_reasons) == ("provider", (reason,))


@BODIES
def test_events_do_not_depend_on_how_the_bytes_are_split(body: bytes) -> None:
    """As a network splits them."""
    chance = random.Random(1)
    expected = events([body])
    assert expected
    for size in (1, 3, 17, *(chance.randrange(1, len(body)) for _ in range(20))):
        assert events([body[i : i + size] for i in range(0, len(body), size)]) == expected


@BODIES
def test_an_incomplete_answer_has_the_events_before(body: bytes) -> None:
    """The client may have left at any byte."""
    expected = events([body])
    for end in range(0, len(body), 7):
        found = events([body[:end]])
        assert found == expected[: len(found)]


@BODIES
def test_a_damaged_answer_raises_nothing(body: bytes) -> None:
    """Any byte may have any value."""
    chance = random.Random(2)
    for _ in range(300):
        damaged = bytearray(body)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        read_passed(REQUEST, None, [bytes(damaged)])
        error_in([bytes(damaged)])


@pytest.mark.parametrize("body", [passed.CONVERSE, passed.CLAUDE, passed.THROTTLED])
def test_messages_of_an_event_stream_are_those_that_botocore_reads(body: bytes) -> None:
    """As many, in the same order."""
    buffer: Any = import_module("botocore.eventstream").EventStreamBuffer()
    buffer.add_data(body)
    theirs = [message.to_response_dict()["headers"] for message in buffer]
    kinds = [headers.get(":event-type") for headers in theirs]
    ours = events([body])
    assert len(ours) == len(kinds)
    if body is passed.CONVERSE:
        assert [next(iter(each)) for each in ours] == kinds


@pytest.mark.recent_litellm
@pytest.mark.parametrize(
    ("model", "action", "body"),
    [
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "converse-stream", passed.CONVERSE),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "invoke-with-response-stream", passed.CLAUDE),
        ("amazon.nova-lite-v1:0", "invoke-with-response-stream", passed.NOVA),
    ],
)
def test_tokens_of_bedrock_equal_litellms(model: str, action: str, body: bytes) -> None:
    """LiteLLM reads the same bytes with botocore, for its own cost. Llama's it only counts."""
    from litellm.litellm_core_utils.litellm_logging import Logging
    from litellm.llms.bedrock.passthrough.transformation import BedrockPassthroughConfig

    config = BedrockPassthroughConfig()
    collector = config.create_stream_collector(model, "bedrock", f"/model/{model}/{action}")
    collector.add(body)
    logging = Logging(
        model=model,
        messages=[],
        stream=True,
        call_type="allm_passthrough_route",
        start_time=None,
        litellm_call_id="1",
        function_id="1",
    )
    theirs: Any = collector.build_logged_response(logging)
    ours = read_passed(REQUEST, None, [body]).answer.usage
    assert ours is not None
    assert (ours.input, ours.output) == (theirs.usage.prompt_tokens, theirs.usage.completion_tokens)


def test_an_exception_in_an_event_stream_is_an_error() -> None:
    """Status 200 has been sent."""
    expected = {"type": "throttlingException", "message": "the machine is too hot"}
    assert error_in([passed.THROTTLED[:40], passed.THROTTLED[40:]]) == expected


def test_memory_is_bounded_and_the_end_of_a_long_answer_is_read() -> None:
    """The tokens come last. Of an event stream the start is needed, so it has none."""
    tail = Tail()
    word = passed.lines({"message": {"content": "x" * 1000}, "done": False})
    for _ in range(2 * MOST // len(word)):
        tail.add(word)
    for each in passed.OLLAMA.splitlines(keepends=True):
        tail.add(each)
    assert sum(map(len, tail)) <= MOST
    usage = read_passed(REQUEST, None, tail).answer.usage
    assert usage is not None
    assert usage.output == 10


def test_json_that_nests_too_deep_is_ignored() -> None:
    """Neither a whole answer, nor a line or an element of one."""
    deep = b'{"a":' * 100_000
    for body in (deep, b"[" + deep, b"[" * 100_000, deep + b"\n" + passed.OLLAMA):
        read_passed(REQUEST, None, [body])


def test_of_a_chunk_that_is_too_long_the_end_is_kept() -> None:
    """It has the usage."""
    tail = Tail([b"x" * 100 + b"y" * MOST])
    assert b"".join(tail) == b"y" * MOST
