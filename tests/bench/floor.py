"""The floors that the room is measured against, on its own uvicorn settings: a no-op on the bare SDK, and bare SSE.

python -m tests.bench.floor {high,sessions,low,sse,told}: `high` is the SDK's `MCPServer` with a typed tool, as most
servers are written, with one JSON body for each call; `sessions` is the same with the SDK's defaults, which older
clients meet. `low` is the low-level `Server`, without schema generation, validation or telemetry. `sse` only writes
lines into open streams. `told` is `high` with a tool that does the same: asked as the room is asked, but nothing is
kept. Prints its port.
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
    streams = Streams()

    async def tell(request: Request) -> Response:
        streams.tell(request.path_params["name"], request.path_params["number"])
        return Response()

    return Starlette(routes=[streams.route, Route("/tell/{name}/{number}", tell, methods=["POST"])])


def told() -> Starlette:
    """The same streams, and a tool that writes a number into one of them."""
    streams, server = Streams(), MCPServer("told")

    @server.tool()
    async def tell(name: str, number: int) -> str:
        """Tell one of those that listen."""
        streams.tell(name, str(number))
        return "ok"

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    app.router.routes.append(streams.route)
    return app


class Streams:
    """Open streams of bare SSE, by name."""

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)
        self.route = Route("/listen/{name}", self._listen)

    def tell(self, name: str, number: str) -> None:
        """Write a number into a stream."""
        self._queues[name].put_nowait(number)

    async def _listen(self, request: Request) -> Response:
        lines = self._lines(self._queues[request.path_params["name"]])
        return StreamingResponse(lines, media_type="text/event-stream")

    async def _lines(self, queue: "asyncio.Queue[str]") -> AsyncIterator[str]:
        while True:
            yield f"data: number {await queue.get()}\n\n"


async def serve(kind: str) -> None:
    """Serve until the process is ended."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    app = {"high": high, "sessions": sessions, "low": low, "sse": sse, "told": told}[kind]()
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
