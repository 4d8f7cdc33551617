"""The loop of a program over the wakes of its member, and what the room is told while the program works on one."""

import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from teamroom.clients.session.failure import Failure, Superseded
from teamroom.clients.session.listening import STALE_CURSOR, WAIT_SECONDS, ListeningRoom
from teamroom.clients.session.protocol import WOKE

if TYPE_CHECKING:
    from teamroom.clients.session.shapes import Wake

BEAT_SECONDS = 10.0
"""How often the room is told of work that goes on."""

QUICK_SECONDS = 1.0
"""Work that takes longer than this is reported to the room, and ends at once if the member is killed."""

STALE_TIMES = 5
"""How often in a row the room may refuse a cursor that it gave itself."""

CPU_SHARE = 0.01
"""A program that uses less of one CPU than this only waits."""

Calls = Callable[[], int]
"""Returns how many calls the program has made."""


async def each_wake(room: ListeningRoom, tasks: anyio.abc.TaskGroup, calls: Calls) -> "AsyncGenerator[Wake, None]":
    """Yield the wakes of a member, and acknowledge each one when the next is asked for. Raises Failure.

    While a wake is worked on, `tasks` tell the room so. A failure of theirs cancels the whole group.
    """
    listening = Listening(room, tasks, calls)
    found = await listening.begin()
    while True:
        if not found.wakes:
            found = await listening.wait(found.cursor)
            continue
        wake, *others = found.wakes
        cursor = wake["seq"] if others else found.cursor
        work = await listening.start_work(cursor)
        try:
            yield wake
        finally:
            work.cancel()
        newer = await listening.wait(cursor, 0.0 if others else WAIT_SECONDS)
        found = Found(others, found.cursor) if others and not newer.wakes else newer


@dataclass(frozen=True)
class Found:
    """Wakes that are not acknowledged, oldest first, and the cursor that acknowledges all of them."""

    wakes: "list[Wake]"
    cursor: int


class Listening:
    """What a live listener does between two wakes and during the work on one."""

    def __init__(self, room: ListeningRoom, tasks: anyio.abc.TaskGroup, calls: Calls) -> None:
        self._room, self._tasks, self._calls = room, tasks, calls
        self._stale_times = 0

    async def begin(self) -> Found:
        """Check in; returns what waits already."""
        return _found(await self._room.call("check_in", mode="live"))

    async def wait(self, after: int, seconds: float = WAIT_SECONDS) -> Found:
        """Acknowledge the wakes up to a cursor, and wait for more. Raises Failure."""
        try:
            waited = await self._room.wait(after, seconds)
        except Failure as failure:
            self._stale_times += 1
            if failure.code not in STALE_CURSOR or self._stale_times > STALE_TIMES:
                raise
            return await self.begin()
        self._stale_times = 0
        if waited.get("superseded"):
            raise Superseded(str((await self._room.me())["name"]))
        return _found(waited)

    async def start_work(self, cursor: int) -> anyio.CancelScope:
        """Tell the room that the program works on the wakes up to a cursor, until the returned scope is cancelled."""
        work, scope = Work(self._calls), anyio.CancelScope()
        self._room.say(WOKE, cursor)
        await self._room.beat(work.look)
        self._tasks.start_soon(self._report, work, scope)
        return scope

    async def _report(self, work: "Work", scope: anyio.CancelScope) -> None:
        with scope:
            await anyio.sleep(QUICK_SECONDS)
            async with anyio.create_task_group() as both:
                both.start_soon(self._hear_of_stop)
                while True:
                    await self._room.beat(work.look)
                    await anyio.sleep(BEAT_SECONDS)

    async def _hear_of_stop(self) -> None:
        """Have a wait open during the work: a kill ends it at once. The wakes that it brings come again afterwards."""
        while not (await self._room.wait(None))["superseded"]:
            pass


def _found(reply: Mapping[str, Any]) -> Found:
    """Return the wakes in a reply. Raises Failure."""
    try:
        return Found(list(reply["wakes"]), int(reply["cursor"]))
    except (KeyError, TypeError, ValueError):
        raise Failure("The room answered with no wakes and no cursor.", "Check it with `teamroom doctor`.") from None


class Work:
    """The work of this program on a wake. It moves when the program calls the room or uses the processor."""

    def __init__(
        self,
        calls: Calls,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = lambda: sum(os.times()[:4]),
    ) -> None:
        """`used`: returns the CPU seconds that the program used, with the programs that it started and that ended."""
        self._count, self._clock, self._used = calls, clock, used
        self._began = self._moved = self._looked = clock()
        self._before = calls(), used()

    async def look(self) -> dict[str, float]:
        """Look whether it moved; returns how long ago it began and last moved, in seconds."""
        now, (calls, cpu) = self._clock(), (self._count(), self._used())
        if calls != self._before[0] or cpu - self._before[1] > CPU_SHARE * (now - self._looked):
            self._moved = now
        self._looked, self._before = now, (calls, cpu)
        return {
            "began_seconds_ago": round(now - self._began, 1),
            "moved_seconds_ago": round(now - self._moved, 1),
        }
