"""An MCP server on loopback, of MCP's own package."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from typing import Any

import uvicorn


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
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join(10)
