"""What a call costs the server: its CPU next to that of a no-op on the bare SDK, for clients of both protocols.

python -m tests.bench.costs [--rounds N] [--before CHECKOUT] [--postgres] [CALL …]. Sixteen callers; each round measures
every call right after the no-op, so that a noisy machine disturbs both alike. CPU is steadier than rates on a shared
machine. The share is the no-op's CPU over the call's: 1.00 is as cheap as a call that does nothing. CHECKOUT is a work
tree of an earlier version, as `git worktree add --detach /tmp/earlier COMMIT` makes it; it is measured in the same
rounds. So is a room in PostgreSQL, with the CPU of the room's server alone.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.bench.database import empty_database
from tests.campaigns.callers import RawCaller, enroll, tool_call
from tests.harness.room import RoomOfProcesses, free_port, stop, wait_until_ready
from tests.support.rates import LIMITLESS
from tests.support.raw import LEGACY, MODERN, Legacy, message, posted

ROOT = Path(__file__).parents[2]

ERAS = (MODERN, LEGACY)
ROUNDS, CALLERS = 9, 16
CALLS, WARM_CALLS = 10, 2
"""How many calls of a kind each caller sends in a round, after some that are not measured."""

READERS = 3
"""With the callers and the owner, twenty members."""

PAGE = 50
CLAIMED = 6
"""How many tasks each caller claims in a round. Nobody held them before: a claim shows a task's history."""

TEXT = "status: build green, 12 tests pass on branch feature-x. " * 4
SETTINGS: dict[str, Any] = {
    **LIMITLESS,
    "wip_cap": 100,
    "notes_per_hour": 1000,
    "pool_seconds": 60,
    "read_seconds": 60,
    "act_read_seconds": 10,
}
"""On a machine that is busy with other work, sixteen callers would be refused while they wait for a read."""

NO_OP = "no-op"
TARGETS = {
    "post_message": 0.8,
    "post_message to one": 0.6,
    "heartbeat": 0.8,
    "check_in": 0.8,
    "read_board": 0.8,
    "claim_task": 0.7,
    "update_task": 0.7,
    f"read_messages of {PAGE}": 0.6,
    "who of 20": 0.6,
}
"""Each call that is measured, with the least share of the no-op that it must reach."""

SQLITE, POSTGRES, BEFORE = "SQLite", "PostgreSQL", "before"
POSTGRES_TARGETS = {"post_message": 0.5}
"""The same for a room in PostgreSQL."""

Calls = Iterator[tuple[str, dict[str, object]]]


@dataclass
class Version:
    """A server that callers of one protocol call, and what each call cost in the rounds, in µs of CPU.

    `held`: the task that each caller holds, with its fence.
    """

    name: str
    era: str
    port: int
    process: int
    tokens: Sequence[str | None] = (None,) * CALLERS
    sessions: Sequence[Sequence[tuple[str, str]]] = ()
    callers: list[RawCaller] = field(default_factory=list)
    held: list[dict[str, object]] = field(default_factory=list)
    costs: dict[str, list[float]] = field(default_factory=dict)

    async def connect(self) -> None:
        """Open a connection for each caller, and a session where the protocol has one."""
        self.callers = [await RawCaller.connect(self.port) for _ in range(CALLERS)]
        if self.era == LEGACY:
            self.sessions = [Legacy(self.port, token or "").session for token in self.tokens]

    async def call(self, number: int, tool: str, arguments: dict[str, object]) -> bytes:
        """Call a tool as one of the callers; returns the body of the answer. Raises RuntimeError for a refusal."""
        token = self.tokens[number]
        if self.era == MODERN:
            request = tool_call(self.port, token, tool, arguments)
        else:
            body = message("tools/call", {"name": tool, "arguments": arguments})
            request = posted(self.port, token, body, self.sessions[number])
        status, answer = await self.callers[number].send(request)
        if status != 200 or b'"isError":true' in answer or b'"result"' not in answer:
            raise RuntimeError(f"{tool} failed with {status}: {answer[:500]!r}")
        return answer

    async def send(self, calls: Sequence[Calls]) -> list[list[bytes]]:
        """Let every caller send its calls, one after the other; returns their answers."""

        async def send(number: int, own: Calls) -> list[bytes]:
            return [await self.call(number, tool, arguments) for tool, arguments in own]

        return await asyncio.gather(*(send(number, own) for number, own in enumerate(calls)))

    async def measure(self, name: str, calls: Sequence[Calls], count: int) -> list[list[bytes]]:
        """Send so many calls of each caller, and note what one of them cost; returns their answers."""
        before = cpu_seconds(self.process)
        answers = await self.send([itertools.islice(own, count) for own in calls])
        self.costs.setdefault(name, []).append((cpu_seconds(self.process) - before) / (count * CALLERS) * 1e6)
        return answers


