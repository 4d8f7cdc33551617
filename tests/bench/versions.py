"""What a call costs the server, in this version and in an earlier one, both in turn in one run.

python -m tests.bench.versions CHECKOUT [ROUNDS] [CALLS] [TOOL …]. CHECKOUT is a work tree of the earlier version, as
`git worktree add --detach /tmp/earlier COMMIT` makes it. Both servers run with this interpreter on one processor.
Sixteen callers send CALLS calls each in a round. The ratio of a round is the earlier version's CPU over this one's:
above 1 is cheaper now. The table shows the median of the rounds and its quartiles.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.bench.throughput import CALLERS, TEXT
from tests.campaigns.callers import RawCaller, enroll, tool_call
from tests.harness.room import RoomOfProcesses, free_port, stop, wait_until_ready
from tests.support.rates import LIMITLESS

ROOT = Path(__file__).parents[2]
ROUNDS, CALLS = 12, 60

Arguments = Callable[[int], dict[str, object]]

TOOLS: dict[str, Arguments] = {
    "heartbeat": lambda number: {},
    "post_message": lambda number: {"text": f"{number} {TEXT}"},
    "check_in": lambda number: {},
    "create_task": lambda number: {"title": f"task {number}"},
    "read_board": lambda number: {},
}
"""The calls that can be timed, with their arguments for the nth call."""


@dataclass
class Version:
    """One version: its server, its callers and the CPU of each round by tool, in µs a call."""

    room: RoomOfProcesses
    process: int
    callers: list[RawCaller] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    costs: dict[str, list[float]] = field(default_factory=dict)


@contextlib.contextmanager
def served(checkout: Path, data: Path) -> Iterator[Version]:
    """Serve a room with the code of a checkout."""
    room = RoomOfProcesses(data, free_port())
    settings = {f"TEAMROOM_{name.upper()}": str(value) for name, value in LIMITLESS.items()}
    start = "import sys; from teamroom.clients.shell.main import main; sys.argv[0] = 'teamroom'; main()"
    command = [sys.executable, "-c", start, "up", "--data", str(data), "--port", str(room.port)]
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
        yield Version(room, process.pid)
    finally:
        stop(process)


def cpu_seconds(process: int) -> float:
    """The CPU that a process has used, all its threads together."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


async def one_round(version: Version, tool: str, calls: int, first: int) -> None:
    """Send the calls of all callers, and note what one cost."""

    async def send(caller: RawCaller, token: str, number: int) -> None:
        for call in range(calls):
            arguments = TOOLS[tool](first + number * calls + call)
            status, body = await caller.send(tool_call(version.room.port, token, tool, arguments))
            if status != 200 or b'"isError":true' in body:
                raise RuntimeError(f"{tool} failed with {status}: {body[:500]!r}")

    before = cpu_seconds(version.process)
    pairs = enumerate(zip(version.callers, version.tokens, strict=True))
    await asyncio.gather(*(send(caller, token, number) for number, (caller, token) in pairs))
    cost = (cpu_seconds(version.process) - before) / (calls * len(version.callers)) * 1e6
    version.costs.setdefault(tool, []).append(cost)


async def compare(versions: list[Version], tools: list[str], rounds: int, calls: int) -> None:
    """Time every tool in each round, the versions in turn."""
    for version in versions:
        version.callers = [await RawCaller.connect(version.room.port) for _ in range(CALLERS)]
        version.tokens = [await enroll(version.callers[0], version.room, f"caller{n}") for n in range(CALLERS)]
        for tool in tools:
            await one_round(version, tool, 5, -CALLERS * 5)
            version.costs[tool].clear()
    for number in track(range(rounds), "Timing", transient=True):
        for tool in tools:
            for version in versions[:: 1 if number % 2 else -1]:
                await one_round(version, tool, calls, number * CALLERS * calls)


def show(earlier: Version, now: Version) -> None:
    """Print and draw what each call cost."""
    table = Table("call", "earlier µs", "now µs", "earlier/now", "quartiles", "", box=None)
    for tool, costs in now.costs.items():
        ratios = [old / new for old, new in zip(earlier.costs[tool], costs, strict=True)]
        middle = median(ratios)
        low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (middle,) * 3
        bar = ProgressBar(total=2, completed=min(middle, 2), width=30)
        figures = f"{median(earlier.costs[tool]):,.0f}", f"{median(costs):,.0f}", f"{middle:.2f}"
        table.add_row(tool, *figures, f"{low:.2f}-{high:.2f}", bar)
    Console().print(table)


def main() -> None:
    """Start both servers on one processor, time, draw."""
    checkout, *words = sys.argv[1:]
    rounds = int(words[0]) if words else ROUNDS
    calls = int(words[1]) if len(words) > 1 else CALLS
    tools = words[2:] or list(TOOLS)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as folder,
        served(Path(checkout), Path(folder) / "earlier") as earlier,
        served(ROOT, Path(folder) / "now") as now,
    ):
        uvloop.run(compare([earlier, now], tools, rounds, calls))
        show(earlier, now)


if __name__ == "__main__":
    main()
