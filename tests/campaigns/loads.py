"""What a room has to bear while it is measured, each kind in a process of its own, or several in one.

python -m tests.campaigns.loads KIND…: reads one line of JSON, which is a `Target`, from stdin, says when all have
begun, and works until stdin ends. Then it prints as JSON how often each thing happened.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.campaigns.crowd import enough_files, follow
from tests.campaigns.load import Caller, SessionCaller
from tests.campaigns.strangers import SENT_SECONDS, Kind, Stranger, kinds
from tests.support.repository import ROOT

TASKS = 100
"""So many tasks exist already."""

SESSIONS = 8
"""Sessions of older clients that one member has at once."""

FOLLOWERS = 8
"""Streams that one member opens, one after the other."""

STRANGERS_AT_ONCE = 64
"""Strangers that connect at the same moment."""

AGAIN_SECONDS = 0.1
"""How long who was cut off waits before it connects again."""

CALLS_OF_A_CONNECTION = 200
"""A caller makes fewer calls than this before it connects again, and an older client before it has a new session."""

STAY_SECONDS = 5.0
"""How long a stranger stays at most."""

BEGUN = "begun"
BEGIN_SECONDS, LOOK_SECONDS = 60.0, 0.05

LATER = 10
"""How nice the load is: it yields to the room, as if it came from other machines."""

WORDS = "build test deploy review branch merge queue token lease fence"
LONG = " ".join(itertools.islice(itertools.cycle(WORDS.split()), 2000))


@dataclass(frozen=True)
class Target:
    """The room and who loads it. `callers`: of each member, at once. `strangers`: how many connections stay open."""

    port: int
    tokens: dict[str, str]
    callers: int
    strangers: int
    seed: int


Load = Callable[[Target, random.Random, Counter[str]], Awaitable[object]]


def worst_call(dice: random.Random, names: list[str]) -> tuple[str, dict[str, Any]]:
    """One of the most expensive calls, refused ones included."""
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


async def furnish(members: list[Caller]) -> None:
    """Tasks and messages, so that the calls of the load have something to do."""
    for index in range(TASKS):
        await members[0].carried_out("create_task", title=f"task {index} {WORDS}")
        await members[index % len(members)].carried_out("post_message", text=f"{index} {LONG[:8000]}")


async def members(target: Target, dice: random.Random, done: Counter[str]) -> None:
    """Every member's callers send the most expensive calls, each as soon as the last one is answered."""
    callers = [Caller(name, target.port, token) for name, token in target.tokens.items() for _ in range(target.callers)]
    await asyncio.gather(*(_call_always(caller, list(target.tokens), dice, done) for caller in callers))


async def older_clients(target: Target, dice: random.Random, done: Counter[str]) -> None:
    """Clients with sessions do the same, and open new sessions all the time."""
    callers = [
        SessionCaller(name, target.port, token) for name, token in target.tokens.items() for _ in range(SESSIONS)
    ]
    await asyncio.gather(*(_call_always(caller, list(target.tokens), dice, done) for caller in callers))


async def listeners(target: Target, dice: random.Random, done: Counter[str]) -> None:
    """Streams are opened, and opened again once they are cut off."""

    async def follow_always(caller: Caller) -> None:
        while True:
            with contextlib.suppress(OSError):
                follower = await follow(target.port, caller)
                done["opened"] += 1
                await follower.is_over.wait()
            await asyncio.sleep(AGAIN_SECONDS)

    callers = [Caller(name, target.port, token) for name, token in target.tokens.items() for _ in range(FOLLOWERS)]
    await asyncio.gather(*map(follow_always, callers))


async def strangers(target: Target, dice: random.Random, done: Counter[str]) -> None:
    """Connections without a token, of every kind, until the room has no more files for them."""
    found = list(kinds(target.port).values())
    connecting = asyncio.Semaphore(STRANGERS_AT_ONCE)

    async def come_always() -> None:
        while True:
            async with connecting:
                stranger = await _connect(target.port)
                if stranger is not None:
                    done["connected"] += 1
                    await _send(stranger, dice.choice(found))
            if stranger is not None:
                await _stay(stranger, dice.random() * STAY_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)

    await asyncio.gather(*(come_always() for _ in range(target.strangers)))


LOADS: dict[str, Load] = {
    "members": members,
    "older clients": older_clients,
    "listeners": listeners,
    "strangers": strangers,
}


@contextlib.asynccontextmanager
async def loading(kinds: Sequence[str], target: Target) -> AsyncIterator[dict[str, Counter[str]]]:
    """Let these loads work until the block ends; then what they did can be read. They have begun when it begins."""
    done = {kind: Counter[str]() for kind in kinds}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.campaigns.loads", *kinds),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asdict(target)).encode() + b"\n")
    try:
        async with asyncio.timeout(BEGIN_SECONDS):
            await process.stdout.readline()
        yield done
    finally:
        process.stdin.close()
        said, _ = await process.communicate()
        for kind, did in json.loads(said or "{}").items():
            done[kind].update(did)


async def _call_always(caller: Caller, names: list[str], dice: random.Random, done: Counter[str]) -> None:
    while True:
        try:
            if isinstance(caller, SessionCaller):
                await caller.open()
            for _ in range(dice.randrange(1, CALLS_OF_A_CONNECTION)):
                tool, arguments = worst_call(dice, names)
                called = await caller.call(tool, **arguments)
                done[called.code or "answered"] += 1
        except (OSError, KeyError, ValueError):  # cut off, or refused before it is a call
            done["cut"] += 1
        caller.hang_up()
        await asyncio.sleep(AGAIN_SECONDS)


async def _connect(port: int) -> Stranger | None:
    with contextlib.suppress(OSError):
        _, stranger = await asyncio.get_running_loop().create_connection(Stranger, "127.0.0.1", port)
        return stranger
    return None


async def _send(stranger: Stranger, kind: Kind) -> None:
    with contextlib.suppress(OSError):
        async with asyncio.timeout(SENT_SECONDS):
            await stranger.send(kind.begun + kind.endless)


async def _stay(stranger: Stranger, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stranger.is_over.wait()
    stranger.transport.abort()


async def _something(done: Counter[str]) -> None:
    while not done:  # noqa: ASYNC110 - a counter tells nobody
        await asyncio.sleep(LOOK_SECONDS)


async def _work(target: Target, done: dict[str, Counter[str]]) -> None:
    await asyncio.gather(*(LOADS[kind](target, random.Random(target.seed), did) for kind, did in done.items()))


async def _main(kinds: Sequence[str]) -> None:
    target = Target(**json.loads(await asyncio.to_thread(sys.stdin.readline)))
    enough_files(target.strangers)
    os.nice(LATER)
    done = {kind: Counter[str]() for kind in kinds}
    work = asyncio.ensure_future(_work(target, done))
    end = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    begun = asyncio.ensure_future(asyncio.gather(*map(_something, done.values())))
    await asyncio.wait((work, begun), return_when=asyncio.FIRST_COMPLETED)
    print(BEGUN, flush=True)
    await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        work.result()
    work.cancel()
    print(json.dumps(done))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
