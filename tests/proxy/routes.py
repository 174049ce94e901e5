"""Prints the proxy's routes for models, agents and tools as JSON: [[endpoint, module, path], …]."""

import importlib
import json
from typing import Any

from fastapi import FastAPI
from litellm.proxy import _lazy_features, proxy_server
from litellm.proxy.auth.route_checks import RouteChecks


def found(routes: Any, prefix: str = "") -> Any:
    """Yield each route below `routes`, and below the routers that they include."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        endpoint = getattr(route, "endpoint", None)
        if hasattr(route, "original_router"):
            yield from found(route.original_router.routes, prefix)
        elif endpoint is None:
            yield from found(getattr(route, "routes", None) or (), path)
        elif "WebSocket" in type(route).__name__ or RouteChecks.is_llm_api_route(path):
            name = getattr(endpoint, "__name__", type(endpoint).__name__)
            yield name, getattr(endpoint, "__module__", ""), path


def main() -> None:
    """Print them all, those included that LiteLLM imports when they are first used."""
    lazy = FastAPI()
    for feature in _lazy_features.LAZY_FEATURES:
        feature.register_fn(lazy, importlib.import_module(feature.module_path))
    routes = [*found(proxy_server.app.routes), *found(lazy.routes)]
    print(json.dumps(sorted(set(routes))))  # noqa: T201 - this is a program


if __name__ == "__main__":
    main()
