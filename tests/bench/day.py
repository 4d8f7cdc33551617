"""What a thousand agents at work cost the server: a slice of their day, at its real pace.

python -m tests.bench.day [SECONDS]. Each agent sends a heartbeat every 30 seconds and acts ten times an hour. The load
is even: heartbeats and acts come one after the other, from one agent after the other, each over a connection of its
own. The figure is the CPU of the server, all its threads, over the time that passed: so it includes what the server
does on its own, such as the supervisor's ticks. Nobody listens meanwhile. Then the bare SDK gets no-ops at the same
pace: a call that comes alone costs any server more than one of many at once.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import Progress, track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.bench.costs import cpu_seconds, floor, reply_of
from tests.bench.memory import more_files
from tests.campaigns.callers import ANSWER_SECONDS, RawCaller, enroll, tool_call
from tests.harness.room import RoomOfProcesses, free_port, served_room
from tests.support.rates import LIMITLESS

AGENTS = 1_000
HEARTBEAT_SECONDS, ACTS_PER_HOUR = 30.0, 10
SECONDS = 120.0
MOST_SHARE = 0.05
"""How much of one core the server may use."""

MIX = (
    *("check_in", "claim_task", "update_task", "post_message", "update_task"),
    *("post_message to one", "update_task", "create_task", "post_message", "complete_task"),
)
"""What an agent does in an hour."""

TEXT = "12 tests pass on branch feature-x; next is the parser. "
HASTE = 16
"""How many calls run at once while the room is furnished."""


@dataclass(frozen=True)
class Day:
    """What a slice of the day took: seconds, CPU seconds, calls, and how late the latest call was sent.

    `floor_share`: how much of one core the bare SDK used for as many no-ops.
    """

    seconds: float
    cpu: float
    calls: int
    late_seconds: float
    floor_share: float = 0.0

    @property
    def share(self) -> float:
        """How much of one core the server used."""
        return self.cpu / self.seconds


@dataclass
class Agent:
    """An agent at work: its connection and token, the task that it holds with its fence, and one that it can claim."""

    number: int
    port: int
    token: str
    caller: RawCaller = field(init=False)
    held: dict[str, Any] = field(default_factory=dict)
    free: str = ""

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool; returns its reply. Raises RuntimeError for a refusal."""
        status, answer = await self.caller.send(tool_call(self.port, self.token, tool, arguments))
        if status != 200 or b'"isError":true' in answer or b'"result"' not in answer:
            raise RuntimeError(f"{tool} failed with {status}: {answer[:500]!r}")
        return reply_of(answer)

    async def prepare(self) -> None:
        """Connect, make two tasks, and claim one of them."""
        self.caller = await RawCaller.connect(self.port)
        self.free = (await self.call("create_task", {"title": f"review part {self.number}"}))["task"]
        task = (await self.call("create_task", {"title": f"write part {self.number}"}))["task"]
        self.held = {**await self.call("claim_task", {"task": task})}

    async def act(self, kind: str) -> None:
        """Do one of the things of `MIX`."""
        held = {"task": self.held["task"], "fence": self.held["fence"]}
        arguments: dict[str, dict[str, Any]] = {
            "check_in": {},
            "claim_task": {"task": self.free},
            "update_task": {**held, "note": TEXT},
            "post_message": {"text": f"{self.number} {TEXT}"},
            "post_message to one": {"text": f"{self.number} {TEXT}", "to": [f"agent-{(self.number + 1) % AGENTS}"]},
            "create_task": {"title": f"fix what {self.number} found"},
            "complete_task": {**held, "summary": TEXT, "evidence": [{"kind": "test", "ref": "pytest: 12 passed"}]},
        }
        await self.call(kind.split()[0], arguments[kind])


def schedule(seconds: float, agents: int = AGENTS) -> Iterator[tuple[float, int, str]]:
    """What comes when, in seconds from the start: each agent's heartbeats, and the acts of a shuffled order."""
    beat = HEARTBEAT_SECONDS / agents
    beats = [(n * beat, n % agents, "heartbeat") for n in range(round(seconds / beat))]
    order = random.Random(1).sample(range(agents), agents)
    pace = 3600 / ACTS_PER_HOUR / agents
    acts = [(n * pace, order[n % agents], MIX[n % len(MIX)]) for n in range(round(seconds / pace))]
    yield from sorted(beats + acts)


