"""A server that takes calls, reads and acts as they come, a twin: python -m tests.campaigns.one_queue FOLDER PORT."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from teamroom.server.app import MakeContext
from teamroom.server.http import turns
from teamroom.server.store.engine import ROOMS_TURN, CarryOut, Recover, Turn, Work
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Reading
from teamroom.server.store.writer import Writer
from tests.campaigns.twin_server import run
from tests.support.postgres import address_of, is_in_database

T = TypeVar("T")


class ServesAsTheyCome(Writer):
    """All acts wait in one queue, whoever sent them and whatever they are."""

    async def run(self, work: Work, recover: Recover, when_full: bool, turn: Turn) -> tuple[Any, int]:
        """Run one act behind all others."""
        return await super().run(work, recover, when_full, ROOMS_TURN)


class ReadsAsTheyCome(SqliteStore):
    """All reads wait in one queue."""

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None, **more: Any) -> T:
        """Run one read behind all others."""
        return await super().read(work, is_small, **more)


class ReadsOnPostgresAsTheyCome(PostgresStore):
    """The same on PostgreSQL."""

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None, **more: Any) -> T:
        """Run one read behind all others."""
        return await super().read(work, is_small, **more)


def one_queue(folder: Path, make_context: MakeContext, carry_out: CarryOut) -> SqliteStore | PostgresStore:
    """The room's engine, with one queue for reads and one for acts."""
    if is_in_database(folder):
        address, context = Address.parse(address_of(folder)), make_context(postgres_statements())
        return ReadsOnPostgresAsTheyCome(address, context, carry_out, make_writer=ServesAsTheyCome)
    return ReadsAsTheyCome(folder, make_context(sqlite_statements()), carry_out, make_writer=ServesAsTheyCome)


if __name__ == "__main__":
    with mock.patch.multiple(turns, BEGUN_AT_ONCE=sys.maxsize, MEMBER_AT_ONCE=sys.maxsize):
        run(choose_engine=one_queue)
