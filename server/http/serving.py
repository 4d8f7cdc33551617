"""Serves an ASGI application on a listening socket, with uvicorn, until it is told to stop."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Protocol as Interface

import uvicorn
from starlette.types import Receive, Scope, Send

from teamroom.server.http.accepting import Accepting
from teamroom.server.http.connections import Connections
from teamroom.server.http.listening import BACKLOG
from teamroom.server.http.protocol import Protocol
from teamroom.server.settings import Settings

KEEP_ALIVE_SECONDS = 75


class Web(Interface):
    """An application with the connections that it is served on."""

    connections: Connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the server's lifespan."""
        ...

    def end_streams(self) -> None:
        """Answer waiting calls and close streams, because the server stops."""
        ...


class WebServer(uvicorn.Server):
    """uvicorn waits for open responses before it ends the application: end our streams first."""

    def __init__(self, config: uvicorn.Config, web: Web, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._web = web
        self._opened = opened
        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so. Uvicorn would accept whatever comes, so it is given nothing to listen on."""
        await super().startup([])
        for listener in sockets or []:
            accepting = Accepting(listener, self._make_protocol, self._web.connections)
            accepting.start(self.config.backlog)
            self.servers.append(accepting)  # type: ignore[arg-type]
        if not self.should_exit:
            self._opened()

    def end(self) -> None:
        """Stop serving. Call it on the event loop."""
        self.should_exit = True
        self._ends.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal ends it."""
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._ends.set)

    async def main_loop(self) -> None:
        """Wait until it ends. Uvicorn itself looks ten times a second: most of what an idle room would do."""
        if not await self.on_tick(0):
            await self._ends.wait()

    def _make_protocol(self) -> Protocol:
        return Protocol(
            self._web.connections,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop within two seconds, with streams open or not. What was accepted last ends like all others."""
        for accepting in self.servers:
            accepting.close()
            await accepting.wait_closed()
        self._web.end_streams()
        await super().shutdown(sockets)


async def serve_web(
    web: Web, settings: Settings, listener: socket.socket, opened: Callable[[], None], stop: asyncio.Event | None
) -> None:
    """Serve until a signal, or `stop`, ends the server."""
    config = uvicorn.Config(
        web,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )
    server = WebServer(config, web, opened)
    stopping = None if stop is None else asyncio.create_task(_stop_with(stop, server))
    try:
        await server.serve([listener])  # not as a task: what a signal raises must leave by the caller
    finally:
        if stopping is not None:
            stopping.cancel()


async def _stop_with(stop: asyncio.Event, server: WebServer) -> None:
    """Stop a server with an event."""
    await stop.wait()
    server.end()


Serve = Callable[[Callable[[], None], asyncio.Event], Awaitable[None]]
"""Serves on the loop that calls it: says when it has begun, and ends with the event."""


class LoopThread:
    """A thread with an event loop of its own, so that what another loop is busy with does not delay it."""

    def __init__(self, serve: Serve, name: str) -> None:
        self._serve = serve
        self._begun = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    async def start(self) -> None:
        """Return once it serves. Raises what kept it from serving."""
        self._thread.start()
        await asyncio.to_thread(self._begun.wait)
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.call(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function on this loop, soon; on one that has ended, never."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._error = error
        finally:
            self._begun.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self._serve(self._begun.set, self._stop)