def cpu_seconds(process: int) -> float:
    """The CPU that a process has used, all its threads together."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def reply_of(answer: bytes) -> dict[str, Any]:
    """The data of an answer: of a JSON body, or of the only event of a stream."""
    text = answer if answer.startswith(b"{") else answer.split(b"data: ")[-1]
    return dict(json.loads(text)["result"]["structuredContent"])


# ------------------------------------------------------------------ the servers


@contextlib.contextmanager
def floor(kind: str) -> Iterator[tuple[int, int]]:
    """A no-op server in a process of its own: its port and its process."""
    command = [sys.executable, "-m", "tests.bench.floor", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


@contextlib.contextmanager
def served(checkout: Path, data: Path, *words: str) -> Iterator[tuple[RoomOfProcesses, int]]:
    """Serve a room with the code of a checkout: the room and its process. `words`: more of the command line."""
    room = RoomOfProcesses(data, free_port())
    settings = {f"TEAMROOM_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    start = "import sys; from teamroom.clients.shell.main import main; sys.argv[0] = 'teamroom'; main()"
    command = [sys.executable, "-c", start, "up", "--data", str(data), "--port", str(room.port), *words]
    environment = {"PATH": os.environ["PATH"], "HOME": str(data.parent), "LOGNAME": "olga", "LANG": "C.UTF-8"}
    log = data.with_suffix(".log")
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**environment, **settings, "PYTHONPATH": str(checkout / "src")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(room, process, log)
        yield room, process.pid
    finally:
        stop(process)


async def furnish(room: RoomOfProcesses) -> list[str]:
    """Twenty members, fifty messages and some tasks; returns the callers' tokens."""
    first = await RawCaller.connect(room.port)
    tokens = [await enroll(first, room, f"caller{number}") for number in range(CALLERS)]
    for number in range(READERS):
        await enroll(first, room, f"reader{number}")
    for number in range(PAGE):
        text = {"text": f"{number} {TEXT}"}
        await first.send(tool_call(room.port, tokens[number % CALLERS], "post_message", text))
    first.close()
    return tokens


async def give_tasks(version: Version, numbers: Iterator[int]) -> None:
    """Give each caller a task that it holds. Those of another version are its own."""
    claimed = await version.send(await new_claims(version, 1, numbers))
    version.held = [held for (held,) in map(_held, claimed)]


async def new_claims(version: Version, count: int, numbers: Iterator[int]) -> list[Calls]:
    """Let each caller create so many tasks; returns the calls with which it claims them."""
    made = await version.send([map(_create, itertools.islice(numbers, count)) for _ in range(CALLERS)])
    return [map(_claim, own) for own in made]


def _create(number: int) -> tuple[str, dict[str, object]]:
    return "create_task", {"title": f"task {number}"}


def _claim(created: bytes) -> tuple[str, dict[str, object]]:
    return "claim_task", {"task": reply_of(created)["task"]}


def _held(answers: Sequence[bytes]) -> list[dict[str, object]]:
    """The tasks that were claimed, with their fences."""
    return [{key: reply_of(answer)[key] for key in ("task", "fence")} for answer in answers]


# ------------------------------------------------------------------ the calls


async def one_round(versions: Sequence[Version], names: Sequence[str], numbers: Iterator[int]) -> None:
    """Measure each call once in each version, and the no-op before."""
    no_op, *rooms = versions
    for name in names:
        await measure_calls(no_op, NO_OP, name, numbers)
        for room in rooms:
            if name == "claim_task":
                await claim_and_cancel(room, numbers)
            else:
                await measure_calls(room, name, name, numbers)


async def measure_calls(version: Version, kind: str, name: str, numbers: Iterator[int]) -> None:
    """Measure calls of a kind, under the name of a figure."""
    calls = [calls_of(version, kind, number, numbers) for number in range(CALLERS)]
    await version.send([itertools.islice(own, WARM_CALLS) for own in calls])
    await version.measure(name, calls, CALLS)


async def claim_and_cancel(version: Version, numbers: Iterator[int]) -> None:
    """Measure claims of new tasks, and cancel these."""
    claims = await new_claims(version, CLAIMED, numbers)
    claimed = await version.measure("claim_task", claims, CLAIMED)
    await version.send([map(_cancel, _held(own)) for own in claimed])


def _cancel(held: dict[str, object]) -> tuple[str, dict[str, object]]:
    return "update_task", {**held, "status": "cancelled"}


