"""An MCP server on loopback, of MCP's own package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tests.support.asgi import serving


@contextmanager
def mcp_server() -> Iterator[str]:
    """The URL of a server with the tools `forecast` and `storm`, which always fails."""
    module = "mcpserver" if find_spec("mcp.server.mcpserver") else "fastmcp"  # since MCP 2, before
    package: Any = import_module(f"mcp.server.{module}")
    tools = getattr(package, "MCPServer", None) or package.FastMCP
    tools = tools("weather")

    @tools.tool()
    def forecast(city: str) -> str:
        """The weather of tomorrow."""
        return f"Sunny in {city}."

    @tools.tool()
    def storm(city: str) -> str:
        """The worst weather."""
        raise ValueError(f"no storm in {city}")

    app = tools.streamable_http_app()
    with serving(lambda _url: app) as url:
        yield f"{url}/mcp"
