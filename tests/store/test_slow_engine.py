"""An engine whose look-ups wait for a network: what happens meanwhile is neither lost nor done twice."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from teamroom.server.notify.deliver import Deliverer
from teamroom.server.rules.letters import Letter
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.transaction import Reading
from teamroom.server.supervisor import loop
from tests.support.bounds import BOUND_SECONDS
from tests.support.engines import altered
from tests.support.listeners import listening
from tests.support.promises import house
from tests.support.rooms import RunningRoom, running_room

pytestmark = house


class Slow(SqliteStore):
    """Each look-up finds what it finds at once, and the answer arrives some turns of the event loop later.

    A look-up whose result `holds` says yes to is kept until `arrives` is set.
    """

    turns = 3
    looked_up = 0

    def __init__(self, *made: Any) -> None:
        super().__init__(*made)
        self.holds: Callable[[Any], bool] = lambda found: False
        self.held, self.arrives = asyncio.Event(), asyncio.Event()

    async def look_up(self, work: Callable[[Reading], Any]) -> Any:
        found = await super().look_up(work)
        self.looked_up += 1
        for _ in range(self.turns):
            await anyio.lowlevel.checkpoint()
        if self.holds(found):
            self.held.set()
            await asyncio.wait_for(self.arrives.wait(), BOUND_SECONDS)
        return found


SLOW = altered(Slow)


async def test_members_act_listen_and_are_stopped_as_on_any_engine(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", choose_engine=SLOW.choose, supervised=True, push_seconds=0.05) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        assert (await room.raw("GET", "/readyz")).status_code == 200
        metrics = await room.raw("GET", "/metrics", headers={"Authorization": f"Bearer {room.owner_token}"})
        assert "teamroom_readable 1.0" in metrics.text
        async with listening(room, "builder", "teamroom://stream") as stream:
            task = (await builder("create_task", title="paint"))["task"]
            assert (await builder("claim_task", task=task))["fence"] == 1
            assert await stream.next() == "teamroom://stream"
            await owner("pause", target="builder", reason="look")
            assert await stream.end() is not None
        assert (await builder.refused("post_message", text="hello"))["code"] == "paused"
        await owner("resume", target="builder", reason="looked")
        assert (await builder("post_message", text="hello"))["message"] == "M-1"


async def test_a_timer_that_falls_due_during_a_check_is_not_overslept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_UP_SECONDS", 0.01)
    async with running_room(tmp_path / "room", choose_engine=SLOW.choose, lease_seconds=60) as room:
        (holder,) = await room.enroll("holder")
        await holder("claim_task", task=(await holder("create_task", title="paint"))["task"])
        store: Any = room.room.store
        running = asyncio.create_task(room.room.supervisor.run())
        try:
            await until(lambda: store.looked_up > 0, "it looks for the first time")
            await settle(store)
            store.holds = lambda found: isinstance(found, float)
            room.time.forward(61)  # the lease runs out; then it looks for the next thing
            await asyncio.wait_for(store.held.wait(), BOUND_SECONDS)
            room.room.supervisor.nudge(room.time() + 5)
            store.arrives.set()
            await settle(store)
            looked = store.looked_up
            room.time.forward(6)
            await until(lambda: store.looked_up > looked, "it looks when that is due")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_letter_that_is_delivered_while_the_next_are_looked_up_is_not_sent_again(tmp_path: Path) -> None:
    sent, sending, taken = [], threading.Event(), threading.Event()

    def send(url: str, letter: Letter) -> str:
        sent.append(letter.title)
        sending.set()
        assert taken.wait(BOUND_SECONDS)
        return ""

    told = {"notify": {"olga": ["json://127.0.0.1:9"]}, "notify_digest": ""}
    async with running_room(tmp_path / "room", choose_engine=SLOW.choose, **told) as room:
        await (await room.owner())("notify", name="olga")
        store: Any = room.room.store
        deliverer = deliverer_of(room, send)
        await deliverer.tick()
        await asyncio.to_thread(sending.wait, BOUND_SECONDS)
        store.holds = lambda found: isinstance(found, tuple)
        second = asyncio.create_task(deliverer.tick())
        await asyncio.wait_for(store.held.wait(), BOUND_SECONDS)
        taken.set()
        await asyncio.wait_for(deliverer.settled(), BOUND_SECONDS)
        store.arrives.set()
        await second
        await asyncio.wait_for(deliverer.settled(), BOUND_SECONDS)
        assert sent == ["[Teamroom] test"]


def deliverer_of(room: RunningRoom, send: Callable[[str, Letter], str]) -> Deliverer:
    parts = room.room
    return Deliverer(parts.door, parts.store, parts.clock, parts.settings, parts.metrics, parts.addresses, send)


async def settle(store: Any) -> None:
    """Wait until nothing has been looked up for some turns of the event loop."""
    quiet, seen = 0, store.looked_up
    async with asyncio.timeout(BOUND_SECONDS):
        while quiet < 50:
            await anyio.lowlevel.checkpoint()
            quiet = quiet + 1 if store.looked_up == seen else 0
            seen = store.looked_up


async def until(is_so: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(BOUND_SECONDS):
            while not is_so():
                await anyio.lowlevel.checkpoint()
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None
