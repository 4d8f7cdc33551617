"""How soon a listener gets its wake, with ten and with a thousand listeners on one server, against bare SSE.

python -m tests.bench.delivery [WAKES]. Each member of a real room has one listener, which waits as `teamroom listen`
does. Mentions come at a steady pace, each of one member. The time begins with the call that posts the mention, so it
includes the commit with its sync. Bare SSE is a server that only writes a line into one of as many open streams.
"""

import asyncio
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.campaigns.callers import RawCaller, enroll, tool_call
from tests.campaigns.campaign import quantile
from tests.harness.room import RoomOfProcesses, room_of_processes
from tests.support.raw import ENVELOPE, message, modern_headers, posted

WAKES = 500
PACE_SECONDS = 0.02
"""The time between two mentions."""

MOST_MILLISECONDS = {10: 50.0, 1_000: 250.0}
"""How many listeners there are, and what 99 of 100 wakes may take."""

CALLERS = 8
ARRIVE_SECONDS = 0.003
LOST_SECONDS = 30.0
NUMBER = re.compile(rb"number (\d+)")

Tell = Callable[[int, int], Awaitable[None]]
"""Tells one of the listeners something with a number."""


# ------------------------------------------------------------------ the process of the listeners


async def wait_for_wakes(port: int, token: str, number: int) -> None:
    """One listener of a room."""
    caller, after = await RawCaller.connect(port), 0
    meta = ENVELOPE | {"teamroom/listener": f"{time.time_ns() // 1_000_000:013}-{number:08x}"}
    while True:
        waiting = {"name": "wait_for_wake", "arguments": {"after": after, "timeout_seconds": 45}, "_meta": meta}
        headers = modern_headers("tools/call", "wait_for_wake")
        status, body = await caller.send(posted(port, token, message("tools/call", waiting), headers))
        note(body)
        if status != 200:
            raise RuntimeError(f"a wait ended with {status}: {body[:500]!r}")
        answer = body if body.startswith(b"{") else body.split(b"data:")[-1]  # a long wait is answered as a stream
        after = json.loads(answer)["result"]["structuredContent"]["cursor"]


async def follow(port: int, name: str) -> None:
    """One listener of bare SSE."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /listen/{name} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
    while line := await reader.readline():
        note(line)
    raise ConnectionError("the server ended the stream")


def note(body: bytes) -> None:
    """Print when something came, and its numbers."""
    now = time.monotonic()
    for number in dict.fromkeys(NUMBER.findall(body)):
        print(now, int(number), flush=True)


async def listen(kind: str, port: int, names: list[str]) -> None:
    """Listen as everybody until the process is ended. They come one after the other, as strangers at first."""
    async with asyncio.TaskGroup() as listening:
        for number, name in enumerate(names):
            listening.create_task(wait_for_wakes(port, name, number) if kind == "room" else follow(port, name))
            await asyncio.sleep(ARRIVE_SECONDS)


# ------------------------------------------------------------------ the measurement


class Listeners:
    """The process of the listeners, and what they heard when."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._heard = process, dict[int, float]()

    @classmethod
    async def start(cls, kind: str, port: int, names: list[str]) -> Self:
        """Start one listener for each name: a token of a member, or the name of a stream."""
        command = (sys.executable, "-m", "tests.bench.delivery", "--listen", kind, str(port))
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(names).encode() + b"\n")
        return cls(process)

    async def heard(self, number: int) -> float:
        """When a number was heard."""
        assert self._process.stdout is not None
        while number not in self._heard:
            line = await asyncio.wait_for(self._process.stdout.readline(), LOST_SECONDS)
            at, found = line.split()
            self._heard.setdefault(int(found), float(at))
        return self._heard[number]

    async def stop(self) -> None:
        """End the process."""
        self._process.kill()
        await self._process.wait()


async def times(tell: Tell, listeners: Listeners, count: int, wakes: int) -> list[float]:
    """The seconds from telling to hearing, for each of some wakes, once every listener has heard something."""
    for number in track(range(count), f"Waiting until {count} listeners listen", transient=True):
        await tell(number, number)
        await listeners.heard(number)
    told, telling = dict[int, float](), set[asyncio.Task[None]]()
    begun = time.monotonic()
    for number in range(count, count + wakes):
        await asyncio.sleep(max(0.0, begun + (number - count) * PACE_SECONDS - time.monotonic()))
        told[number] = time.monotonic()
        telling.add(asyncio.create_task(tell(random.randrange(count), number)))
    await asyncio.gather(*telling)
    return [await listeners.heard(number) - at for number, at in told.items()]


