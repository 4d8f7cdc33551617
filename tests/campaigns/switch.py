"""Pauses, resumes and kills while every member does its worst, timed from the first byte sent to the last received.

Eighteen agents with many callers each send the most expensive acts and searches that they may, refused ones included.
Meanwhile operators use the switch over HTTP and the owner over the room's own socket, each fewer than twenty times in
any ten seconds. No use may take longer than 2 s (CTL9).

The twin has one queue for all acts, no rates and no socket.
"""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teamroom.clients.session.room import Room
from teamroom.server.settings import Settings
from tests.campaigns.callers import RawCaller, tool_call
from tests.campaigns.campaign import Advance, Outcome, command, over_time, quantile, silently
from tests.campaigns.process import Server, serving
from tests.support.rates import LIMITLESS

MEMBERS, CALLERS = 18, 60
OPERATORS = 6
TASKS, MESSAGES = 100, 100

PACE_SECONDS = 0.55
"""Between two uses of the switch by one member: eighteen in ten seconds."""

WARM_SECONDS = 3.0
LONGEST_SECONDS = 2.0
SOCKET_P99_SECONDS = 0.25
ANSWER_SECONDS = 60.0
SOCKET_SHARE = 10
"""Of so many uses, one goes over the socket."""

RATES = {name: getattr(Settings(), name) for name in LIMITLESS}
"""The rates of a room whose owner has set none."""

WORDS = "build test deploy review branch merge queue token lease fence"
LONG = " ".join(itertools.islice(itertools.cycle(WORDS.split()), 2000))


@dataclass
class Seen:
    """How long each use of the switch took, and what became of the load."""

    http: list[float] = field(default_factory=list)
    socket: list[float] = field(default_factory=list)
    load: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def worst_calls(dice: random.Random, names: list[str]) -> tuple[str, dict[str, Any]]:
    """One of the most expensive calls."""
    tasks = [f"T-{number}" for number in dice.sample(range(1, TASKS + 1), 50)]
    number = dice.randrange(10**9)
    choices: tuple[tuple[str, dict[str, Any]], ...] = (
        ("read_messages", {"query": WORDS, "limit": 50}),
        ("read_board", {"query": "task"}),
        ("who", {}),
        ("check_in", {}),
        ("create_task", {"title": f"task {number}", "depends_on": tasks}),
        ("update_task", {"task": tasks[0], "changes": {"depends_on": tasks[1:]}}),
        ("post_message", {"text": f"{number} {LONG[:15_000]}", "to": names}),
        ("claim_task", {}),
        ("complete_task", {"task": tasks[0], "fence": number, "summary": "done", "evidence": []}),
        ("wait_for_wake", {"timeout_seconds": 1}),
    )
    return dice.choice(choices)


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    callers: int = CALLERS,
) -> Outcome:
    """`number` uses of the switch."""
    dice, seen = random.Random(seed), Seen()
    settings = {} if twin else RATES
    with serving(folder, "tests.campaigns.one_queue" if twin else None, **settings) as server:
        await server.start()
        tokens = await _furnish(server)
        names = [f"agent{index}" for index in range(MEMBERS)]
        over = asyncio.Event()
        load = [
            asyncio.create_task(_load(server.port, tokens[name], names, random.Random(dice.random()), seen, over))
            for name in names
            for _ in range(callers)
        ]
        await asyncio.sleep(WARM_SECONDS)
        on_socket = 0 if twin else number // SOCKET_SHARE
        shares = _shares(number - on_socket, OPERATORS)
        await asyncio.gather(
            _use_socket(server, on_socket, seen, advance),
            *(_use_http(server.port, tokens, index, share, seen, advance) for index, share in enumerate(shares)),
        )
        over.set()
        await asyncio.wait(load, timeout=ANSWER_SECONDS)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    return _outcome(seen)


