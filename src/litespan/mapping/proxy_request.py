"""Attributes of a request to LiteLLM's proxy: headers, body fields and model info.

Only the headers and fields that the operator allows are recorded, and never credentials.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.mapping.identity import scalar
from litespan.mapping.request import Request
from litespan.objects import get
from litespan.redaction.text import is_secret_name

MAX_FIELDS: Final = 16  # of `model_info`
# Fields of `model_info` that LiteLLM adds.
_LITELLM_FIELDS: Final = frozenset({"id", "db_model", "member_auto_router", "direct_access"})


def header_attributes(
    headers: Mapping[str, Any], allowed: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the allowed headers under the names of the HTTP conventions.

    Headers with credentials are left out even if they are allowed.
    """
    for name in allowed:
        value = headers.get(name)
        if isinstance(value, str) and not is_secret_name(name):
            yield s.HTTP_HEADER_PREFIX + name, (str(scalar(value)),)


def body_attributes(body: Any, allowed: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the allowed fields of a JSON body that are strings, numbers or booleans."""
    for name in allowed:
        value = get(body, name)
        number = isinstance(value, (bool, int, float))
        if number or (isinstance(value, str) and not is_secret_name(name)):
            yield s.REQUEST_BODY_PREFIX + name, scalar(value)


def model_info_attributes(info: Any) -> Iterator[tuple[str, Any]]:
    """Yield the strings, numbers and booleans in the operator's `model_info`."""
    found = 0
    for name, value in info.items() if isinstance(info, Mapping) else ():
        if name in _LITELLM_FIELDS or not isinstance(name, str) or is_secret_name(name, value):
            continue
        if isinstance(value, (str, bool, int, float)):
            found += 1
            if found > MAX_FIELDS:
                return
            yield s.MODEL_INFO_PREFIX + name[:128], scalar(value)


def gateway_attributes(
    request: Request, headers: tuple[str, ...], body: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """Yield all these attributes for a call that LiteLLM's proxy makes for a client."""
    yield from model_info_attributes(request.metadata.get("model_info"))
    if headers or body:
        client_request = request.arguments.get("proxy_server_request")
        given = get(client_request, "headers") or request.metadata.get("headers")
        if isinstance(given, Mapping):
            yield from header_attributes(given, headers)
        yield from body_attributes(get(client_request, "body"), body)
