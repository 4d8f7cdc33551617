"""A thousand connections at once: who calls among them is answered in time, and nothing stays when they leave (SAF3).

A third of them are open and silent, a third follow the stream, and a third heartbeat every two seconds. While they
are there, heartbeats are timed; one post must reach everybody who follows. Then all leave, and connections, streams,
tasks, files and memory of the server must be as before.

The twin serves a room that forgets to let go: what a connection held stays.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.campaigns.campaign import Advance, Outcome, command, over_time, quantile, silently
from tests.campaigns.inside import until
from tests.campaigns.load import Caller
from tests.campaigns.process import Server, enroll, serving
from tests.support.kept_alive import Connection, connect
from tests.support.raw import ENVELOPE, message, modern_headers, posted

PER_MEMBER = 40
"""Connections of one member: it may have 64 calls open."""

ROUNDS = 3
STAY_SECONDS = 6.0
BEAT_SECONDS = 2.0
ANSWERED_SECONDS = 1.0
"""Within this, 99 of 100 heartbeats must be answered."""

LEFT_SECONDS = 10.0
MEMORY_SHARE = 0.10
"""How much more memory than before may be in use when they have left."""


class Follower(Connection):
    """A connection that follows the stream, and counts how often it was told."""

    told = 0

    def __init__(self) -> None:
        super().__init__()
        self.is_over = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.told += data.count(b"notifications/resources/updated")
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.is_over.set()


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    stay_seconds: float = STAY_SECONDS,
) -> Outcome:
    """`number` connections, three times one after the other, and once before that to warm up the server's memory."""
    outcome, beats, opened = Outcome(), list[float](), list[float]()
    settings = {"listeners": number + 10, "push_seconds": 0}
    with serving(folder, "tests.campaigns.hoarder" if twin else None, **settings) as server:
        await server.start()
        owner = Caller("olga", server.port, server.owner_token)
        members = await enroll(owner, [f"member-{n}" for n in range(-(-number // PER_MEMBER))])
        callers = [members[n % len(members)] for n in range(number)]
        crowd = Crowd(server, owner, callers, random.Random(seed), stay_seconds)
        await crowd.come_and_go(outcome, [], [])
        before, _ = await until(server, lambda seen: seen.connections <= 2, LEFT_SECONDS)
        memory = []
        for _ in range(ROUNDS):
            await crowd.come_and_go(outcome, beats, opened)
            left, took = await until(server, lambda seen: seen.is_within(before), LEFT_SECONDS)
            if not left.is_within(before):
                outcome.faults.append(f"{took:.0f} s after all had left there is {left}, before there was {before}")
            memory.append(left.memory_bytes)
            advance()
        owner.hang_up()
    grown = memory[-1] / before.memory_bytes - 1
    if grown > MEMORY_SHARE:
        outcome.faults.append(f"memory has grown by {grown:.0%} when all have left")
    if quantile(beats, 0.99) > ANSWERED_SECONDS:
        outcome.faults.append(f"99 of 100 heartbeats took up to {quantile(beats, 0.99):.2f} s")
    outcome.figures |= {
        "connections at once": number,
        "heartbeats among them": len(beats),
        "a heartbeat": f"median {quantile(beats, 0.5) * 1000:.1f} ms, p99 {quantile(beats, 0.99) * 1000:.1f} ms, "
        f"worst {max(beats) * 1000:.0f} ms",
        "heartbeats over time (ms)": over_time([round(1000 * beat, 1) for beat in beats]),
        "all connected after": f"{quantile(opened, 0.5):.2f} s",
        "memory before, and after each time": " ".join(f"{m / 1e6:.1f}" for m in (before.memory_bytes, *memory))
        + " MB",
        "memory grown by": f"{grown:.1%}",
    }
    return outcome


@dataclass
class Crowd:
    """Who comes at once, and leaves at once."""

    server: Server
    owner: Caller
    callers: list[Caller]
    dice: random.Random
    stay_seconds: float

    async def come_and_go(self, outcome: Outcome, beats: list[float], opened: list[float]) -> None:
        """All come, stay for a while, and leave; how long each heartbeat took, and until all were there."""
        started = time.perf_counter()
        third = len(self.callers) // 3
        followers = await asyncio.gather(*(follow(self.server.port, caller) for caller in self.callers[:third]))
        quiet = await asyncio.gather(*(connect(self.server.port) for _ in self.callers[third : 2 * third]))
        seen, _ = await until(self.server, lambda seen: seen.listeners >= third, LEFT_SECONDS)
        opened.append(time.perf_counter() - started)
        if seen.listeners < third:
            outcome.faults.append(f"{seen.listeners} of {third} follow the stream")
        await self._stay(outcome, beats)
        if untold := sum(follower.told == 0 for follower in followers):
            outcome.faults.append(f"{untold} of {third} were not told of a change")
        for connection in (*followers, *quiet):
            connection.transport.abort()

    async def _stay(self, outcome: Outcome, beats: list[float]) -> None:
        """The last third heartbeats, and one post reaches everybody who follows."""
        end = time.perf_counter() + self.stay_seconds
        callers = [Caller(c.name, c.port, c.token) for c in self.callers[2 * len(self.callers) // 3 :]]
        beating = [asyncio.create_task(_beat(c, self.dice.random() * BEAT_SECONDS, end, beats)) for c in callers]
        await self.owner.carried_out("post_message", text=f"to all who follow, {self.dice.random()}")
        for fault in await asyncio.gather(*beating, return_exceptions=True):
            outcome.faults += [f"a heartbeat failed: {fault!r}"] if fault is not None else []
        for caller in callers:
            caller.hang_up()


async def follow(port: int, caller: Caller) -> Follower:
    """Open a stream of what happens in the room. Raises OSError."""
    _, follower = await asyncio.get_running_loop().create_connection(Follower, "127.0.0.1", port)
    params = {"notifications": {"resourceSubscriptions": ["teamroom://stream"]}, "_meta": ENVELOPE}
    body = message("subscriptions/listen", params)
    follower.transport.write(posted(port, caller.token, body, modern_headers("subscriptions/listen")))
    return follower


async def _beat(caller: Caller, first: float, end: float, beats: list[float]) -> None:
    await asyncio.sleep(first)
    while time.perf_counter() < end:
        called = await caller.call("heartbeat")
        beats.append(called.ended - called.started)
        if called.refused:
            raise AssertionError(f"a heartbeat was refused: {called.body}")
        await asyncio.sleep(BEAT_SECONDS)


def enough_files(number: int) -> None:
    """Let this process, and the server it starts, open that many connections."""
    process = psutil.Process()
    _, most = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    enough_files(1000)
    command("crowd", "NUMBER connections at once: heartbeats are answered in time, nothing stays", 1000, campaign)
