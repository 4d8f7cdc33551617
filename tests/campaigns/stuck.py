"""Clients that never read, with buffers of 4 KB: others are served as before, and a kill ends all of it (CTL4, SAF3).

In turns the room serves with nobody stuck and with all of them stuck, so that noise of the machine falls on both:
listeners, waiting calls, streams of older clients, and calls behind large answers that nobody takes. Others post and
read meanwhile; their p99 may be a fifth longer at most. Then the stuck members are killed, and two seconds later
their calls, streams, tasks and sockets are gone.

The twin serves a room in which a kill ends nothing that is open.
"""

import asyncio
import random
import socket
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.campaign import Advance, Outcome, command, over_time, quantile, silently
from tests.campaigns.crowd import enough_files
from tests.campaigns.inside import Inside, look, until, until_idle
from tests.campaigns.load import Caller, SessionCaller
from tests.campaigns.process import Server, enroll, serving
from tests.support.raw import ENVELOPE, message, modern_headers, posted, request

TURNS = 6
PHASE_SECONDS = 2.0
OTHERS = 8
SLOWER_SHARE = 0.20
"""How much longer the p99 of others may be with clients stuck."""

SLOWER_SECONDS = 0.005
"""Below this a difference of two p99 is the machine's, not the clients'."""

STUCK_SECONDS, GONE_SECONDS = 10.0, 2.0
BUFFER_BYTES = 4096
LARGE_TEXT = 11_800
LARGE_ANSWERS = 120
"""Answers of two large texts on one connection: more than its buffers hold."""


@dataclass
class Found:
    """What was measured, turn by turn; times in seconds."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    stuck: list[int] = field(default_factory=list)


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    turns: int = TURNS,
    phase_seconds: float = PHASE_SECONDS,
) -> Outcome:
    """`number` stuck clients, in `turns` turns."""
    outcome, found, dice = Outcome(), Found(), random.Random(seed)
    settings = {"listeners": number + 10, "stall_seconds": 300}
    with serving(folder, "tests.campaigns.deaf" if twin else None, **settings) as server:
        await server.start()
        owner = Caller("olga", server.port, server.owner_token)
        others = await enroll(owner, [f"other-{n}" for n in range(OTHERS)])
        for text in "ab":
            await owner.carried_out("post_message", text=text * LARGE_TEXT)
        rounds = Turns(server, owner, others, dice, phase_seconds)
        await rounds.turn(await look(server), len(WAYS), Found(), Outcome())  # warms up
        before = await look(server)
        for _ in range(turns):
            await rounds.turn(before, number, found, outcome)
            advance()
        for caller in (owner, *others):
            caller.hang_up()
    slower = statistics.median(found.ratios) - 1
    extra = quantile(found.beside, 0.99) - quantile(found.alone, 0.99)
    if slower > SLOWER_SHARE and extra > SLOWER_SECONDS:
        outcome.faults.append(f"the p99 of others is {slower:.0%} longer with {number} clients stuck")
    outcome.figures |= {
        "clients stuck at once": min(found.stuck),
        "calls of others, alone and beside them": f"{len(found.alone)}, {len(found.beside)}",
        "their median": f"{quantile(found.alone, 0.5) * 1000:.2f} ms, {quantile(found.beside, 0.5) * 1000:.2f} ms",
        "their p99": f"{quantile(found.alone, 0.99) * 1000:.2f} ms, {quantile(found.beside, 0.99) * 1000:.2f} ms",
        "p99 beside to alone, median of the turns": f"{slower + 1:.2f}",
        "ratio in each turn": over_time([round(ratio, 2) for ratio in found.ratios]),
        "all gone after a kill": f"median {quantile(found.gone, 0.5):.2f} s, worst {max(found.gone):.2f} s",
    }
    return outcome


@dataclass
class Turns:
    """Who plays in the turns of a campaign."""

    server: Server
    owner: Caller
    others: list[Caller]
    dice: random.Random
    phase_seconds: float
    played: int = 0

    async def turn(self, before: Inside, number: int, found: Found, outcome: Outcome) -> None:
        """Serve alone, then beside the stuck; then kill them, and see how soon all of it is gone."""
        alone, beside = list[float](), list[float]()
        await self._serve(alone)
        names = [f"stuck-{self.played}-{n}" for n in range(-(-number // len(WAYS)))]
        members = await enroll(self.owner, names)
        sockets = [await _stuck(members[n // len(WAYS)], n) for n in range(number)]
        seen, _ = await until(self.server, lambda seen: seen.requests >= before.requests + number, STUCK_SECONDS)
        found.stuck.append(seen.requests - before.requests)
        await until_idle(self.server, STUCK_SECONDS)  # until its answers fill every pipe
        await self._serve(beside)
        for name in names:
            await self.owner.carried_out("kill", target=name, reason="it never reads")
        left, took = await until(self.server, lambda seen: seen.is_within(before), GONE_SECONDS)
        if not left.is_within(before):
            outcome.faults.append(f"{took:.1f} s after the kill there is {left}, before there was {before}")
        for one in sockets:
            one.close()
        found.alone += alone
        found.beside += beside
        found.ratios.append(quantile(beside, 0.99) / quantile(alone, 0.99))
        found.gone.append(took)
        self.played += 1

    async def _serve(self, times: list[float]) -> None:
        """Let everybody post, read and beat for a while."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.phase_seconds

        async def work(caller: Caller) -> None:
            while loop.time() < end:
                tool = self.dice.choice(["post_message", "heartbeat", "check_in", "read_board"])
                arguments = {"text": f"{self.dice.random()}"} if tool == "post_message" else {}
                called = await caller.call(tool, **arguments)
                times.append(called.ended - called.started)
                await asyncio.sleep(self.dice.random() * 0.01)

        await asyncio.gather(*map(work, self.others))


async def _stuck(caller: Caller, number: int) -> socket.socket:
    """A connection with something sent on it, whose client takes nothing of what comes."""
    sent = await WAYS[number % len(WAYS)](caller)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    stuck.connect(("127.0.0.1", caller.port))
    stuck.sendall(sent)
    return stuck


async def _listener(caller: Caller) -> bytes:
    params = {"notifications": {"resourceSubscriptions": ["teamroom://stream"]}, "_meta": ENVELOPE}
    body = message("subscriptions/listen", params)
    return posted(caller.port, caller.token, body, modern_headers("subscriptions/listen"))


async def _older_stream(caller: Caller) -> bytes:
    session = SessionCaller(caller.name, caller.port, caller.token)
    await session.open()
    session.hang_up()
    headers = [("host", f"127.0.0.1:{caller.port}"), ("authorization", f"Bearer {caller.token}"), *session.session]
    return request("GET", "/mcp", [*headers, ("accept", "text/event-stream")])


async def _waiting_call(caller: Caller) -> bytes:
    return _tool(caller, "wait_for_wake", {"timeout_seconds": 50})


async def _full_pipe(caller: Caller) -> bytes:
    return _tool(caller, "read_messages", {"ids": ["M-1", "M-2"]}) * LARGE_ANSWERS


def _tool(caller: Caller, tool: str, arguments: dict[str, object]) -> bytes:
    body = message("tools/call", {"name": tool, "arguments": arguments, "_meta": ENVELOPE})
    return posted(caller.port, caller.token, body, modern_headers("tools/call", tool))


WAYS = (_listener, _full_pipe, _older_stream, _listener, _waiting_call)
"""How they are stuck: each member once in each way, because of its waiting calls the newest alone goes on."""


if __name__ == "__main__":
    enough_files(1000)
    command("stuck", "NUMBER clients that never read: others are served as before", 200, campaign)
