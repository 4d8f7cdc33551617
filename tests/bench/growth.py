"""What a call costs as the log or the roster grows: flat, if an index leads to all it needs.

python -m tests.bench.growth [--entries N …] [--members N …]. Fills rooms without the wire, and makes each call at the
room's own door: the CPU of all threads, the median of some rounds. One room has a thousand members and ten thousand
tasks, and its log grows; the other rooms have ten thousand entries and more and more members.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.acts.act import Act
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.store import folder as data_folder
from teamroom.tools.serve import TOOLS
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


async def measure(folder: Path, sizes: tuple[int, ...]) -> Costs:
    """The cost of each call at each size, the same room growing."""
    await furnish(folder, SIZE)
    costs: Costs = {name: {} for name in TIMED}
    numbers = itertools.count(1)
    for entries in sizes:
        grow(folder, SIZE, entries)
        async with supervised(folder) as (_, door):
            caller = await _agent(door, folder, f"agent{entries}")
            for name in (*TIMED, *TIMED):  # the first time warms up
                costs[name][entries] = await _cost(door, caller, name, numbers, SIZE)
    return costs


async def measure_members(folder: Path, sizes: tuple[int, ...]) -> Costs:
    """The cost of each call for each number of members, each in a room of its own."""
    costs: Costs = {name: {} for name in TIMED}
    numbers = itertools.count(1)
    for members in sizes:
        size, place = Size(members, MEMBERS_TASKS), folder / f"{members}"
        await furnish(place, size)
        grow(place, size, ENTRIES[0])
        async with supervised(place) as (_, door):
            caller = await _agent(door, place, "caller")
            for name in (*TIMED, *TIMED):  # the first time warms up
                costs[name][members] = await _cost(door, caller, name, numbers, size)
    return costs


async def _agent(door: Door, folder: Path, name: str) -> Caller:
    """A new agent of the room's owner."""
    owner = await door.identify((folder / data_folder.OWNER_TOKEN).read_text().strip())
    enroll = TOOLS["enroll"].does
    made = await door.act(owner, enroll, enroll.arguments(name=name))  # type: ignore[arg-type]
    return await door.identify(made.token)


async def _cost(door: Door, caller: Caller, name: str, numbers: Iterator[int], size: Size) -> float:
    does: Any = TOOLS[name.split()[0]].does
    found = []
    for _ in range(ROUNDS + 1):
        calls = [
            does.arguments.model_validate(TIMED[name](number, size)) for number in itertools.islice(numbers, CALLS)
        ]
        begun = time.process_time()
        for arguments in calls:
            await (door.act if isinstance(does, Act) else door.read)(caller, does, arguments)
        found.append((time.process_time() - begun) / CALLS * 1e6)
    return median(found[1:])


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


def run(entries: Sequence[int] = ENTRIES, members: Sequence[int] = MEMBERS) -> tuple[Costs, Costs]:
    """What calls cost by entries of the log, and by members."""
    with tempfile.TemporaryDirectory() as folder:
        by_entries = asyncio.run(measure(Path(folder) / "room", tuple(entries)))
        return by_entries, asyncio.run(measure_members(Path(folder), tuple(members)))


def main() -> None:
    """Fill, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=list(ENTRIES))
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    given = parser.parse_args()
    for costs, what in zip(run(given.entries, given.members), ("log entries", "members"), strict=True):
        show(costs, what)


if __name__ == "__main__":
    main()
