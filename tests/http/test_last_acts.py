"""A room that closes: its last acts hold up neither its store nor its seal, whatever becomes of them."""

import asyncio
from pathlib import Path

import pytest

from teamroom.server import app
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.app import Room
from teamroom.server.record.seal import read_seals
from teamroom.server.settings import Settings
from teamroom.server.store.folder import make_private
from tests.campaigns.shared_rooms import owner_of
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import house

pytestmark = house


async def opened(folder: Path) -> Room:
    make_private(folder)
    room = Room(folder, Settings())
    await room.open("olga")
    return room


def sealed_seq(folder: Path) -> int | None:
    seal = read_seals(folder).seal
    return None if seal is None else seal.seq


@pytest.mark.parametrize("is_broken", [True, False], ids=["they fail", "the twin's succeed"])
async def test_a_fault_in_the_last_acts_leaves_the_store_closed_and_the_log_sealed(
    tmp_path: Path, is_broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await opened(tmp_path / "room")
    before = sealed_seq(room.folder) or 0
    owner = await owner_of(room)
    await room.door.act(owner, ENROLL, ENROLL.arguments(name="builder"))

    async def broken() -> None:
        raise ZeroDivisionError("a bug in the last acts")

    if is_broken:
        monkeypatch.setattr(room.servers, "leave", broken)
        with pytest.raises(ZeroDivisionError):
            await room.close()
    else:
        await room.close()
    assert not room.store.is_writing
    assert room.store.committed is not None
    assert sealed_seq(room.folder) == room.store.committed.seq > before


async def test_last_acts_that_do_not_end_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await opened(tmp_path / "room")
    begun = asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(room.servers, "leave", endless)
    monkeypatch.setattr(app, "GOODBYE_SECONDS", 0.05)
    await asyncio.wait_for(room.close(), BOUND_SECONDS)
    assert begun.is_set()
    assert not room.store.is_writing
