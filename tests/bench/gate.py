"""What the gate costs a harness before each of its tools, and how soon it follows a stop.

python -m tests.bench.gate [CALLS] [STOPS]. Prints how long the answer takes over HTTP; the CPU of the command, next to
that of `python -I -c pass` in the same run; and how many local tools were refused within two seconds of a pause.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median, quantiles

import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.campaigns.callers import RawCaller, enroll, tool_call
from tests.harness.room import TEAMROOM, RoomOfProcesses, room_of_processes
from tests.support.raw import posted

CALLS, STOPS = 200, 1_000
MEMBERS = 20
COMMANDS = 15
STOPPED_SECONDS = 2.0
HTTP_MS, COMMAND_MS = 30.0, 60.0

ASKS = json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}}).encode()
CLAUDE = "/hooks/claude"


def hook(port: int, token: str) -> bytes:
    """A hook of Claude Code before a tool, as bytes."""
    return posted(port, token, ASKS, path=CLAUDE)


async def over_http(room: RoomOfProcesses, token: str, calls: int) -> list[float]:
    """How long each answer takes over HTTP, in ms."""
    caller = await RawCaller.connect(room.port)
    took = []
    for _ in track(range(calls), "Asking over HTTP", transient=True):
        begun = time.perf_counter()
        status, _ = await caller.send(hook(room.port, token))
        took.append((time.perf_counter() - begun) * 1000)
        assert status == 200
    return took


def cpu_of(command: Sequence[str], environment: Mapping[str, str], stdin: bytes = b"") -> float:
    """The CPU that a command takes, in ms."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(command, env=dict(environment), input=stdin, capture_output=True, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


async def after_pauses(room: RoomOfProcesses, stops: int) -> tuple[int, int, float]:
    """Pause members again and again while all ask; returns how many asked, how many were refused, and the slowest.

    Each asks for the first time after the pause was sent: whatever comes after it was acknowledged must be refused.
    """
    owner = (room.data / "owner.token").read_text().strip()
    caller = await RawCaller.connect(room.port)
    tokens = [await enroll(caller, room, f"builder{number}") for number in range(MEMBERS)]
    callers = [await RawCaller.connect(room.port) for _ in range(MEMBERS)]
    asked = refused = 0
    slowest = 0.0
    for turn in track(range(stops // MEMBERS), "Pausing", transient=True):
        stop = {"target": "room", "reason": f"turn {turn}"}
        begun = time.perf_counter()
        await caller.send(tool_call(room.port, owner, "pause", dict(stop)))
        pairs = zip(callers, tokens, strict=True)
        answers = await asyncio.gather(*(one.send(hook(room.port, token)) for one, token in pairs))
        slowest = max(slowest, time.perf_counter() - begun)
        asked += len(answers)
        refused += sum(b'"deny"' in body for _, body in answers)
        await caller.send(tool_call(room.port, owner, "resume", {"target": "room"}))
    return asked, refused, slowest


def main() -> None:
    """Start a room, time, draw."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    stops = int(sys.argv[2]) if len(sys.argv) > 2 else STOPS
    with tempfile.TemporaryDirectory() as folder, room_of_processes(Path(folder) / "room") as room:
        token = room.enroll("builder")["token"]
        took = uvloop.run(over_http(room, token, calls))
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "TEAMROOM_TOKEN": token}
        gate = [TEAMROOM, "gate", "--format", "claude", "--data", str(room.data)]
        pairs = [
            (cpu_of([sys.executable, "-I", "-c", "pass"], environment), cpu_of(gate, environment, ASKS))
            for _ in track(range(COMMANDS), "Running the command", transient=True)
        ]
        asked, refused, slowest = uvloop.run(after_pauses(room, stops))
    more = median(mine - bare for bare, mine in pairs)
    table = Table("figure", "found", "target", "", box=None)
    p50, p99 = median(took), quantiles(took, n=100)[98]
    table.add_row("hook over HTTP, p50 (p99)", f"{p50:.1f} ms ({p99:.1f} ms)", f"{HTTP_MS:.0f} ms", _bar(p50, HTTP_MS))
    bare = f"python -I -c pass takes {median(pair[0] for pair in pairs):.0f} ms"
    table.add_row(f"command, CPU beyond it ({bare})", f"{more:.0f} ms", f"{COMMAND_MS:.0f} ms", _bar(more, COMMAND_MS))
    table.add_row("refused after a pause", f"{refused:,} of {asked:,}", "all", _bar(asked - refused, asked))
    table.add_row("slowest pause with its refusals", f"{slowest:.2f} s", "2 s", _bar(slowest, STOPPED_SECONDS))
    Console().print(table)


def _bar(found: float, limit: float) -> ProgressBar:
    return ProgressBar(total=limit, completed=min(max(found, 0.0), limit), width=30)


if __name__ == "__main__":
    main()
