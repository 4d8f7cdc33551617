"""A step of the wall clock ends a sleep of the room's loops once, also where they can do nothing about it."""

import asyncio
from pathlib import Path
from typing import Any

from teamroom.server.notify.deliver import Deliverer
from teamroom.server.refusals import Refusal
from teamroom.server.supervisor.loop import Supervisor
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room

pytestmark = promise("SAF12")

MOST = 5
"""How often a loop may tick at once. One that never slept would hold the event loop for ever."""


class TooOftenError(BaseException):
    """A loop ticks again and again."""


class Looks:
    """Counts how often a loop looks, and ends one that does not sleep."""

    def __init__(self) -> None:
        self.count = 0
        self.happened = asyncio.Event()

    def note(self) -> None:
        self.count += 1
        self.happened.set()
        if self.count > MOST:
            raise TooOftenError


async def ticks_of(loop: Any, looks: Looks) -> int:
    """How often a loop ticks before it sleeps."""
    task = asyncio.create_task(loop.run())
    await asyncio.wait_for(looks.happened.wait(), BOUND_SECONDS)
    for _ in range(10 * MOST):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return looks.count


def deliverer_of(room: RunningRoom) -> Deliverer:
    parts = room.room
    return Deliverer(parts.door, parts.store, parts.clock, parts.settings, parts.metrics, parts.addresses)


async def test_a_server_that_does_not_send_the_letters_sleeps_after_a_step(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        deliverer, looks = deliverer_of(room), Looks()

        def is_mine() -> bool:
            looks.note()
            return False

        deliverer.is_mine = is_mine
        room.room.clock.steps += 1
        assert await ticks_of(deliverer, looks) <= 2


async def test_a_supervisor_that_cannot_write_sleeps_after_a_step(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        parts, looks = room.room, Looks()

        class ClosedDoor:
            async def settle_refused(self) -> None:
                looks.note()
                raise Refusal("storage", "The room cannot write.", "Wait.")

        door: Any = ClosedDoor()
        supervisor = Supervisor(door, parts.store, parts.clock, parts.settings, parts.metrics, "twin")
        parts.clock.steps += 1
        assert await ticks_of(supervisor, looks) <= 2