@asynccontextmanager
async def callers_of(port: int) -> AsyncIterator[asyncio.Queue[RawCaller]]:
    """Some connections, each for one call at a time."""
    free: asyncio.Queue[RawCaller] = asyncio.Queue()
    for _ in range(CALLERS):
        free.put_nowait(await RawCaller.connect(port))
    try:
        yield free
    finally:
        while not free.empty():
            free.get_nowait().close()


async def through(free: "asyncio.Queue[RawCaller]", request: bytes) -> None:
    """Send a request over a free connection. Raises RuntimeError if it fails."""
    caller = await free.get()
    try:
        status, body = await caller.send(request)
    finally:
        free.put_nowait(caller)
    if status != 200 or b'"isError":true' in body:
        raise RuntimeError(f"a call failed with {status}: {body[:500]!r}")


async def in_room(room: RoomOfProcesses, count: int, wakes: int) -> list[float]:
    """What wakes take in a room."""
    caller = await RawCaller.connect(room.port)
    enrolled = track(range(count), f"Enrolling {count} members", transient=True)
    tokens = [await enroll(caller, room, f"agent-{number}") for number in enrolled]
    author = await enroll(caller, room, "author")
    caller.close()
    listeners = await Listeners.start("room", room.port, tokens)
    try:
        async with callers_of(room.port) as free:  # a connection without a call would be closed meanwhile

            async def tell(who: int, number: int) -> None:
                text = f"@agent-{who} number {number}"
                await through(free, tool_call(room.port, author, "post_message", {"text": text}))

            return await times(tell, listeners, count, wakes)
    finally:
        await listeners.stop()


async def in_floor(port: int, count: int, wakes: int) -> list[float]:
    """What a line takes over bare SSE."""
    async with callers_of(port) as free:
        listeners = await Listeners.start("sse", port, [str(number) for number in range(count)])

        async def tell(who: int, number: int) -> None:
            await through(free, f"POST /tell/{who}/{number} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())

        try:
            return await times(tell, listeners, count, wakes)
        finally:
            await listeners.stop()


def measure(count: int, wakes: int) -> tuple[list[float], list[float]]:
    """The times in a room and over bare SSE, with so many listeners."""
    one_by_one = {"wakes_from_one": 1000}  # the author mentions everybody more often than a member would
    with tempfile.TemporaryDirectory() as folder, room_of_processes(Path(folder) / "room", **one_by_one) as room:
        ours = uvloop.run(in_room(room, count, wakes))
    floor = subprocess.Popen([sys.executable, "-m", "tests.bench.floor", "sse"], stdout=subprocess.PIPE)
    try:
        assert floor.stdout is not None
        return ours, uvloop.run(in_floor(int(floor.stdout.readline()), count, wakes))
    finally:
        floor.kill()
        floor.wait()


def main() -> None:
    """Measure, and draw. Exits with 1 if a wake takes too long."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if sys.argv[1:2] == ["--listen"]:
        asyncio.run(listen(sys.argv[2], int(sys.argv[3]), json.loads(sys.stdin.readline())))
        return
    wakes = int(sys.argv[1]) if len(sys.argv) > 1 else WAKES
    table = Table("listeners", "p50", "p99", "", "at most", "bare SSE: p50", "p99", "times", box=None)
    is_late = False
    for count, most in MOST_MILLISECONDS.items():
        ours, bare = measure(count, wakes)
        (half, slowest), (bare_half, bare_slowest) = (
            (quantile(found, 0.5) * 1000, quantile(found, 0.99) * 1000) for found in (ours, bare)
        )
        is_late |= slowest > most
        table.add_row(
            str(count),
            f"{half:.1f} ms",
            f"{slowest:.1f} ms",
            ProgressBar(total=most, completed=min(slowest, most), width=20),
            f"{most:.0f} ms{'  MISSED' if slowest > most else ''}",
            f"{bare_half:.1f} ms",
            f"{bare_slowest:.1f} ms",
            f"{half / bare_half:.1f}",
        )
    Console().print(table)
    sys.exit(is_late)


if __name__ == "__main__":
    main()
