"""What a room of a million entries costs, next to one of ten thousand: calls, long reads, a start, and room on disk.

python -m tests.bench.large [ROUNDS]. Fills both rooms, which takes a minute, and serves each with a process of its own.
Prints the server's CPU time for each call in both, in turn; for each long read; for a start until the room is ready;
and how many bytes an entry takes on the disk. Where there is a PostgreSQL server on this machine, a copy of the large
room is read and started there, too. Then the CPU of the database counts for a read.
"""

import contextlib
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.store.folder import DATABASE
from tests.bench.costs import POSTGRES, SQLITE, cpu_seconds
from tests.bench.database import backends, copied_database, is_on_this_machine
from tests.bench.page import fill_room
from tests.campaigns.callers import RawCaller, enroll, rate, resource_read, tool_call
from tests.harness.room import ServedRoom, free_port, served_room, stop
from tests.support.large_rooms import Size
from tests.support.rates import LIMITLESS

SMALL, LARGE = Size(tasks=5_000, messages=5_000, members=1_000), Size(tasks=10_000, messages=500_000, members=1_000)
"""Each message, or each task if there are more of them, has two entries of the log."""

GROWTH, READ_MILLISECONDS, READY_SECONDS = 1.2, 100.0, 2.0
"""What a call may cost of the same in the small room, a long read, and a start."""

ENTRY_BYTES = 700
"""What an entry may take on the disk."""

ROUNDS, CALLERS, SECONDS, READS, STARTS = 5, 4, 1.0, 20, 3

ENVIRONMENT = {f"TEAMROOM_{name.upper()}": str(value) for name, value in LIMITLESS.items()}

CALLS: dict[str, dict[str, Any]] = {
    "post_message": {"text": "as they go"},
    "heartbeat": {"note": "as they go"},
    "check_in": {},
    "read_board": {},
    "create_task": {"title": "as they go"},
    "read_messages": {"query": "build", "limit": 20},
    "who": {"name": "crowd-7"},
}
"""The calls whose cost must not grow with the log."""

LONG_READS = ("teamroom://overnight", "teamroom://board", "teamroom://roster")


@dataclass
class Measured:
    """A room that is served, and what each call cost there, in milliseconds of CPU of the server and its database.

    `database`: its address, if it is not in a file.
    """

    served: ServedRoom
    database: str | None = None
    callers: list[RawCaller] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    costs: dict[str, list[float]] = field(default_factory=dict)

    @property
    def server(self) -> psutil.Process:
        """The process that serves it."""
        return psutil.Process(self.served.process.pid)

    def cpu_seconds(self) -> float:
        """The CPU that the server has used, and the processes with which the database serves it."""
        database = [] if self.database is None else backends(self.database)
        return sum(self.server.cpu_times()[:2]) + sum(map(cpu_seconds, database))

    async def connect(self) -> None:
        """Bring in the members that call; a copy has them."""
        room = self.served.room
        self.callers = [await RawCaller.connect(room.port) for _ in range(CALLERS)]
        self.tokens = self.tokens or [
            await enroll(self.callers[0], room, f"caller{number}") for number in range(CALLERS)
        ]

    def disconnect(self) -> None:
        """Hang up."""
        for caller in self.callers:
            caller.close()

    async def measure(self, tool: str, numbers: "Iterator[int]") -> None:
        """What one call of a tool costs, over a second of calls."""
        port = self.served.room.port

        def call(caller: int, number: int) -> bytes:
            words = {name: f"{value} {next(numbers)}" for name, value in CALLS[tool].items() if value == "as they go"}
            return tool_call(port, self.tokens[caller], tool, CALLS[tool] | words)

        before = self.cpu_seconds()
        made = await rate(self.callers, call, SECONDS) * SECONDS
        self.costs.setdefault(tool, []).append((self.cpu_seconds() - before) * 1000 / made)

    async def measure_read(self, uri: str) -> None:
        """What one read of a resource costs its owner, over some reads."""
        room = self.served.room
        token = (room.data / "owner.token").read_text().strip()
        before = self.cpu_seconds()
        for number in range(READS):
            status, body = await self.callers[0].send(resource_read(room.port, token, uri, number))
            assert status == 200, body[:500]
        self.costs.setdefault(uri, []).append((self.cpu_seconds() - before) * 1000 / READS)


@contextlib.contextmanager
def room_of(size: Size, folder: Path) -> Iterator[Measured]:
    """A room of a size, served."""
    with served_room(folder / "room", free_port(), ENVIRONMENT) as served:
        fill_room(served, size)
        yield Measured(served)


@contextlib.contextmanager
def copy_in_postgres(room: Measured, folder: Path) -> Iterator[Measured]:
    """A copy of a room in PostgreSQL, served by a process with a data folder of its own. The room itself is closed."""
    data = room.served.room.data
    stop(room.served.process)
    with copied_database(data) as address:
        shutil.copytree(data, folder / "copy", ignore=shutil.ignore_patterns(f"{DATABASE}*"))
        with served_room(folder / "copy", free_port(), ENVIRONMENT | {"TEAMROOM_DATABASE": address}) as served:
            yield Measured(served, address, tokens=room.tokens)


