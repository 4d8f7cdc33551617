"""How soon one of many listeners has its wake, against bare SSE that is asked in the same way.

python -m tests.bench.wake [LISTENERS …]. Each member of a room has one listener, which waits as `teamroom listen` does.
A mention is posted, and the time runs from that call until its listener has the wake: the post is durable by then. The
floor is the bare SDK with as many open streams, and a tool that writes a line into one of them and keeps nothing. Both
are asked in turn, one mention after the other. A server without the SDK that writes the line is shown for comparison.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.bench.costs import cpu_seconds, floor
from tests.bench.delivery import Listeners, Tell, through
from tests.bench.memory import more_files
from tests.campaigns.callers import RawCaller, enroll, tool_call
from tests.campaigns.campaign import quantile
from tests.harness.room import RoomOfProcesses, free_port, served_room
from tests.support.rates import LIMITLESS

LISTENERS = (10, 100, 1_000)
WAKES, WARM_WAKES = 200, 20
MOST_TIMES = 4.0
"""How many times as long as the floor half of the wakes may take."""

ROOM, FLOOR, BARE = "the room", "the bare SDK", "bare SSE without a tool"


@dataclass
class Told:
    """A server whose listeners are told: how, what they heard, and how long that took each time, in seconds."""

    name: str
    process: int
    tell: Tell
    listeners: Listeners
    times: list[float] = field(default_factory=list)
    cpu: float = 0.0

    async def wake(self, who: int, number: int) -> float:
        """Tell one listener; returns how long that took."""
        began = time.monotonic()
        await self.tell(who, number)
        return await self.listeners.heard(number) - began


@dataclass(frozen=True)
class Wakes:
    """What wakes took among so many listeners, in ms: half of them, and 99 of 100; and CPU of the server in µs."""

    p50: float
    p99: float
    cpu_us: float


Found = dict[str, Wakes]
"""By server."""


async def in_room(room: RoomOfProcesses, process: int, count: int) -> Told:
    """A room with so many listeners."""
    caller = await RawCaller.connect(room.port)
    numbers = track(range(count), f"Enrolling {count} members", transient=True)
    tokens = [await enroll(caller, room, f"agent-{number}") for number in numbers]
    author = await enroll(caller, room, "author")
    free = _one_by_one(caller)

    async def tell(who: int, number: int) -> None:
        await through(free, tool_call(room.port, author, "post_message", {"text": f"@agent-{who} number {number}"}))

    return Told(ROOM, process, tell, await Listeners.start("room", room.port, tokens))


async def in_floor(port: int, process: int, count: int) -> Told:
    """The bare SDK with so many streams."""
    free = _one_by_one(await RawCaller.connect(port))

    async def tell(who: int, number: int) -> None:
        await through(free, tool_call(port, None, "tell", {"name": str(who), "number": number}))

    return Told(FLOOR, process, tell, await Listeners.start("sse", port, [str(each) for each in range(count)]))


async def in_bare(port: int, process: int, count: int) -> Told:
    """A server that only writes lines, with so many streams."""
    free = _one_by_one(await RawCaller.connect(port))

    async def tell(who: int, number: int) -> None:
        await through(free, f"POST /tell/{who}/{number} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())

    return Told(BARE, process, tell, await Listeners.start("sse", port, [str(each) for each in range(count)]))


def _one_by_one(caller: RawCaller) -> "asyncio.Queue[RawCaller]":
    """The one connection over which everything is told."""
    free: asyncio.Queue[RawCaller] = asyncio.Queue()
    free.put_nowait(caller)
    return free


async def alternate(servers: Sequence[Told], count: int, wakes: int) -> Found:
    """Wake one listener of each server in turn."""
    for server in servers:
        for number in track(range(count), f"Waiting until {count} listeners listen", transient=True):
            await server.wake(number, number)
    picked = random.Random(1)
    for number in track(range(-WARM_WAKES, wakes), "Waking", transient=True):
        for server in servers:
            before = cpu_seconds(server.process)
            took = await server.wake(picked.randrange(count), count + WARM_WAKES + number)
            if number >= 0:
                server.times.append(took)
                server.cpu += cpu_seconds(server.process) - before
    for server in servers:
        await server.listeners.stop()
    return {
        server.name: Wakes(median(server.times) * 1e3, quantile(server.times, 0.99) * 1e3, server.cpu / wakes * 1e6)
        for server in servers
    }


@contextmanager
def servers() -> Iterator[list[tuple[int, int]]]:
    """The servers of the floors: port and process of each."""
    with floor("told") as told, floor("sse") as bare:
        yield [told, bare]


def measure(count: int, wakes: int = WAKES) -> Found:
    """What wakes take among so many listeners, in each server."""
    more_files()
    settings = {**LIMITLESS, "wakes_from_one": 1000}  # the author mentions everybody more often than a member would
    environment = {f"TEAMROOM_{name.upper()}": str(value) for name, value in settings.items()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = stack.enter_context(served_room(folder / "room", free_port(), environment))
        told, bare = stack.enter_context(servers())

        async def run() -> Found:
            each = [await in_room(served.room, served.process.pid, count)]
            each += [await in_floor(*told, count), await in_bare(*bare, count)]
            return await alternate(each, count, wakes)

        return uvloop.run(run())


def times_of(found: Found) -> float:
    """How many times as long as over the floor half of the wakes took."""
    return found[ROOM].p50 / found[FLOOR].p50


def show(found: dict[int, Found]) -> None:
    """Print and draw what wakes took."""
    table = Table("listeners", "server", "p50 ms", "", "p99 ms", "µs of CPU", "times the SDK", box=None)
    most = max(wakes.p50 for each in found.values() for wakes in each.values())
    for count, each in found.items():
        for name, wakes in each.items():
            bar = ProgressBar(total=most, completed=wakes.p50, width=30)
            times = times_of(each)
            verdict = f"{times:.1f}{'' if times <= MOST_TIMES else '  MISSED'}" if name == ROOM else ""
            table.add_row(
                str(count), name, f"{wakes.p50:.2f}", bar, f"{wakes.p99:.2f}", f"{wakes.cpu_us:,.0f}", verdict
            )
    Console().print(table)


def main() -> None:
    """Measure, and draw. Exits with 1 if a wake takes too long."""
    found = {count: measure(count) for count in tuple(map(int, sys.argv[1:])) or LISTENERS}
    show(found)
    sys.exit(any(times_of(each) > MOST_TIMES for each in found.values()))


if __name__ == "__main__":
    main()