def calls_of(version: Version, name: str, number: int, numbers: Iterator[int]) -> Calls:
    """The calls of a kind that one caller sends, without an end. `numbers`: make texts that differ."""
    for n in numbers:
        if name == NO_OP:
            yield "noop", {"x": 1}
        elif name == "post_message":
            yield name, {"text": f"{n} {TEXT}"}
        elif name == "post_message to one":
            yield "post_message", {"text": f"{n} {TEXT}", "to": [f"reader{number % READERS}"]}
        elif name == "update_task":
            yield name, {**version.held[number], "note": f"{n} of the tests pass now"}
        elif name.startswith("read_messages"):
            yield "read_messages", {"limit": PAGE}
        else:
            yield name.split()[0], {}


async def measure(versions: list[Version], rooms: list[RoomOfProcesses], names: Sequence[str], rounds: int) -> None:
    """Measure everything in each round, the versions in turn."""
    tokens = {room.port: await furnish(room) for room in rooms}
    numbers = itertools.count()
    for version in versions:
        if version.port in tokens:
            version.tokens = tokens[version.port]
        await version.connect()
        if version.port in tokens:
            await give_tasks(version, numbers)
    for number in track(range(-1, rounds), "Measuring", transient=True):
        for era in ERAS:
            no_op, *served_rooms = [version for version in versions if version.era == era]
            await one_round([no_op, *served_rooms[:: 1 if number % 2 else -1]], names, numbers)
        if number < 0:
            for version in versions:
                version.costs.clear()


# ------------------------------------------------------------------ the result


def show(versions: list[Version], names: Sequence[str]) -> None:
    """Print and draw what each call cost."""
    for era in ERAS:
        no_op, *rooms = [version for version in versions if version.era == era]
        base = [cost for costs in no_op.costs.values() for cost in costs]
        for room in rooms:
            title = f"clients of {era}, {room.name}; the no-op costs {median(base):,.0f} µs"
            table = Table("call", "µs of CPU", "share", "", "target", title=title, box=None, title_justify="left")
            for name in names:
                share = share_of(room.costs[name], no_op.costs[name])
                target = target_of(room.name, name)
                verdict = "" if target is None else f"{target:.2f} {'reached' if share >= target else 'MISSED'}"
                bar = ProgressBar(total=1.5, completed=min(share, 1.5), width=30)
                table.add_row(name, f"{median(room.costs[name]):,.0f}", f"{share:.2f}", bar, verdict)
            Console().print(table)


def compare(versions: list[Version], names: Sequence[str]) -> None:
    """Print how many times as much each call cost before, where an earlier version was measured in the same rounds."""
    for era in ERAS:
        rooms = {version.name: version.costs for version in versions if version.era == era}
        if BEFORE not in rooms:
            return
        title = f"clients of {era}: the CPU before over the CPU now"
        table = Table("call", "median", "quartiles", title=title, box=None, title_justify="left")
        for name in names:
            ratios = [before / now for before, now in zip(rooms[BEFORE][name], rooms[SQLITE][name], strict=True)]
            first, middle, third = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
            table.add_row(name, f"{middle:.2f}", f"{first:.2f} to {third:.2f}")
        Console().print(table)


def share_of(costs: Sequence[float], floors: Sequence[float]) -> float:
    """The median over the rounds of the no-op's CPU over the call's."""
    return median(base / cost for base, cost in zip(floors, costs, strict=True))


def target_of(room: str, name: str) -> float | None:
    """The least share of the no-op that a call must reach in a room; None if there is none."""
    return POSTGRES_TARGETS.get(name) if room == POSTGRES else TARGETS[name]


def run(names: Sequence[str], rounds: int, before: Path | None = None, database: str | None = None) -> list[Version]:
    """Start the no-ops and the rooms, and measure; returns what each call cost in each.

    `before`: a checkout that is measured too. `database`: the address of an empty one, for a room in PostgreSQL.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        floors = {era: stack.enter_context(floor(kind)) for era, kind in ((MODERN, "high"), (LEGACY, "sessions"))}
        rooms = {SQLITE: stack.enter_context(served(ROOT, folder / SQLITE))}
        if before is not None:
            rooms[BEFORE] = stack.enter_context(served(before, folder / BEFORE))
        if database is not None:
            rooms[POSTGRES] = stack.enter_context(served(ROOT, folder / POSTGRES, "--database", database))
        versions = [Version(NO_OP, era, *place) for era, place in floors.items()]
        versions += [Version(name, era, room.port, process) for era in ERAS for name, (room, process) in rooms.items()]
        uvloop.run(measure(versions, [room for room, _ in rooms.values()], names, rounds))
        return versions


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CALL")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    names = given.names or list(TARGETS)
    with empty_database() if given.postgres else contextlib.nullcontext() as database:
        versions = run(names, given.rounds, given.before, database)
        show(versions, names)
        compare(versions, names)


if __name__ == "__main__":
    main()
