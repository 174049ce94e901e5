"""Reads what a router, LiteLLM's proxy and the caller write into the metadata of a call."""

from typing import Any

from opentelemetry.context import Context

from litespan import semconv as s
from litespan.instrumentation.options import REQUEST, permitted
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.mapping.identity import deployment_attributes, mute_attributes
from litespan.mapping.proxy_request import gateway_attributes
from litespan.mapping.request import Attributes, Request
from litespan.mapping.team_settings import NONE
from litespan.settings import Settings


def read_metadata(
    request: Request, ctx: Context, settings: Settings, attributes: Attributes
) -> bool | None:
    """Add the attributes that the metadata of a call has.

    Returns whether the team's content is recorded; None if the team has no such setting.
    """
    arguments, metadata = request.arguments, request.metadata
    if "model_group" in metadata:
        attributes.update(deployment_attributes(request))
    if "litespan" in metadata or "requester_metadata" in metadata:
        muted_by_call = mute_attributes(request)
        if muted_by_call and permitted("mute", request, ctx, settings):
            attributes.update(muted_by_call)
    if REQUEST not in arguments:
        return None
    attributes.update(gateway_attributes(request, settings.headers, settings.body))
    client: Any = ctx.get(CLIENT_KEY)
    team = NONE if client is None else client.team
    if client is not None and "metadata" in arguments and "litellm_metadata" in arguments:
        # One is the client's; old LiteLLM versions leave forged identity names in it.
        known = {name: value for name, value in client.who.items() if value is not None}
        for name in client.who:
            attributes.pop(name, None)
        attributes.update(known)
    if team.exporters:  # these replace the operator's exporters of the same name
        muted = (*attributes.get(s.MUTE, ()), *team.exporters)
        attributes[s.MUTE] = tuple(dict.fromkeys(muted))
    return team.content
