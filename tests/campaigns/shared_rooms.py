"""Rooms of several servers on one PostgreSQL database, for campaigns: without HTTP, each with a folder of its own."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from teamroom.server.acts.members.members import ENROLL
from teamroom.server.app import Room
from teamroom.server.identity import Caller
from teamroom.server.record.chain import Verifier
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.store import MakeCommitter, PostgresStore
from teamroom.server.store.statements import postgres_statements
from tests.support.rates import LIMITLESS

SHARED_FILES = ("room.key", data_folder.OWNER_TOKEN)


def engine_at(address: str, make_committer: MakeCommitter = Committer) -> Callable[..., PostgresStore]:
    """The engine of a room in the database at an address."""

    def choose(folder: Path, make_context: Any, carry_out: Any) -> PostgresStore:
        return PostgresStore(Address.parse(address), make_context(postgres_statements()), carry_out, make_committer)

    return choose


@contextlib.asynccontextmanager
async def server(folder: Path, choose: Callable[..., PostgresStore], first: Path | None = None) -> AsyncIterator[Room]:
    """A server of a room; `first`: the folder of the server that made it."""
    data_folder.make_private(folder)
    for name in SHARED_FILES if first is not None else ():
        assert first is not None
        (folder / name).write_bytes((first / name).read_bytes())
        (folder / name).chmod(0o600)
    room = Room(folder, Settings(**LIMITLESS), choose_engine=choose)
    await room.open("olga")
    try:
        yield room
    finally:
        await room.close()


async def owner_of(room: Room) -> Caller:
    """The room's first owner."""
    return await room.door.identify((room.folder / data_folder.OWNER_TOKEN).read_text().strip())


async def enrolled(room: Room, *names: str) -> list[Caller]:
    """New members of a room."""
    owner = await owner_of(room)
    made = [await room.door.act(owner, ENROLL, ENROLL.arguments(name=name)) for name in names]
    return [await room.door.identify(enrolled.token) for enrolled in made]


async def chain_faults(room: Room) -> list[str]:
    """What the log's own verification finds."""
    verifier, verdict = Verifier(None, None), None
    while verdict is None:
        verdict = await room.store.read(verifier.step, is_small=False)
    return [] if verdict.good else [f"the log is bad from {verdict.first_bad} on: {verdict.why}"]
