"""A server that answers before it commits, to be killed: python -m tests.campaigns.write_behind FOLDER PORT.

It is the twin of the room's own writer: each act is answered as soon as it has run, and its batch is committed
20 ms later, as a store does that writes behind.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from teamroom.server.app import MakeContext
from teamroom.server.store.batches import BatchCommitter, Job
from teamroom.server.store.engine import CarryOut
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer as PostgresCommitter
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Head
from tests.campaigns.twin_server import run
from tests.support.postgres import address_of, is_in_database

BEHIND_SECONDS = 0.02


class Answering(BatchCommitter):
    """Answers each act when it has run, and commits later."""

    def run_act(self, job: Job, head: Head) -> None:
        super().run_act(job, head)
        job.answer.get_loop().call_soon_threadsafe(_answer, job.answer, job.error, (job.result, job.seq))

    def commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        time.sleep(BEHIND_SECONDS)
        super().commit(batch, opened, head)  # type: ignore[safe-super]  # the engine's, which comes after this class


class AnswersFirst(Answering, Committer):
    """The same on SQLite."""


class AnswersFirstOnPostgres(Answering, PostgresCommitter):
    """The same on PostgreSQL."""


def _answer(caller: asyncio.Future[Any], error: Exception | None, result: tuple[Any, int]) -> None:
    if caller.done():
        return
    if error is not None:
        caller.set_exception(error)
    else:
        caller.set_result(result)


def write_behind(folder: Path, make_context: MakeContext, carry_out: CarryOut) -> SqliteStore | PostgresStore:
    """The room's engine, except that it answers before the commit."""
    if is_in_database(folder):
        address = Address.parse(address_of(folder))
        return PostgresStore(address, make_context(postgres_statements()), carry_out, AnswersFirstOnPostgres)
    return SqliteStore(folder, make_context(sqlite_statements()), carry_out, make_committer=AnswersFirst)


if __name__ == "__main__":
    run(choose_engine=write_behind)