async def measure(rooms: Sequence[Measured], rounds: int) -> None:
    """Measure each call in both rooms in turn, and each long read in the last one."""
    numbers = itertools.count()
    for room in rooms:
        await room.connect()
    for _ in track(range(rounds), "Calling in both rooms", transient=True):
        for tool in CALLS:
            for room in rooms:
                await room.measure(tool, numbers)
        for uri in LONG_READS:
            await rooms[-1].measure_read(uri)
    for room in rooms:
        room.disconnect()


async def measure_reads(room: Measured, rounds: int) -> None:
    """Measure each long read in one room."""
    await room.connect()
    for _ in track(range(rounds), "Reading in PostgreSQL", transient=True):
        for uri in LONG_READS:
            await room.measure_read(uri)
    room.disconnect()


def start_seconds(room: Measured) -> float:
    """The CPU time of a start until the room is ready."""
    room.served.restart()
    return sum(room.server.cpu_times()[:2])


def entry_bytes(room: Measured) -> float:
    """How many bytes of the folder an entry of the log takes, with the messages, tasks and indexes that it made."""
    data = room.served.room.data
    return sum(file.stat().st_size for file in data.glob("room.db*")) / (LARGE.messages * 2)


@dataclass(frozen=True)
class Reads:
    """What the large room costs in an engine: ms of CPU of each long read, and seconds of CPU of a start."""

    reads: dict[str, float]
    start: float

    @property
    def is_good(self) -> bool:
        """Whether nothing costs too much."""
        return max(self.reads.values()) <= READ_MILLISECONDS and self.start <= READY_SECONDS


@dataclass(frozen=True)
class Found:
    """What was found: CPU of each call in the small and the large room, and how many times as much, all medians.

    `large`: by engine. `small_start`: seconds of CPU of a start of the small room. `on_disk`: bytes of an entry.
    """

    calls: dict[str, tuple[float, float, float]]
    large: dict[str, Reads]
    small_start: float
    on_disk: float

    @property
    def is_good(self) -> bool:
        """Whether nothing costs too much."""
        grows = all(times <= GROWTH for _, _, times in self.calls.values())
        return grows and all(room.is_good for room in self.large.values())


def run(rounds: int = ROUNDS) -> Found:
    """Fill and serve both rooms, and measure."""
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        rooms, folders = [], []
        for name, size in (("ten thousand", SMALL), ("a million", LARGE)):
            console.print(f"Filling a room with {name} entries")
            folders.append(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            rooms.append(stack.enter_context(room_of(size, folders[-1])))
        uvloop.run(measure(rooms, rounds))
        small, large = rooms
        starts = [(start_seconds(small), start_seconds(large)) for _ in range(STARTS)]
        few, many = (median(each) for each in zip(*starts, strict=True))
        on_disk = entry_bytes(large)
        engines = {SQLITE: Reads(_reads(large), many)}
        if is_on_this_machine():
            engines[POSTGRES] = run_in_postgres(large, folders[-1], rounds)
    calls = {tool: _compared(small.costs[tool], large.costs[tool]) for tool in CALLS}
    return Found(calls, engines, few, on_disk)


def run_in_postgres(room: Measured, folder: Path, rounds: int, starts: int = STARTS) -> Reads:
    """Copy a room into PostgreSQL, and measure. The room itself is closed."""
    with copy_in_postgres(room, folder) as copy:
        uvloop.run(measure_reads(copy, rounds))
        return Reads(_reads(copy), median(start_seconds(copy) for _ in range(starts)))


def _reads(room: Measured) -> dict[str, float]:
    return {uri: median(room.costs[uri]) for uri in LONG_READS}


def _compared(small: Sequence[float], large: Sequence[float]) -> tuple[float, float, float]:
    return median(small), median(large), median(b / a for a, b in zip(small, large, strict=True))


def show(found: Found) -> None:
    """Print what was found."""
    rows = [
        (f"{tool}: large over small", f"{small:.2f} ms, {large:.2f} ms", times, GROWTH, "")
        for tool, (small, large, times) in found.calls.items()
    ]
    for engine, room in found.large.items():
        rows += [(f"{uri}, {engine}", "", cost, READ_MILLISECONDS, " ms") for uri, cost in room.reads.items()]
        small = f"small {found.small_start:.2f} s" if engine == SQLITE else ""
        rows.append((f"start of the large room, {engine}", small, room.start, READY_SECONDS, " s"))
    table = Table(f"a room of a million entries, {time.strftime('%Y-%m-%d')}", "CPU", "", "", "at most", box=None)
    for name, costs, value, limit, unit in rows:
        bar = ProgressBar(total=limit, completed=min(value, limit), width=30)
        table.add_row(name, costs, f"{value:.2f}{unit}", bar, f"{limit:g}{unit}{'' if value <= limit else '  MISSED'}")
    Console().print(table)
    print(f"bytes on disk for each entry: {found.on_disk:.0f}")


def main() -> None:
    """Measure, and draw. Exits with 1 when something costs too much."""
    found = run(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
    show(found)
    sys.exit(not found.is_good)


if __name__ == "__main__":
    main()
