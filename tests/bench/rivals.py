"""What other rooms for agents, as PyPI has them, take for the same work: to post a message, and to read the newest one.

python -m tests.bench.rivals [CALLS]. Each is installed into a virtual environment of its own, in a cache folder, and
runs with a home of its own, so nothing of it touches this project. One caller calls, one call after the other, over the
way that each offers: standard input and output, or HTTP. The figure is the CPU of the process that answers. One that
does not start is reported with what it said.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import psutil
import uvloop
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

from tests.bench.costs import TEXT, cpu_seconds, reply_of
from tests.campaigns.callers import RawCaller, enroll, tool_call
from tests.harness.room import free_port, served_room
from tests.support.rates import LIMITLESS

CALLS, WARM_CALLS = 200, 10
START_SECONDS, INSTALL_SECONDS, CALL_SECONDS = 30.0, 600.0, 30.0
CACHE = user_cache_path("teamroom-bench") / "rivals"
POST, READ = "post a message", "read the newest"

Costs = dict[str, list[float]]
"""By work, the CPU of each call in µs."""


@dataclass(frozen=True)
class Rival:
    """Another room: what pip installs, a command that shows whether it starts, and the work, if it does.

    `but`: what had to be changed so that it starts.
    """

    name: str
    requirements: tuple[str, ...]
    starts: Callable[[Path], list[str]]
    work: Callable[[Path, Path, int], Coroutine[Any, Any, Costs]] | None = None
    but: str = ""

    @property
    def python(self) -> Path:
        """The interpreter of its own environment."""
        return CACHE / self.name / "bin" / "python"

    def install(self) -> str:
        """Install it, unless it is there; returns what failed, or ""."""
        if self.python.exists():
            return ""
        venv.create(CACHE / self.name, with_pip=True)
        return _run([str(self.python), "-m", "pip", "install", "-q", *self.requirements], CACHE, INSTALL_SECONDS)


@dataclass(frozen=True)
class Outcome:
    """What came of a rival: the work, its CPU and ours in µs; or why there is none. `but`: what had to be changed."""

    name: str
    costs: tuple[tuple[str, float, float], ...] = ()
    failed: str = ""
    but: str = ""


# ------------------------------------------------------------------ the rivals


async def on_bus(python: Path, home: Path, calls: int) -> Costs:
    """The work on agentchatbus: each post takes the token that the read before it gave."""
    env = {**_home(home), "AGENTCHATBUS_DB": str(home / "bus.db"), "AGENTCHATBUS_RATE_LIMIT": "0"}
    server = StdioServerParameters(command=str(python.with_name("agentchatbus-stdio")), env=env, cwd=home)
    found: Costs = {POST: [], READ: []}
    with nowhere() as errors:
        async with stdio_client(server, errlog=errors) as streams, ClientSession(*streams) as session:
            await session.initialize()
            process = _child(python)

            async def call(tool: str, **arguments: object) -> tuple[dict[str, Any], float]:
                before = cpu_seconds(process)
                answer = await asyncio.wait_for(session.call_tool(tool, arguments), CALL_SECONDS)
                cost = (cpu_seconds(process) - before) * 1e6
                return json.loads(answer.content[0].text), cost  # type: ignore[union-attr]

            joined, _ = await call("bus_connect", thread_name="bench", ide="bench", model="bench")
            agent, thread = joined["agent"], joined["thread"]["thread_id"]
            who = {"thread_id": thread, "agent_id": agent["agent_id"], "token": agent["token"]}
            newest = joined
            for number in range(calls + WARM_CALLS):
                sync = {"expected_last_seq": newest["current_seq"], "reply_token": newest["reply_token"]}
                text = {"thread_id": thread, "author": agent["agent_id"], "content": f"{number} {TEXT}"}
                made, post = await call("msg_post", **text, **sync)
                newest, read = await call("msg_wait", **who, after_seq=made["seq"] - 1, return_format="json")
                if number >= WARM_CALLS:
                    found[POST].append(post)
                    found[READ].append(read)
    return found


MAILBOX = "from agent_mailbox.mailbox_mcp import main; raise SystemExit(main(['--session-file', 'none.json']))"

RIVALS = (
    Rival(
        "agentchatbus",
        ("agentchatbus==0.2.2", "mcp<2"),
        lambda python: [str(python.with_name("agentchatbus")), "--help"],
        on_bus,
        "with mcp 2, which it allows, its server ends with an AttributeError; it ran with mcp 1",
    ),
    Rival(
        "agent-hub-mcp",
        ("agent-hub-mcp==0.2.1",),
        lambda python: [str(python), "-c", "from agent_hub import storage; storage.init_db()"],
    ),
    Rival(
        "agent-mailbox",
        ("agent-mailbox==0.8.2",),
        lambda python: [str(python), "-c", MAILBOX],
        but="only its workbench makes such a file, for a person in a browser",
    ),
)


# ------------------------------------------------------------------ this room


async def on_room(port: int, token: str, process: int, calls: int) -> Costs:
    """The work in this room: post a message, and read what came after the one before."""
    caller, found, newest = await RawCaller.connect(port), Costs({POST: [], READ: []}), 0

    async def call(tool: str, arguments: dict[str, object]) -> tuple[dict[str, Any], float]:
        before = cpu_seconds(process)
        _, answer = await caller.send(tool_call(port, token, tool, arguments))
        return reply_of(answer), (cpu_seconds(process) - before) * 1e6

    for number in range(calls + WARM_CALLS):
        _, post = await call("post_message", {"text": f"{number} {TEXT}"})
        reply, read = await call("read_messages", {"after": newest})
        newest = reply["cursor"]
        if number >= WARM_CALLS:
            found[POST].append(post)
            found[READ].append(read)
    caller.close()
    return found


def ours(calls: int) -> Costs:
    """What the work costs in this room."""
    environment = {f"TEAMROOM_{name.upper()}": str(value) for name, value in LIMITLESS.items()}
    with (
        tempfile.TemporaryDirectory() as folder,
        served_room(Path(folder) / "room", free_port(), environment) as served,
    ):

        async def run() -> Costs:
            caller = await RawCaller.connect(served.room.port)
            token = await enroll(caller, served.room, "bench")
            caller.close()
            return await on_room(served.room.port, token, served.process.pid, calls)

        return uvloop.run(run())


# ------------------------------------------------------------------ the comparison


def measure(calls: int = CALLS) -> list[Outcome]:
    """Let each do the work, as far as it starts."""
    CACHE.mkdir(parents=True, exist_ok=True)
    own = ours(calls)
    return [outcome_of(rival, own, calls) for rival in RIVALS]


def outcome_of(rival: Rival, own: Costs, calls: int) -> Outcome:
    """What comes of one of them."""
    if failed := rival.install():
        return Outcome(rival.name, failed=f"it cannot be installed: {failed}")
    with tempfile.TemporaryDirectory() as home:
        if failed := _run(rival.starts(rival.python), Path(home), START_SECONDS):
            return Outcome(rival.name, failed=f"it does not start: {failed}", but=rival.but)
        if rival.work is None:
            return Outcome(rival.name, failed="it starts now, but this benchmark does not know its work")
        try:
            found = asyncio.run(rival.work(rival.python, Path(home), calls))
        except Exception as error:
            return Outcome(rival.name, failed=f"the work failed: {error!r}"[:300], but=rival.but)
    costs = tuple((work, median(found[work]), median(own[work])) for work in found)
    return Outcome(rival.name, costs, but=rival.but)


def _run(command: Sequence[str], home: Path, seconds: float) -> str:
    """Run a command to its end; returns the last line that it said if it failed, or ""."""
    try:
        done = subprocess.run(
            command, env=_home(home), cwd=home, timeout=seconds, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {seconds:.0f} s"
    said = [line for line in done.stderr.splitlines() if line.strip()] or [f"it ended with {done.returncode}"]
    return _relevant(said).replace(str(CACHE), "…") if done.returncode else ""


def _relevant(said: Sequence[str]) -> str:
    """The line that names the error: the last one of a traceback, else the first one."""
    return said[-1] if any(line.startswith("Traceback") for line in said) else said[0]


def nowhere() -> TextIO:
    """Where its log goes."""
    return Path(os.devnull).open("w")


def _home(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def _child(python: Path) -> int:
    """The process that runs from this environment, among those that this one has started."""
    return next(_of(python)).pid


def _of(python: Path) -> Iterator[psutil.Process]:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        for child in psutil.Process().children(recursive=True):
            if any(word.startswith(str(python.parent)) for word in child.cmdline()):
                yield child
    raise TimeoutError(f"nothing runs from {python}")


def show(outcomes: Sequence[Outcome]) -> None:
    """Print what came of each."""
    table = Table("rival", "work", "µs of CPU", "here", "times", box=None)
    for outcome in outcomes:
        for work, cost, own in outcome.costs:
            table.add_row(outcome.name, work, f"{cost:,.0f}", f"{own:,.0f}", f"{cost / own:.1f}")
        if outcome.failed:
            table.add_row(outcome.name, outcome.failed)
        if outcome.but:
            table.add_row("", outcome.but)
    Console().print(table)


def main() -> None:
    """Compare, and print."""
    show(measure(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS))


if __name__ == "__main__":
    main()
