"""A cable to a database that a test can cut: bytes then go nowhere, and nobody is told.

A test can also hold its connections up, as a database does whose processes stand still: new connections work.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

CHUNK_BYTES = 65_536


@dataclass
class Cable:
    """Passes bytes between clients and a server, until it is cut."""

    port: int = 0
    _whole: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _moving: list[asyncio.Event] = field(default_factory=list)
    held_up: set[int] = field(default_factory=set)
    """The connections, by number, in which bytes wait that were held up."""

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return len(self._moving)

    def hold(self) -> None:
        """Let nothing through on the connections that there are. Those that are made later work."""
        for moving in self._moving:
            moving.clear()

    def cut(self) -> None:
        """Let nothing through, as a network does that is cut: connections stay, and hear nothing."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything through again, also what was sent meanwhile."""
        self._whole.set()
        for moving in self._moving:
            moving.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: tuple[str, int]) -> None:
        """One connection of a client. One that comes while the cable is cut is made once it is mended."""
        await self._whole.wait()
        there = await asyncio.open_connection(*to)
        number = len(self._moving)
        self._moving.append(asyncio.Event())
        self._moving[number].set()
        ways = (self._pass(number, reader, there[1]), self._pass(number, there[0], writer))
        tasks = [asyncio.create_task(way) for way in ways]
        self._tasks.update(tasks)
        with contextlib.suppress(asyncio.CancelledError):  # the event loop ends
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in (writer, there[1]):
            end.close()

    async def _pass(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if not self._moving[number].is_set():
                    self.held_up.add(number)
                await self._moving[number].wait()
                await self._whole.wait()
                writer.write(chunk)
                await writer.drain()

    def end(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def cable_to(host: str, port: int) -> AsyncIterator[Cable]:
    """A cable to a server, as long as the block runs."""
    cable = Cable()
    cable.mend()
    server = await asyncio.start_server(lambda r, w: cable.connected(r, w, (host, port)), "127.0.0.1", 0)
    cable.port = server.sockets[0].getsockname()[1]
    try:
        yield cable
    finally:
        cable.end()
        server.close()
