"""Pauses, resumes and kills while every member does its worst, timed from the first byte sent to the last received.

Eighteen agents with sixty callers each send the most expensive acts and searches that they may, refused ones included;
clients with sessions do the same; streams are opened all the time; and as many strangers connect as the server may
open files. Each of these is a process of its own; in the short form they share one. Meanwhile operators use the switch
over HTTP and the owner over the room's own socket, each fewer than twenty times in any ten seconds. No use may take
longer than 2 s (CTL9). The floor is one sync of a small file on the same disk, as each use needs one.

The twin takes calls, reads and acts as they come, at any rate, and has no socket.
"""

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from teamroom.clients.session.blocking import BlockingRoom
from teamroom.server.settings import Settings
from tests.campaigns.campaign import Advance, Outcome, command, over_time, quantile, silently
from tests.campaigns.load import Caller
from tests.campaigns.loads import LOADS, Target, furnish, loading
from tests.campaigns.process import Server, enroll, serving
from tests.support.rates import LIMITLESS

MEMBERS, CALLERS = 18, 60
OPERATORS = 6

FILES = 4096
"""How many files the server may open. So many strangers try to stay connected."""

PACE_SECONDS = 0.55
"""Between two uses of the switch by one member: eighteen in ten seconds."""

KILL_EACH = 5
"""Each this many uses, one is a kill."""

WARM_SECONDS = 3.0
LONGEST_SECONDS = 2.0
SOCKET_P99_SECONDS = 0.25
SOCKET_SHARE = 11
"""Of so many uses, one goes over the socket."""

SYNCED_BYTES = 4096

RATES = {name: getattr(Settings(), name) for name in LIMITLESS}
"""The rates of a room whose owner has set none."""


@dataclass
class Seen:
    """How long each use of the switch took, and what became of the load."""

    http: list[float] = field(default_factory=list)
    socket: list[float] = field(default_factory=list)
    disk: list[float] = field(default_factory=list)
    loads: dict[str, Counter[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Use:
    """One use of the switch."""

    tool: str
    target: str


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    members: int = MEMBERS,
    callers: int = CALLERS,
    files: int = FILES,
    loads: Sequence[str] = tuple(LOADS),
    warm_seconds: float = WARM_SECONDS,
    longest_seconds: float = LONGEST_SECONDS,
    loads_share_a_process: bool = False,
) -> Outcome:
    """`number` uses of the switch, beside these loads."""
    seen, settings = Seen(), {} if twin else RATES
    on_socket = 0 if twin else -(-number // SOCKET_SHARE)
    shares = _shares(number - on_socket, OPERATORS)
    with serving(folder, "tests.campaigns.one_queue" if twin else None, files, **settings) as server:
        await server.start()
        owner = Caller("olga", server.port, server.owner_token)
        agents = await enroll(owner, [f"agent{index}" for index in range(members)])
        await furnish(agents)
        operators = await enroll(
            owner, [f"operator{index}" for index in range(OPERATORS)], role="operator", kind="human"
        )
        users = [*operators, owner]
        plans = [await _plan(*use) for use in zip(users, range(len(users)), (*shares, on_socket), strict=True)]
        target = Target(server.port, {agent.name: agent.token for agent in agents}, callers, files, seed)
        async with contextlib.AsyncExitStack() as stack:
            for kinds in (loads,) if loads_share_a_process else ((kind,) for kind in loads):
                seen.loads |= await stack.enter_async_context(loading(kinds, target))
            await asyncio.sleep(warm_seconds)
            uses = [_use_http(user, plan, seen, advance) for user, plan in zip(operators, plans, strict=False)]
            async with anyio.create_task_group() as beside:
                beside.start_soon(_sync_always, folder, seen)
                await asyncio.gather(*uses, _use_socket(server, plans[-1], seen, advance))
                beside.cancel_scope.cancel()
    return _outcome(seen, longest_seconds)


def _outcome(seen: Seen, longest_seconds: float) -> Outcome:
    outcome = Outcome()
    outcome.figures["one sync of the disk"] = _spread(seen.disk)
    for way, times in (("HTTP", seen.http), ("the socket", seen.socket)):
        outcome.figures[f"uses over {way}"] = len(times)
        if times:
            outcome.figures[f"one over {way}"] = _spread(times)
            outcome.figures[f"over {way} (ms)"] = over_time([round(seconds * 1e3) for seconds in times])
        outcome.faults += [f"a use over {way} took {seconds:.1f} s" for seconds in times if seconds > longest_seconds]
    if seen.socket and quantile(seen.socket, 0.99) > SOCKET_P99_SECONDS:
        outcome.faults.append(f"the p99 over the socket is {quantile(seen.socket, 0.99):.2f} s")
    outcome.figures |= {f"load of {kind}": dict(done.most_common()) for kind, done in seen.loads.items()}
    outcome.faults += [f"the {kind} did nothing" for kind, done in seen.loads.items() if not done]
    outcome.faults += seen.failed
    return outcome


def _spread(times: list[float]) -> str:
    median, p99, worst = (seconds * 1e3 for seconds in (quantile(times, 0.5), quantile(times, 0.99), max(times)))
    return f"median {median:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms"


async def _plan(user: Caller, number: int, count: int) -> list[Use]:
    """What one user of the switch does, to members that are there for it."""
    stopped, *victims = [f"stopped{number}", *(f"victim{number}-{index}" for index in range(count // KILL_EACH))]
    await enroll(user, [stopped, *victims])
    turns = itertools.cycle(("pause", "resume"))
    is_kill = (index % KILL_EACH == KILL_EACH - 1 for index in range(count))
    return [Use("kill", victims.pop()) if kills else Use(next(turns), stopped) for kills in is_kill]


async def _use_http(user: Caller, plan: list[Use], seen: Seen, advance: Advance) -> None:
    await user.carried_out("heartbeat")
    for use in plan:
        called = await user.call(use.tool, target=use.target, reason="a campaign")
        seen.http.append(called.ended - called.started)
        if called.refused:
            seen.failed.append(f"a {use.tool} was refused: {called.body}")
        advance()
        await asyncio.sleep(PACE_SECONDS)
    user.hang_up()


async def _use_socket(server: Server, plan: list[Use], seen: Seen, advance: Advance) -> None:
    """As the shell does it: a connection for each use."""

    def make(use: Use) -> float:
        with BlockingRoom(
            f"http://127.0.0.1:{server.port}/mcp", server.owner_token, socket_folder=server.folder
        ) as room:
            started = time.perf_counter()
            room.call(use.tool, target=use.target, reason="a campaign")
            return time.perf_counter() - started

    for use in plan:
        seen.socket.append(await asyncio.to_thread(make, use))
        advance()
        await asyncio.sleep(PACE_SECONDS)


async def _sync_always(folder: Path, seen: Seen) -> None:
    """What the disk takes for itself, at the pace of one user of the switch."""

    def sync() -> float:
        started = time.perf_counter()
        with folder.with_suffix(".sync").open("ab") as file:
            file.write(bytes(SYNCED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        return time.perf_counter() - started

    while True:
        seen.disk.append(await asyncio.to_thread(sync))
        await asyncio.sleep(PACE_SECONDS)


def _shares(number: int, parts: int) -> list[int]:
    return [number // parts + (index < number % parts) for index in range(parts)]


if __name__ == "__main__":
    command("switch", __doc__ or "", 550, campaign, on_both_engines=True)
