"""What a server says it has open, by its metrics, and what the operating system says it uses."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.campaigns.process import Server
from tests.support.kept_alive import connect
from tests.support.raw import request
from tests.support.stopwatch import Stopwatch

LOOK_SECONDS = 0.02
IDLE_SECONDS, IDLE_SHARE = 0.2, 0.25
"""A server that works for less than a quarter of a fifth of a second is idle."""


@dataclass(frozen=True, slots=True)
class Inside:
    """A server at one moment; this look itself is one connection, one request and one task of it."""

    connections: int
    requests: int
    listeners: int
    tasks: int
    files: int
    memory_bytes: int

    def is_within(self, other: "Inside") -> bool:
        """Whether no more is open than at another moment; memory is not looked at."""
        mine, others = (self._counts(), other._counts())
        return all(a <= b for a, b in zip(mine, others, strict=True))

    def _counts(self) -> tuple[int, ...]:
        return self.connections, self.requests, self.listeners, self.tasks, self.files


async def look(server: Server) -> Inside:
    """Ask a server what it has open."""
    assert server.process is not None
    connection = await connect(server.port)
    host = ("host", f"127.0.0.1:{server.port}")
    sent = request("GET", "/metrics", [host, ("authorization", f"Bearer {server.owner_token}")])
    text = (await connection.exchange(sent)).body.decode()
    process = psutil.Process(server.process.pid)
    files, memory = process.num_fds(), process.memory_info().rss
    connection.transport.abort()

    def counted(name: str) -> int:
        found = re.search(rf"^teamroom_{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, f"the server counts no {name}"
        return int(float(found[1]))

    names = ("connections", "requests", "listeners", "loop_tasks")
    return Inside(*map(counted, names), files, memory)


async def until_idle(server: Server, seconds: float) -> None:
    """Wait until a server does next to nothing any more, or the time is up."""
    assert server.process is not None
    process, stopwatch = psutil.Process(server.process.pid), Stopwatch(server.process.pid)
    worked, before = 1.0, sum(process.cpu_times()[:2])
    while worked > IDLE_SHARE * IDLE_SECONDS and stopwatch.seconds < seconds:
        await asyncio.sleep(IDLE_SECONDS)
        now = sum(process.cpu_times()[:2])
        worked, before = now - before, now


async def until(server: Server, true: Callable[[Inside], bool], seconds: float) -> tuple[Inside, float]:
    """Look until something is so, or the time is up; what was seen last, and after how long.

    The time leaves out what the machine kept both processes waiting for.
    """
    assert server.process is not None
    stopwatch = Stopwatch(server.process.pid)
    while True:
        seen = await look(server)
        took = stopwatch.seconds
        if true(seen) or took > seconds:
            return seen, took
        await asyncio.sleep(LOOK_SECONDS)
