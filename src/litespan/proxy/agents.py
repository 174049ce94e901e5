"""Requests about the tasks of an agent, which LiteLLM's A2A gateway forwards to the agent.

Messages to agents are calls of `litellm.a2a_protocol`. For `tasks/get` and similar methods
(https://a2a-protocol.org/latest/specification/#7-protocol-rpc-methods) LiteLLM has no function:
its gateway sends the request itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import litespan.proxy.request as requests
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.options import REQUEST
from litespan.instrumentation.start import LOGGING, begin
from litespan.instrumentation.wrappers import positional_parameters
from litespan.mapping.a2a import agent_name
from litespan.mapping.targets import TASKS
from litespan.objects import as_text, contents

MODULE: Final = "litellm.proxy.agent_endpoints.a2a_endpoints"
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def hooks(modules: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """(owner, name, wrapper) of each hook; owners that this LiteLLM lacks are None."""
    yield modules.get(MODULE), "_forward_jsonrpc", _forward
    yield modules.get(MODULE), "_a2a_sse_event_source", _subscribe


async def _forward(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A request with one answer."""
    call = _begin(wrapped, args, kwargs)
    if call is None:
        return await wrapped(*args, **kwargs)
    with call:
        return call.result(await wrapped(*args, **kwargs))


def _subscribe(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A request whose answer is a stream of events."""
    call = _begin(wrapped, args, kwargs)
    events = wrapped(*args, **kwargs)
    return events if call is None else call.result(events)


def _begin(wrapped: Any, args: Args, kwargs: Kwargs) -> Call | None:
    with suppress_errors("starting a request to an agent"):
        given = dict(zip(positional_parameters(wrapped), args, strict=False)) | kwargs
        body = contents(given.get("body"))
        target = TASKS.get(as_text(body.get("method")) or "")
        if target is None:
            return None
        request = requests.current()
        data = contents(None if request is None else request.arguments)
        sent = contents(body.get("params"))
        agent = agent_name(data.get("model"))
        arguments = {
            "api_base": given.get("agent_url"),
            "agent": agent,
            "agent_id": data.get("agent_id"),
            "response_id": sent.get("taskId") or sent.get("id"),
            "metadata": data.get("metadata"),
            "stream": target.streams or None,
            LOGGING: data.get(LOGGING),
            REQUEST: data.get(REQUEST) or {},
        }
        call = begin(target, (), (), arguments)
        if isinstance(call, Call):
            if agent:
                call.span.update_name(f"{target.operation.name} {agent}")
            return call
    return None
