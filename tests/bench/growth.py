"""What a call costs as the log or the roster grows: flat, if an index leads to all it needs.

python -m tests.bench.growth [--entries N …] [--members N …]. Fills rooms without the wire, and makes each call at the
room's own door: the CPU of all threads, the median of some rounds. One room has a thousand members and ten thousand
tasks, and its log grows; the other rooms have ten thousand entries and more and more members. Where there is a
PostgreSQL server on this machine, copies of the first rooms are measured there too, with the CPU of the database.
"""

import argparse
import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.acts.act import Act
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.store import folder as data_folder
from teamroom.tools.serve import TOOLS
from tests.bench.costs import cpu_seconds
from tests.bench.database import backends, copied_database, is_on_this_machine
from tests.bench.ticks import Size, furnish, grow, supervised

ENTRIES = (10_000, 100_000, 1_000_000)
MEMBERS = (10, 100, 1_000, 10_000)
SIZE = Size(members=1_000, tasks=10_000)
MEMBERS_TASKS = 1_000
"""The tasks of the rooms with more and more members."""

ROUNDS, CALLS = 7, 40
BOUND = 1.2
"""How many times as much a call may cost with the longest log."""

Costs = dict[str, dict[int, float]]
"""By call and size, in µs of CPU."""

TIMED: dict[str, Callable[[int, Size], dict[str, Any]]] = {
    "heartbeat": lambda number, size: {},
    "check_in": lambda number, size: {},
    "post_message": lambda number, size: {"text": f"number {number}"},
    "post_message to one": lambda number, size: {"text": f"number {number}", "to": ["m1"]},
    "create_task": lambda number, size: {"title": f"task {number}"},
    "read_board": lambda number, size: {"after": f"T-{1 + number % size.tasks}"},
    "read_messages": lambda number, size: {"limit": 50, "after": 0 if number % 2 else 1},
    "who": lambda number, size: {"name": f"m{1 + number % size.members}"},
}


@dataclass
class Grown:
    """A room that has grown to a size, open, with a caller."""

    size: Size
    door: Door
    caller: Caller
    backends: list[int] = field(default_factory=list)
    """The processes with which the database serves it."""

    def cpu_seconds(self) -> float:
        """The CPU that the room and its database have used."""
        return time.process_time() + sum(map(cpu_seconds, self.backends))


@dataclass(frozen=True)
class Filled:
    """A room that was filled: its folder, its size, and the database with a copy of it, if it is measured there."""

    folder: Path
    size: Size
    address: str | None = None


async def measure_entries(folder: Path, sizes: Sequence[int]) -> Costs:
    """The cost of each call for each length of the log, each in a copy of one room."""
    await furnish(folder / "room", SIZE)
    places = {}
    for entries in sizes:
        grow(folder / "room", SIZE, entries)
        places[entries] = Filled(folder / f"{entries}", SIZE)
        shutil.copytree(folder / "room", places[entries].folder)
    return await measure(places)


async def measure_entries_on_postgres(folder: Path, sizes: Sequence[int]) -> Costs:
    """The same for copies in PostgreSQL, and of both the room and its database."""
    await furnish(folder / "room", SIZE)
    places = {}
    with ExitStack() as stack:
        for entries in sizes:
            grow(folder / "room", SIZE, entries)
            address = await asyncio.to_thread(stack.enter_context, copied_database(folder / "room"))
            places[entries] = Filled(folder / "room", SIZE, address)
        return await measure(places)


async def measure_members(folder: Path, sizes: Sequence[int]) -> Costs:
    """The cost of each call for each number of members, each in a room of its own."""
    places = {}
    for members in sizes:
        filled = places[members] = Filled(folder / f"{members}", Size(members, MEMBERS_TASKS))
        await furnish(filled.folder, filled.size)
        grow(filled.folder, filled.size, ENTRIES[0])
    return await measure(places)


async def measure(places: Mapping[int, Filled]) -> Costs:
    """The cost of each call in each of some rooms, which take turns: so a noisy machine disturbs all alike."""
    async with AsyncExitStack() as stack:
        rooms = {}
        for number, filled in places.items():
            _, door = await stack.enter_async_context(supervised(filled.folder, filled.address))
            rooms[number] = Grown(filled.size, door, await _agent(door, filled.folder, "caller"))
        found: dict[str, dict[int, list[float]]] = {name: {number: [] for number in rooms} for name in TIMED}
        numbers = itertools.count(1)
        for turn in track(range(-1, ROUNDS), "Calling in all rooms", transient=True):
            for number, filled in places.items() if turn == 0 else ():
                rooms[number].backends = [] if filled.address is None else backends(filled.address)
            for name, (number, room) in itertools.product(TIMED, rooms.items()):
                cost = await _cost(room, name, numbers)
                if turn >= 0:
                    found[name][number].append(cost)
    return {name: {number: median(each) for number, each in costs.items()} for name, costs in found.items()}


async def _agent(door: Door, folder: Path, name: str) -> Caller:
    """A new agent of the room's owner."""
    owner = await door.identify((folder / data_folder.OWNER_TOKEN).read_text().strip())
    enroll = TOOLS["enroll"].does
    made = await door.act(owner, enroll, enroll.arguments(name=name))  # type: ignore[arg-type]
    return await door.identify(made.token)


async def _cost(room: Grown, name: str, numbers: Iterator[int]) -> float:
    """What one call costs, of some."""
    does: Any = TOOLS[name.split()[0]].does
    given = (TIMED[name](number, room.size) for number in itertools.islice(numbers, CALLS))
    calls = [does.arguments.model_validate(arguments) for arguments in given]
    begun = room.cpu_seconds()
    for arguments in calls:
        await (room.door.act if isinstance(does, Act) else room.door.read)(room.caller, does, arguments)
    return (room.cpu_seconds() - begun) / CALLS * 1e6


def growth_of(costs: dict[int, float]) -> float:
    """How many times as much a call costs with the longest log as with the shortest."""
    return costs[max(costs)] / costs[min(costs)]


def show(costs: Costs, what: str) -> None:
    """Print and draw how each cost grows."""
    sizes = sorted(next(iter(costs.values())))
    table = Table("call", *(f"{size:,}" for size in sizes), "growth", "", title=f"µs of CPU, by {what}", box=None)
    for name, by_size in costs.items():
        growth = growth_of(by_size)
        verdict = "flat" if growth <= BOUND else "GROWS"
        bar = ProgressBar(total=2, completed=min(growth, 2), width=20)
        table.add_row(name, *(f"{by_size[size]:,.0f}" for size in sizes), f"{growth:.2f} {verdict}", bar)
    Console().print(table)


def run(measure_: Callable[[Path, Sequence[int]], Coroutine[Any, Any, Costs]], sizes: Sequence[int]) -> Costs:
    """What calls cost at some sizes."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure_(Path(folder), sizes))


def main() -> None:
    """Fill, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=list(ENTRIES))
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    given = parser.parse_args()
    show(run(measure_entries, given.entries), "log entries")
    if is_on_this_machine():
        show(run(measure_entries_on_postgres, given.entries), "log entries, on PostgreSQL")
    show(run(measure_members, given.members), "members")


if __name__ == "__main__":
    main()
