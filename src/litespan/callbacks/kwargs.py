"""What handlers receive in `kwargs`, from LiteLLM's details of a call.

Messages, response and exception are the real ones: capture settings apply to telemetry only.
"""

import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from litespan import semconv as s
from litespan.callbacks.copying import copied, is_credential, jsonable, keywords
from litespan.callbacks.handler import STAGES
from litespan.callbacks.view import HandlerArguments
from litespan.instrumentation.deferred_answer import UnreadAnswer
from litespan.instrumentation.stages import Stage
from litespan.mapping.assembling import Assembled
from litespan.mapping.failures import Failure
from litespan.mapping.response import Answer
from litespan.objects import get
from litespan.redaction.text import scrub

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

_TEXTS: Final = ("input", "prompt", "query")


def messages_of(arguments: Mapping[str, Any]) -> Any:
    """The messages of a call; other input text as messages, as LiteLLM does."""
    messages = arguments.get("messages")
    if messages is not None:
        return messages
    text = next((arguments[name] for name in _TEXTS if arguments.get(name)), None)
    if text is None:
        return []
    texts = text if isinstance(text, list) else [text]
    return [
        each if isinstance(each, Mapping) else {"role": "user", "content": each} for each in texts
    ]


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def scalars(parameters: Any) -> dict[str, Any]:
    """LiteLLM's own parameters of the call that are scalars and not credentials."""
    found = {
        name: value
        for name, value in dict(mapping(parameters)).items()
        if isinstance(value, (str, bool, int, float)) and not is_credential(name)
    }
    if "api_base" in found:
        found["api_base"] = scrub(str(found["api_base"]))
    return found


def sent(details: Mapping[str, Any]) -> dict[str, Any]:
    """What LiteLLM sent to the provider."""
    arguments = details.get("additional_args")
    sent = get(arguments, "complete_input_dict")
    added: dict[str, Any] = {}
    if sent is not None:
        added["complete_input_dict"] = keywords(sent) if isinstance(sent, Mapping) else sent
    base = get(arguments, "api_base") or get(details.get("litellm_params"), "api_base")
    if base:
        added["api_base"] = scrub(str(base))
    found: dict[str, Any] = {"additional_args": added} if added else {}
    if details.get("input") is not None:  # text or messages in the provider's format
        found["input"] = copied(details["input"])
    return found


def received(details: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's raw response."""
    added: dict[str, Any] = {}
    if isinstance(details.get("original_response"), str):
        added["original_response"] = details["original_response"]
    headers = details.get("response_headers")
    if isinstance(headers, Mapping):
        added["response_headers"] = jsonable(headers)
    return added


def succeeded(stage: Stage) -> dict[str, Any]:
    """Cost, and whether LiteLLM's response cache had the answer."""
    answer, attributes = stage.payload, stage.attributes
    added: dict[str, Any] = {}
    if isinstance(answer, UnreadAnswer):
        attributes = answer.attributes()
    cost = attributes.get(s.COST)
    if cost is not None:
        added["response_cost"] = float(cost)
    if answer is not None:
        added["cache_hit"] = answer.cache_hit
    return added


def failed(failure: Failure) -> dict[str, Any]:
    """The exception, with its traceback as text."""
    error = failure.error or ConnectionError(failure.message)
    return {
        "exception": error,
        "traceback_exception": "".join(
            traceback.format_exception(type(error), error, error.__traceback__)
        ),
        "response_cost": 0.0,
    }


def assembled(raw: Assembled, answer: Answer, messages: Any) -> Any:
    """The chunks as LiteLLM assembles them, with the same token counts as the span."""
    litellm: Any = sys.modules["litellm"]
    response = litellm.stream_chunk_builder(list(raw.chunks), messages=messages)
    usage = answer.usage
    if response is not None and usage is not None:
        sent, received = usage.input or 0, usage.output or 0
        response.usage = litellm.Usage(
            prompt_tokens=sent, completion_tokens=received, total_tokens=sent + received
        )
    return response


def logging_payload(call: "Call", stage: Stage, arguments: HandlerArguments) -> Any:
    """LiteLLM's own `StandardLoggingPayload`; None if LiteLLM has no logging object yet.

    LiteLLM builds its own later, in the background, and for every attempt.
    """
    name = "litellm.litellm_core_utils.litellm_logging"
    build = getattr(sys.modules.get(name), "get_standard_logging_object_payload", None)
    if build is None or call.logging is None or not stage.details:
        return None
    failed = STAGES[stage.name] == "failure"
    error = arguments.added.get("exception")
    return build(
        kwargs={**stage.details, "response_cost": arguments.added.get("response_cost")},
        init_response_obj={} if arguments.response_obj is None else arguments.response_obj,
        start_time=arguments.start_time,
        end_time=arguments.end_time,
        logging_obj=call.logging,
        status="failure" if failed else "success",
        **({"original_exception": error, "error_str": str(error)} if failed else {}),
    )
