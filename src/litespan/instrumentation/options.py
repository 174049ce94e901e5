"""What a call's arguments and LiteLLM's settings turn off, and who may use such options."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context

from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.mapping.identity import request_options
from litespan.mapping.request import Request
from litespan.objects import get, is_true
from litespan.settings import Settings

# The argument in which LiteLLM's proxy passes the client's request.
REQUEST: Final = "proxy_server_request"
_NO_CONTENT: Final = "turn_off_message_logging"


def permitted(option: str, request: Request, ctx: Context, settings: Settings) -> bool:
    """Whether the caller of `request` may use `option`, one of `settings.CLIENT_OPTIONS`.

    A program that calls LiteLLM may use all of them, a client of LiteLLM's proxy those in
    LITESPAN_CLIENTS_MAY.
    """
    if REQUEST not in request.arguments and ctx.get(CLIENT_KEY) is None:
        return True
    return option in settings.clients_may


def unlogged(arguments: Mapping[str, Any]) -> bool:
    """Whether the call has `no-log=True` and LiteLLM's settings permit it."""
    return (
        "no-log" in arguments
        and is_true(arguments["no-log"])
        and not getattr(sys.modules["litellm"], "global_disable_no_log_param", False)
    )


def content_off(request: Request, ctx: Context, settings: Settings) -> bool:
    """Whether content is turned off through LiteLLM or litespan."""
    if getattr(sys.modules["litellm"], _NO_CONTENT, None) is True:
        return True
    arguments, metadata = request.arguments, request.metadata
    given = _NO_CONTENT in arguments and is_true(arguments[_NO_CONTENT])
    asked = bool(metadata) and (
        is_true(metadata.get(_NO_CONTENT)) or request_options(request).get("content") is False
    )
    if not given and not asked:
        return False
    if permitted("content", request, ctx, settings):
        return True
    # LiteLLM mixes the settings of a key's team into the arguments of the client.
    body = get(arguments.get(REQUEST), "body")
    return given and not (isinstance(body, Mapping) and _NO_CONTENT in body)
