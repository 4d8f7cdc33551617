"""How many calls a second the room answers, against a no-op tool on the bare SDK in the same run.

python -m tests.bench.throughput [ROUNDS]. Sixteen raw callers; each round times both floors and every call
once, in turn, so that a noisy machine disturbs all alike. The figures are medians over the rounds.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.campaigns.callers import RawCaller, enroll, rate, resource_read, tool_call
from tests.harness.room import RoomOfProcesses, room_of_processes

CALLERS = 16
WARM_SECONDS = 0.2
SECONDS = 0.8
ROUNDS = 9
INBOX = 50
TEXT = "status: build green, 12 tests pass on branch feature-x. " * 4


@dataclass
class Timed:
    """A call that is timed: the server it goes to, its bytes, and the least share of the floor it must reach."""

    name: str
    port: int
    request: Callable[[int, int], bytes]
    target: float | None = None
    rates: list[float] = field(default_factory=list)


@contextlib.contextmanager
def floor(kind: str) -> Iterator[int]:
    """A no-op server in a process of its own; its port."""
    command = [sys.executable, "-m", "tests.bench.floor", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def timed_calls(port: int, tokens: list[str], high: int, low: int) -> list[Timed]:
    """What is timed, the floor first."""

    def call(tool: str, arguments: Callable[[int, int], dict[str, object]]) -> Callable[[int, int], bytes]:
        return lambda caller, number: tool_call(port, tokens[caller], tool, arguments(caller, number))

    def noop(to: int) -> Callable[[int, int], bytes]:
        request = tool_call(to, None, "noop", {"x": 1})
        return lambda caller, number: request

    posts = iter(range(10_000_000))
    return [
        Timed("no-op, MCPServer", high, noop(high)),
        Timed("no-op, low-level", low, noop(low)),
        Timed("post_message", port, call("post_message", lambda c, n: {"text": f"{next(posts)} {TEXT}"}), 0.55),
        Timed(
            "post_message to one",
            port,
            call("post_message", lambda c, n: {"text": f"{next(posts)} {TEXT}", "to": [f"reader{c}"]}),
        ),
        Timed("heartbeat", port, call("heartbeat", lambda c, n: {}), 0.6),
        Timed("inbox of 50", port, lambda c, n: resource_read(port, tokens[c], "teamroom://inbox"), 0.55),
        Timed("read_messages of 50", port, call("read_messages", lambda c, n: {"limit": INBOX})),
        Timed("read_board", port, call("read_board", lambda c, n: {})),
    ]


async def measure(room: RoomOfProcesses, high: int, low: int, rounds: int) -> list[Timed]:
    """Time every call in each round."""
    callers = {port: [await RawCaller.connect(port) for _ in range(CALLERS)] for port in (room.port, high, low)}
    first = callers[room.port][0]
    tokens = [await enroll(first, room, f"caller{index}") for index in range(CALLERS)]
    for index in range(CALLERS):
        await enroll(first, room, f"reader{index}")
    await fill(first, room.port, tokens)
    calls = timed_calls(room.port, tokens, high, low)
    for _ in track(range(rounds), "Timing", transient=True):
        for timed in calls:
            await rate(callers[timed.port], timed.request, WARM_SECONDS)
            timed.rates.append(await rate(callers[timed.port], timed.request, SECONDS))
    return calls


async def fill(caller: RawCaller, port: int, tokens: list[str]) -> None:
    """Give every caller an inbox, and the board some tasks."""
    for number in range(INBOX):
        for index in range(CALLERS):
            arguments: dict[str, object] = {"text": f"{number} {TEXT}", "to": [f"caller{index}"]}
            await caller.send(tool_call(port, tokens[(index + 1) % CALLERS], "post_message", arguments))
    for number in range(INBOX):
        await caller.send(tool_call(port, tokens[0], "create_task", {"title": f"task {number}"}))


def show(calls: list[Timed]) -> None:
    """Draw each call's rate, and its share of the floor's."""
    base = calls[0].rates
    table = Table("call", "calls/s", "of MCPServer's no-op", "", "target", box=None)
    for timed in calls:
        share = median(mine / floors for mine, floors in zip(timed.rates, base, strict=True))
        table.add_row(
            timed.name,
            f"{median(timed.rates):,.0f}",
            f"{share:.2f}",
            ProgressBar(total=1.5, completed=min(share, 1.5), width=30),
            "" if timed.target is None else f"{timed.target:.2f} {'reached' if share >= timed.target else 'MISSED'}",
        )
    Console().print(table)


def main() -> None:
    """Start the servers, time, draw."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with (
        tempfile.TemporaryDirectory() as folder,
        room_of_processes(Path(folder) / "room") as room,
        floor("high") as high,
        floor("low") as low,
    ):
        show(uvloop.run(measure(room, high, low, rounds)))


if __name__ == "__main__":
    main()
