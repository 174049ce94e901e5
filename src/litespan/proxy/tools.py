"""Tool calls of LiteLLM's MCP gateway.

Spans follow https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/mcp.md).
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from opentelemetry import context as otel_context

import litespan.proxy.request as requests
from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import to_failure
from litespan.instrumentation.options import REQUEST
from litespan.instrumentation.recorded_content import content_attributes
from litespan.instrumentation.signals import Live
from litespan.instrumentation.start import begin
from litespan.instrumentation.wrappers import positional_parameters
from litespan.mapping.request import Attributes
from litespan.mapping.response import Answer
from litespan.mapping.targets import TOOL_CALL
from litespan.objects import as_cost, as_text, contents, get

ROOT: Final = "litellm.proxy._experimental.mcp_server"
MODULES: Final = tuple(f"{ROOT}.{name}" for name in ("mcp_server_manager", "operations", "server"))
METHOD: Final = "tools/call"
_OF_KEY: Final = "user_api_key"
_LOGGING: Final = otel_context.create_key("litespan-tool-logging")
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def hooks(modules: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """(owner, name, wrapper) of each hook; owners that this LiteLLM lacks are None."""
    manager = modules.get(f"{ROOT}.mcp_server_manager")
    yield getattr(manager, "MCPServerManager", None), "call_tool", _call_tool
    for name in ("operations", "server"):  # by LiteLLM's version
        module = modules.get(f"{ROOT}.{name}")
        yield module, "_execute_mcp_tool", _execute
        yield module, "_handle_local_mcp_tool", _call_tool


async def _execute(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Around the whole request. Functions below it may not get its logging object."""
    token = otel_context.attach(otel_context.set_value(_LOGGING, kwargs.get("litellm_logging_obj")))
    try:
        return await wrapped(*args, **kwargs)
    finally:
        otel_context.detach(token)


async def _call_tool(wrapped: Any, manager: Any, args: Args, kwargs: Kwargs) -> Any:
    """A server of `manager` runs the tool. Without one LiteLLM does: it calls an HTTP API."""
    call: Call | None = None
    with suppress_errors("starting a tool call"):
        if Live.signals is not None:
            given = dict(zip(positional_parameters(wrapped), args, strict=False)) | kwargs
            call = _begin(given, manager)
    if call is None:
        return await wrapped(*args, **kwargs)
    with call:
        result = await wrapped(*args, **kwargs)
        with suppress_errors("reading the result of a tool"):
            _end(call, result)
    return result


def _begin(given: Mapping[str, Any], manager: Any) -> Call | None:
    logging = given.get("litellm_logging_obj") or otel_context.get_value(_LOGGING)
    details = getattr(logging, "model_call_details", None) or {}
    stated = contents(details.get("mcp_tool_call_metadata"))
    server = as_text(given.get("server_name")) or as_text(stated.get("mcp_server_name"))
    url, transport = _address(manager, server)
    tool = as_text(given.get("name")) or ""
    arguments = {
        "api_base": url,
        "arguments": given.get("arguments"),
        "metadata": _metadata(given.get("user_api_key_auth"), details),
        REQUEST: {},
    }
    request = requests.current()
    if request is not None and not request.who:  # LiteLLM's own protocol has no other hook
        request.set_identity(given.get("user_api_key_auth"))
    call = begin(TOOL_CALL, (), (), arguments)
    if not isinstance(call, Call):
        return None
    call.logging = logging
    attributes = {
        s.MCP_METHOD: METHOD,
        s.TOOL_NAME: tool,
        s.MCP_SERVER: server,
        s.MCP_SESSION_ID: as_text(stated.get("mcp_session_id")),
        s.NETWORK_TRANSPORT: transport,
    }
    call.span.update_name(f"{METHOD} {tool}")
    call.span.set_attributes({k: v for k, v in attributes.items() if v})
    return call


def _address(manager: Any, name: str | None) -> tuple[str | None, str | None]:
    """The URL and the transport of a server."""
    if manager is None:
        return None, None
    servers = manager.get_registry().values()
    found = next((each for each in servers if get(each, "name") == name), None)
    transport = str(get(found, "transport") or "")
    if found is None or not transport:
        return None, None
    return as_text(get(found, "url")), "pipe" if transport.endswith("stdio") else "tcp"


def _metadata(key: Any, details: Mapping[str, Any]) -> Mapping[str, Any]:
    """The identity of the caller, in LiteLLM's format for all other routes."""
    given = contents(get(details.get("litellm_params"), "metadata"))
    known = {k: v for k, v in given.items() if k.startswith(_OF_KEY) or k in ("tags", "user_agent")}
    if any(name.startswith(_OF_KEY) for name in known):
        return known
    module = sys.modules.get("litellm.proxy.litellm_pre_call_utils")
    setup = getattr(module, "LiteLLMProxyRequestSetup", None)
    read = getattr(setup, "get_sanitized_user_information_from_key", None)
    return {} if key is None or read is None else contents(read(user_api_key_dict=key))


def _end(call: Call, result: Any) -> None:
    """End the call with the result of the tool, which may report a failure."""
    attributes: Attributes = {}
    cost = None
    with suppress_errors("pricing a tool call"):
        cost = _cost(call.logging)
    if cost:
        attributes |= {s.COST: cost, s.COST_TOTAL: cost, s.COST_SOURCE: "litellm"}
    blocks = [_plain(block) for block in get(result, "content") or ()]
    settings = call.signals.settings
    if call.record_content and settings.content != "EVENT_ONLY":
        values = {s.TOOL_ARGUMENTS: call.request.arguments.get("arguments"), s.TOOL_RESULT: blocks}
        found = {name: value for name, value in values.items() if value}
        attributes |= content_attributes(call.signals, found, call.attributes)
    call.record_content = False  # arguments and result are recorded above
    failure = None
    if get(result, "is_error") is True or get(result, "isError") is True:
        text = " ".join(str(block.get("text") or "") for block in blocks)
        failure = to_failure(call, {"type": "tool_error", "message": text})
    answer = Answer(result, {}, (), None, {})
    call.end(
        "success" if failure is None else "failure", attributes, answer=answer, failure=failure
    )


def _plain(block: Any) -> dict[str, Any]:
    """A block of the result, without the data of images and audio."""
    return {
        name: value
        for name, value in contents(block).items()
        if isinstance(value, (str, int, float, bool)) and name != "data"
    }


def _cost(logging: Any) -> float | None:
    """LiteLLM's cost of the tool call in USD; None if the server has no price."""
    if logging is None:
        return None
    calculator = import_module(f"{ROOT}.cost_calculator").MCPCostCalculator
    return as_cost(calculator.calculate_mcp_tool_call_cost(litellm_logging_obj=logging)) or None