async def furnish(room: RoomOfProcesses) -> list[Agent]:
    """Bring the agents in, each with tasks."""
    first = await RawCaller.connect(room.port)
    agents = []
    for number in track(range(AGENTS), f"Enrolling {AGENTS} agents", transient=True):
        token = await enroll(first, room, f"agent-{number}")
        agents.append(Agent(number, room.port, token))
    first.close()
    at_once = asyncio.Semaphore(HASTE)

    async def prepare(agent: Agent) -> None:
        async with at_once:
            await agent.prepare()

    await asyncio.gather(*map(prepare, agents))
    return agents


@dataclass
class Slice:
    """A part of the day as it is lived: what was sent, and how late the latest call was."""

    made: int = 0
    late_seconds: float = 0.0
    busy: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """For each agent, whether a call of it is under way: the next one waits for that."""

    async def live(self, seconds: float, send: Callable[[int, str], Awaitable[Any]]) -> None:
        """Send everything at its time; return once all is answered and the time is over."""
        running = set[asyncio.Task[Any]]()
        begun = time.monotonic()
        with Progress(transient=True) as progress:
            bar = progress.add_task("Working", total=seconds)
            for at, number, kind in schedule(seconds):
                await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
                self.late_seconds = max(self.late_seconds, time.monotonic() - begun - at)
                task = asyncio.ensure_future(self._send(number, kind, send))
                running.add(task)
                task.add_done_callback(running.discard)
                self.made += 1
                progress.update(bar, completed=at)
        await asyncio.gather(*running)
        await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))

    async def _send(self, number: int, kind: str, send: Callable[[int, str], Awaitable[Any]]) -> None:
        async with self.busy[number], asyncio.timeout(ANSWER_SECONDS):
            await send(number, kind)


async def in_room(room: RoomOfProcesses, process: int, seconds: float) -> Day:
    """Let the agents work for so long."""
    agents = await furnish(room)
    for agent in agents:
        await agent.call("heartbeat", {})
    slice_, before = Slice(), cpu_seconds(process)

    def send(number: int, kind: str) -> Awaitable[Any]:
        return agents[number].call(kind, {}) if kind == "heartbeat" else agents[number].act(kind)

    await slice_.live(seconds, send)
    return Day(seconds, cpu_seconds(process) - before, slice_.made, slice_.late_seconds)


async def in_floor(port: int, process: int, seconds: float) -> float:
    """How much of one core no-ops at the same pace use."""
    callers = [await RawCaller.connect(port) for _ in range(AGENTS)]
    no_op = tool_call(port, None, "noop", {"x": 1})
    for caller in callers:
        await caller.send(no_op)
    before = cpu_seconds(process)
    await Slice().live(seconds, lambda number, kind: callers[number].send(no_op))
    return (cpu_seconds(process) - before) / seconds


def measure(seconds: float = SECONDS) -> Day:
    """Serve a room, and let its agents work for so long; then the floor, a quarter as long."""
    more_files()
    environment = {f"TEAMROOM_{name.upper()}": str(value) for name, value in LIMITLESS.items()}
    with (
        tempfile.TemporaryDirectory() as folder,
        served_room(Path(folder) / "room", free_port(), environment) as served,
    ):
        day = uvloop.run(in_room(served.room, served.process.pid, seconds))
    with floor("high") as (port, process):
        return replace(day, floor_share=uvloop.run(in_floor(port, process, seconds / 4)))


def show(day: Day) -> None:
    """Print and draw what it cost."""
    table = Table("a thousand agents", "of one core", "", "at most", box=None)
    for name, share, limit in (
        ("their room", day.share, MOST_SHARE),
        ("no-ops of the bare SDK", day.floor_share, None),
    ):
        bar = ProgressBar(total=2 * MOST_SHARE, completed=min(share, 2 * MOST_SHARE), width=30)
        verdict = "" if limit is None else f"{limit:.0%}{'' if share <= limit else '  MISSED'}"
        table.add_row(name, f"{share:.1%}", bar, verdict)
    Console().print(table)
    print(f"{day.calls:,} calls in {day.seconds:.0f} s; the latest was sent {day.late_seconds * 1000:.0f} ms late")


def main() -> None:
    """Measure, and draw. Exits with 1 if it costs too much."""
    day = measure(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
    show(day)
    sys.exit(day.share > MOST_SHARE)


if __name__ == "__main__":
    main()
