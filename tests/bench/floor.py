"""The floors that the room is measured against, on its own uvicorn settings: a no-op on the bare SDK, and bare SSE.

python -m tests.bench.floor {high,sessions,low,sse}: `high` is the SDK's `MCPServer` with a typed tool, as most servers
are written, with one JSON body for each call; `sessions` is the same with the SDK's defaults, which older clients meet.
`low` is the low-level `Server`, without schema generation, validation or telemetry. `sse` only writes lines into open
streams. Prints its port.
"""

import asyncio
import logging
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
import uvloop
from mcp import types
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
DONE = types.CallToolResult(content=[types.TextContent(type="text", text="ok")])


def high() -> Starlette:
    """A no-op as `MCPServer` serves it, without sessions."""
    return noop_server().streamable_http_app(stateless_http=True, json_response=True)


def sessions() -> Starlette:
    """The same with the SDK's defaults: sessions for older clients, and event streams."""
    return noop_server().streamable_http_app()


def noop_server() -> MCPServer:
    """A server with one typed tool that does nothing."""
    server = MCPServer("noop")

    @server.tool()
    async def noop(x: int) -> str:
        """Do nothing."""
        return "ok"

    return server


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


def sse() -> Starlette:
    """Streams by number, and a way to write a number into one of them."""
    streams: dict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)

    async def lines(queue: "asyncio.Queue[str]") -> AsyncIterator[str]:
        while True:
            yield f"data: number {await queue.get()}\n\n"

    async def listen(request: Request) -> Response:
        return StreamingResponse(lines(streams[request.path_params["name"]]), media_type="text/event-stream")

    async def tell(request: Request) -> Response:
        streams[request.path_params["name"]].put_nowait(request.path_params["number"])
        return Response()

    return Starlette(routes=[Route("/listen/{name}", listen), Route("/tell/{name}/{number}", tell, methods=["POST"])])


async def serve(kind: str) -> None:
    """Serve until the process is ended."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    app = {"high": high, "sessions": sessions, "low": low, "sse": sse}[kind]()
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
