"""One member does its worst with many callers; the calls of the others take hardly longer (SAF9, SAF10).

Each round has two halves, in turn. In one, the worst member loads the room of the others; in the other, the same load
goes to a second room on this machine. So the machine is as busy in both, and the ratio of the two times is what the
room itself lets one member take from the others. Each half has a new worst member, whose burst is not spent.

The twin takes calls, reads and acts as they come, at any rate.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaigns.campaign import Advance, Outcome, command, over_time, quantile, silently
from tests.campaigns.load import Caller
from tests.campaigns.loads import Target, furnish, loading
from tests.campaigns.process import Server, enroll, serving
from tests.campaigns.switch import RATES
from tests.support.postgres import is_in_database, keep_in_database

OTHERS = 8
CALLERS = 60
PACE_SECONDS = 0.05
HALF_SECONDS = 4.0
MOST_RATIO = 3.0
LOADS = ("members", "older clients")

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("heartbeat", {}),
    ("post_message", {"text": "status: build green, 12 tests pass"}),
    ("check_in", {}),
    ("read_board", {}),
    ("read_messages", {"limit": 20}),
)
"""What the others do, each of them in turn."""


@dataclass
class Seen:
    """The seconds that each call of the others took, with the worst member in their room and in the other one."""

    beside: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    callers: int = CALLERS,
    half_seconds: float = HALF_SECONDS,
) -> Outcome:
    """`number` rounds."""
    seen, dice = Seen(), random.Random(seed)
    other = folder.with_name("second")
    if is_in_database(folder):
        keep_in_database(other)
    with _room(folder, twin) as server, _room(other, twin) as second:
        owners = [await _open(server), await _open(second)]
        others = await enroll(owners[0], [f"other{index}" for index in range(OTHERS)])
        for owner in owners:
            await furnish(await enroll(owner, ["worker"]))
        for turn in range(number):
            halves = [(owners[0], seen.beside), (owners[1], seen.apart)]
            for owner, times in halves if turn % 2 else reversed(halves):
                (worst,) = await enroll(owner, [f"worst{turn}"])
                target = Target(owner.port, {worst.name: worst.token}, callers, 0, dice.randrange(2**32))
                async with contextlib.AsyncExitStack() as stack:
                    for kind in LOADS:
                        await stack.enter_async_context(loading((kind,), target))
                    end = time.perf_counter() + half_seconds
                    await asyncio.gather(*(_work(other, times, end) for other in others))
            advance()
    return _outcome(seen)


def _outcome(seen: Seen) -> Outcome:
    beside, apart = quantile(seen.beside, 0.99), quantile(seen.apart, 0.99)
    figures = {
        "calls of the others": f"{len(seen.beside)} and {len(seen.apart)}",
        "p99 beside the worst member": f"{1e3 * beside:.0f} ms (median {1e3 * quantile(seen.beside, 0.5):.1f} ms)",
        "p99 while it loads a second room": f"{1e3 * apart:.0f} ms (median {1e3 * quantile(seen.apart, 0.5):.1f} ms)",
        "ratio": f"{beside / apart:.2f}",
        "beside it (ms)": over_time([round(1e3 * seconds) for seconds in seen.beside]),
        "apart (ms)": over_time([round(1e3 * seconds) for seconds in seen.apart]),
    }
    faults = [f"the p99 is {beside / apart:.1f} times as long beside the worst member"]
    return Outcome(figures, faults if beside > MOST_RATIO * apart else [])


def _room(folder: Path, twin: bool) -> contextlib.AbstractContextManager[Server]:
    return serving(folder, "tests.campaigns.one_queue" if twin else None, **({} if twin else RATES))


async def _open(server: Server) -> Caller:
    await server.start()
    return Caller("olga", server.port, server.owner_token)


async def _work(other: Caller, times: list[float], end: float) -> None:
    turn = 0
    while time.perf_counter() < end:
        tool, arguments = CALLS[turn % len(CALLS)]
        called = await other.call(tool, **arguments)
        if called.refused:
            raise AssertionError(f"a {tool} of @{other.name} was refused: {called.body}")
        times.append(called.ended - called.started)
        turn += 1
        await asyncio.sleep(PACE_SECONDS)


if __name__ == "__main__":
    command(
        "fairness",
        "NUMBER rounds: beside the worst member, the p99 of the others at most triples",
        10,
        campaign,
        on_both_engines=True,
    )
