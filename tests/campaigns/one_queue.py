"""A server in which all acts wait in one queue, a twin: python -m tests.campaigns.one_queue FOLDER PORT."""

from pathlib import Path
from typing import Any

from teamroom.server.app import MakeContext
from teamroom.server.store.engine import ROOMS_TURN, CarryOut, Recover, Turn, Work
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.sqlite.writer import Writer
from teamroom.server.store.statements import sqlite_statements
from tests.campaigns.twin_server import run


class ServesAsTheyCome(Writer):
    """All acts wait in one queue, whoever sent them and whatever they are."""

    async def run(self, work: Work, recover: Recover, when_full: bool, turn: Turn) -> tuple[Any, int]:
        """Run one act behind all others."""
        return await super().run(work, recover, when_full, ROOMS_TURN)


def one_queue(folder: Path, make_context: MakeContext, carry_out: CarryOut) -> SqliteStore:
    """The room's engine, with one queue."""
    return SqliteStore(folder, make_context(sqlite_statements()), carry_out, make_writer=ServesAsTheyCome)


if __name__ == "__main__":
    run(choose_engine=one_queue)
