"""One life of a room under its supervisor, in accelerated time, in a process of its own that is killed there.

`python -m tests.campaigns.supervised_life` serves lives as `store_life` does. Each opens the room and lets its
supervisor tick every five minutes of the room's own time, which pass at once, and says after each tick which time it
was. It is killed at a random moment, inside the n-th commit or checkpoint, or stops itself on the writer's thread
between the n-th decision of a life and its commit.
"""

import asyncio
import contextlib
import json
import mmap
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.server.acts.reminders import reminders
from teamroom.server.app import Room
from teamroom.server.facts.timers import Timer
from teamroom.server.settings import Settings
from teamroom.server.store import writer as writers
from teamroom.server.store.sqlite import commit as commits
from teamroom.server.store.transaction import Writing
from teamroom.server.supervisor import loop
from tests.campaigns.store_life import CHECKPOINT_COMMITS, PLACES, Watched, serve

BETWEEN = "between a decision and its commit"
TICK_SECONDS = 300.0
SETTINGS = Settings(
    readers=1, supervisor_seconds=5, busy_max_seconds=86_400, reminders_per_hour=10_000, asks_per_hour=1000
)
"""A server that follows a killed one leads six seconds later."""


def live(order: dict[str, Any], seen: mmap.mmap, out: int) -> None:
    """Open the room and let time pass in it, until the kill, or until all has passed."""
    now = float(order["now"])

    async def ticks() -> None:
        nonlocal now
        room = Room(Path(order["folder"]), SETTINGS, clock=lambda: now, steady=lambda: now)
        await room.open("olga")
        while now <= order["until"]:
            await room.supervisor.tick()
            os.write(out, json.dumps(["ticked", now]).encode() + b"\n")
            now += TICK_SECONDS
        await room.close()

    def decided() -> None:
        """The place at which a life may have been told to stop."""
        seen[3] = min(255, seen[3] + 1)
        if order["place"] == 3 and seen[3] >= order["times"]:
            seen[0] = 3
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        patch.object(commits, "connect_writer", lambda path: Watched(path, seen)),
        patch.object(writers, "CHECKPOINT_COMMITS", CHECKPOINT_COMMITS),
        _marking_first(decided) if order["twin"] else _deciding(decided),
    ):
        asyncio.run(ticks())


@contextlib.contextmanager
def _deciding(decided: Callable[[], None]) -> Iterator[None]:
    """The room as it is, which may stop once something was decided."""
    carry_out = loop.carry_out

    def watched(*arguments: Any, **named: Any) -> bool:
        done = carry_out(*arguments, **named)
        if done:
            decided()
        return done

    with patch.object(loop, "carry_out", watched):
        yield


@contextlib.contextmanager
def _marking_first(decided: Callable[[], None]) -> Iterator[None]:
    """The twin: one transaction marks the slot as done, another one sends the reminder."""
    send, do = reminders.send, loop.Supervisor.do
    to_send: list[Callable[[Writing], None]] = []
    one_at_a_time = asyncio.Lock()

    def later(tx: Writing, *arguments: Any) -> None:
        to_send.append(lambda tx: send(tx, *arguments))

    async def in_two(self: loop.Supervisor, due: Timer, fence: int) -> None:
        async with one_at_a_time:
            await do(self, due, fence)
            while to_send:
                await self.door.act_as_room(_sending(to_send.pop(0)))

    def _sending(work: Callable[[Writing], None]) -> Callable[[Writing], None]:
        def sending(tx: Writing) -> None:
            work(tx)
            decided()

        return sending

    with patch.object(reminders, "send", later), patch.object(loop.Supervisor, "do", in_two):
        yield


if __name__ == "__main__":
    serve(sys.stdin.readline, 1, live, (*PLACES, BETWEEN))
