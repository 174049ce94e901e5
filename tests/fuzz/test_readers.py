"""The readers of every LiteLLM function: arguments, answers and streams of any shape."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from litespan.identity import Identity
from litespan.mapping.chunks import read_stream
from litespan.mapping.content import encode, input_content
from litespan.mapping.estimate import with_estimate
from litespan.mapping.failures import read_failure, stated_failure
from litespan.mapping.identity import deployment_attributes, identity_attributes, mute_attributes
from litespan.mapping.output_content import output_content
from litespan.mapping.request import Request, request_attributes
from litespan.mapping.response import Answer, answer_attributes, hidden_params, read_answer
from litespan.mapping.targets import TARGETS
from litespan.mapping.usage import usage_attributes
from tests.cases import span
from tests.fuzz.values import ARGUMENTS, NAMES, TEXTS, VALUES, answers, lists_of, mappings
from tests.support.vendors import strict

ANY_ARGUMENTS = st.builds(
    lambda known, others: {**others, **known},
    st.fixed_dictionaries({}, optional=ARGUMENTS),
    st.dictionaries(NAMES, VALUES, max_size=5),
)
EVENTS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.one_of(NAMES, VALUES)},
        optional=dict.fromkeys(
            ("delta", "item", "response", "message", "usage", "error", "index"), VALUES
        ),
    ),
    answers("delta"),
    st.binary(max_size=30).map(lambda data: b"data: " + data + b"\n"),
)


def whole(attributes: dict[str, Any], content: dict[str, Any]) -> None:
    """The attributes can be encoded, and the content is JSON, also when it is cut."""
    for limit in (10**6, 50):
        for value in content.values():
            text, _ = encode(value, limit)
            strict(text.encode())
            assert limit < 10**6 or len(text) <= 10**8
    kept = {name: value for name, value in attributes.items() if value is not None}
    encode_spans([span(1, "chat", kept)])


@given(target=st.sampled_from(TARGETS), arguments=ANY_ARGUMENTS)
def test_any_arguments_of_any_function(target: Any, arguments: dict[str, Any]) -> None:
    """Arguments become attributes and messages."""
    request = Request(target, arguments)
    attributes = {
        **request.called.attributes,
        **request_attributes(request),
        **identity_attributes(request, Identity()),
        **deployment_attributes(request),
        **mute_attributes(request),
    }
    whole(attributes, input_content(request))


@given(target=st.sampled_from(TARGETS), answer=answers("message"), hidden=mappings(VALUES))
def test_any_answer_of_any_function(target: Any, answer: Any, hidden: Any) -> None:
    """Answers become attributes and messages."""
    request = Request(target, {"model": "openai/gpt-4o-mini"})
    read = read_answer(request, answer, hidden_params({"_hidden_params": hidden}))
    whole(described(request, read), {"output": output_content(answer)})
    if read.error is not None:
        assert stated_failure(request, read.error).type.isascii()


def described(request: Request, answer: Answer) -> dict[str, Any]:
    """The attributes of an answer."""
    usage = {} if answer.usage is None else usage_attributes(answer.usage)
    return {**answer_attributes(request, answer), **usage}


@given(
    target=st.sampled_from(TARGETS),
    arguments=ANY_ARGUMENTS,
    chunks=st.lists(EVENTS, max_size=6),
)
def test_any_stream_of_any_function(target: Any, arguments: Any, chunks: list[Any]) -> None:
    """Streams become an answer, with an estimate where the provider states no usage."""
    request = Request(target, arguments)
    read = with_estimate(request, read_stream(request, None, chunks), chunks)
    output = output_content(read.answer.raw) if read.answer.raw is not None else []
    whole(described(request, read.answer), {"output": output})


@given(text=TEXTS, arguments=ANY_ARGUMENTS, stated=st.one_of(VALUES, lists_of(TEXTS)))
def test_any_failure(text: str, arguments: dict[str, Any], stated: Any) -> None:
    """Exceptions and error objects become a type and a short text."""
    request = Request(TARGETS[0], arguments)
    for failure in (
        read_failure(request, ValueError(text)),
        stated_failure(request, stated),
    ):
        whole({"error.type": failure.type, "message": failure.message}, {})