def _outcome(seen: Seen) -> Outcome:
    outcome = Outcome()
    for way, times in (("HTTP", seen.http), ("socket", seen.socket)):
        if times:
            outcome.figures[f"over {way}"] = (
                f"{len(times)}, median {quantile(times, 0.5) * 1e3:.0f} ms, p99 {quantile(times, 0.99) * 1e3:.0f} ms, "
                f"worst {max(times) * 1e3:.0f} ms"
            )
            outcome.figures[f"over {way}, in ms, over time"] = over_time([round(seconds * 1e3) for seconds in times])
        outcome.faults += [f"a use over {way} took {seconds:.1f} s" for seconds in times if seconds > LONGEST_SECONDS]
    if seen.socket and quantile(seen.socket, 0.99) > SOCKET_P99_SECONDS:
        outcome.faults.append(f"the p99 over the socket is {quantile(seen.socket, 0.99):.2f} s")
    outcome.figures["calls of the load"] = dict(seen.load.most_common())
    outcome.faults += seen.failed
    return outcome


async def _furnish(server: Server) -> dict[str, str]:
    """Members, tasks and messages; returns the tokens."""
    owner = server.owner_token
    caller = await RawCaller.connect(server.port)

    async def call(token: str, tool: str, **arguments: Any) -> dict[str, Any]:
        _, body = await caller.send(tool_call(server.port, token, tool, arguments))
        return dict(json.loads(body)["result"]["structuredContent"])

    tokens = {"olga": owner}
    for index in range(MEMBERS):
        tokens[f"agent{index}"] = (await call(owner, "enroll", name=f"agent{index}"))["token"]
    for index in range(OPERATORS):
        tokens[f"operator{index}"] = (await call(owner, "enroll", name=f"operator{index}", role="operator"))["token"]
    for index in range(OPERATORS + 1):
        await call(owner, "enroll", name=f"stopped{index}")
    for index in range(TASKS):
        await call(tokens["agent0"], "create_task", title=f"task {index} {WORDS}")
    for index in range(MESSAGES):
        await call(tokens[f"agent{index % MEMBERS}"], "post_message", text=f"{index} {LONG[:8000]}")
    caller.close()
    return tokens


async def _load(port: int, token: str, names: list[str], dice: random.Random, seen: Seen, over: asyncio.Event) -> None:
    """One caller that sends its next call as soon as the last one is answered."""
    while not over.is_set():
        try:
            caller = await RawCaller.connect(port)
            while not over.is_set():
                tool, arguments = worst_calls(dice, names)
                status, body = await caller.send(tool_call(port, token, tool, arguments))
                seen.load["refused" if status != 200 or b'"isError":true' in body else "answered"] += 1
        except OSError:
            seen.load["cut"] += 1
            await asyncio.sleep(0.1)


async def _use_http(port: int, tokens: dict[str, str], index: int, count: int, seen: Seen, advance: Advance) -> None:
    caller, token = await RawCaller.connect(port), tokens[f"operator{index}"]
    for turn in range(count):
        tool = ("pause", "resume")[turn % 2]
        request = tool_call(port, token, tool, {"target": f"stopped{index}", "reason": f"turn {turn}"})
        started = time.perf_counter()
        status, body = await caller.send(request)
        seen.http.append(time.perf_counter() - started)
        if status != 200 or b'"isError":true' in body:
            seen.failed.append(f"a {tool} was refused: {body[:200]!r}")
        advance()
        await asyncio.sleep(PACE_SECONDS)
    caller.close()


async def _use_socket(server: Server, count: int, seen: Seen, advance: Advance) -> None:
    def use(turn: int) -> float:
        with Room(f"http://127.0.0.1:{server.port}/mcp", server.owner_token, socket_folder=server.folder) as room:
            started = time.perf_counter()
            room.call(("pause", "resume")[turn % 2], target=f"stopped{OPERATORS}", reason=f"turn {turn}")
            return time.perf_counter() - started

    for turn in range(count):
        seen.socket.append(await asyncio.to_thread(use, turn))
        advance()
        await asyncio.sleep(PACE_SECONDS)


def _shares(number: int, parts: int) -> list[int]:
    return [number // parts + (index < number % parts) for index in range(parts)]


if __name__ == "__main__":
    command("switch", __doc__ or "", 550, campaign)
