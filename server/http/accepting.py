"""Accepts connections, a few at a time and only while there is room, and goes on whatever the system refuses."""

import asyncio
import logging
import socket
from collections.abc import Callable

from teamroom.server.http.connections import Connections

logger = logging.getLogger("teamroom.connections")

ACCEPTED_AT_ONCE = 8
"""Connections that are accepted before those accepted earlier are read."""

RETRY_SECONDS = 0.02
"""How soon it is tried again after there was no room."""

FAILED_SECONDS = 0.2
"""How soon it is tried again after the system refused."""


class Accepting:
    """What uvicorn knows as a server: a listening socket whose connections are accepted until it is closed."""

    def __init__(
        self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol], connections: Connections
    ) -> None:
        self._listener, self._make_protocol, self._connections = listener, make_protocol, connections
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self, backlog: int) -> None:
        """Listen, and accept from now on."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._resume()

    def close(self) -> None:
        """Accept no more."""
        if not self._is_closed:
            self._is_closed = True
            self._pause()

    async def wait_closed(self) -> None:
        """Wait for what was accepted last."""
        await asyncio.gather(*self._begun)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if not self._connections.make_room():
                self._pause(RETRY_SECONDS)
                return
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it left before it was accepted
            except OSError as error:
                logger.warning("no connection can be accepted (%s); the server keeps trying", error.strerror)
                self._pause(FAILED_SECONDS)
                return
            accepted.setblocking(False)
            task = self._loop.create_task(self._begin(accepted))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, accepted)
        except OSError:
            accepted.close()  # it left in between

    def _pause(self, seconds: float | None = None) -> None:
        """Accept nothing for so long; for ever without a number."""
        self._loop.remove_reader(self._listener.fileno())
        if self._retry is not None:
            self._retry.cancel()
        self._retry = None if seconds is None else self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)
