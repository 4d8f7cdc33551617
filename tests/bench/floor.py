"""The floor that the room is measured against: a no-op tool on the bare SDK, on the room's own uvicorn settings.

python -m tests.bench.floor {high,low}: `high` is the SDK's `MCPServer` with a typed tool, as most servers are
written; `low` is its low-level `Server`, without schema generation, validation or telemetry. Prints its port.
"""

import logging
import socket
import sys
from typing import Any

import uvicorn
import uvloop
from mcp import types
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from starlette.applications import Starlette

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
DONE = types.CallToolResult(content=[types.TextContent(type="text", text="ok")])


def high() -> Starlette:
    """A no-op as `MCPServer` serves it."""
    server = MCPServer("noop")

    @server.tool()
    async def noop(x: int) -> str:
        """Do nothing."""
        return "ok"

    return server.streamable_http_app(stateless_http=True, json_response=True)


def low() -> Starlette:
    """A no-op as the low-level server serves it, its telemetry taken out."""
    tool = types.Tool(name="noop", description="Do nothing.", input_schema=SCHEMA)

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool])

    async def call_tool(ctx: Any, params: Any) -> types.CallToolResult:
        return DONE

    server: Server[Any] = Server(
        "noop", on_list_tools=list_tools, on_call_tool=call_tool, get_tool_input_schema=lambda name: SCHEMA
    )
    server.middleware.clear()
    return server.streamable_http_app(stateless_http=True, json_response=True)


async def serve(kind: str) -> None:
    """Serve until the process is ended."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    app = {"high": high, "low": low}[kind]()
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=75,
    )
    logging.disable(logging.INFO)
    print(listener.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
