"""`/readyz` tries what an act writes. It leaves nothing behind, costs little, and fails when acts would be refused."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from teamroom.server.door import readiness
from teamroom.server.door.readiness import Readiness
from teamroom.server.store.engine import StorageError
from tests.support.disks import pretend_full
from tests.support.promises import promise
from tests.support.room_in_thread import logged
from tests.support.rooms import RunningRoom
from tests.support.stores import limit_pages

pytestmark = promise("SAF4")


async def ready(room: RunningRoom) -> int:
    return (await room.raw("GET", "/readyz")).status_code


def content(room: RunningRoom) -> dict[str, list[Any]]:
    """Every row of every table."""
    with closing(sqlite3.connect(f"file:{room.room.store.path}?mode=ro", uri=True)) as connection:
        tables = connection.execute("select name from sqlite_schema where type = 'table'").fetchall()
        return {name: connection.execute(f"select * from {name}").fetchall() for (name,) in tables}


async def test_a_probe_writes_and_leaves_nothing_behind(room: RunningRoom) -> None:
    owner = await room.owner()
    for number in range(100):
        await owner("create_task", title=f"task {number}")
    before, commits = content(room), room.room.store.commits
    assert await ready(room) == 200
    assert room.room.store.commits == commits + 1
    assert content(room) == before
    assert (await owner("post_message", text="next"))["receipt"] == len(before["log"]) + 1


async def test_many_probes_cost_one_act(room: RunningRoom) -> None:
    commits = room.room.store.commits
    assert set(await asyncio.gather(*(ready(room) for _ in range(50)))) == {200}
    assert room.room.store.commits <= commits + 2


async def test_a_room_on_a_full_disk_is_not_ready_and_is_again_when_there_is_room(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "READY_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "NOT_READY_SECONDS", 0.0)
    owner = await room.owner()
    assert await ready(room) == 200
    with logged():
        await pretend_full(room.room.store, monkeypatch)
        await owner.refused("post_message", text="x" * 15_000)
        assert await ready(room) == 503
        assert (await room.raw("GET", "/healthz")).status_code == 200
    monkeypatch.undo()
    await limit_pages(room.room.store, spare=100_000)
    assert await ready(room) == 200


class Failing:
    """A store whose acts fail, or never end."""

    is_writing = True

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.tries = 0

    async def write(self, work: Any, recover: Any, **more: Any) -> tuple[Any, int]:
        self.tries += 1
        if self.error is None:
            await asyncio.Event().wait()
        raise self.error or AssertionError


@pytest.mark.parametrize("error", [StorageError("no"), RuntimeError("a bug"), None], ids=["storage", "bug", "hangs"])
async def test_a_store_that_fails_or_hangs_is_not_ready_and_is_tried_seldom(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.05)
    store: Any = Failing(error)
    looks = Readiness(store, lambda: 0.0)
    with logged():
        assert await asyncio.gather(*(looks.is_ready() for _ in range(10))) == [False] * 10
        assert await looks.is_ready() is False
    assert store.tries == 1
