"""A database for a room of a benchmark, on the PostgreSQL server that the tests use: empty, or with a copy of a room.

Where that server runs on this machine, the processes with which it serves the room can be found.
"""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from rich.progress import Progress

from teamroom.server.settings import Settings
from teamroom.server.store.copying import copy_rows
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.ends import open_target
from teamroom.server.store.sqlite.ends import open_source
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context
from tests.support import postgres


def is_on_this_machine() -> bool:
    """Whether there is a PostgreSQL server here, whose processes this machine counts the CPU of."""
    server = postgres.find_server()
    return server is not None and Path("/proc/self/schedstat").exists() and is_local(server)


def is_local(server: str) -> bool:
    """Whether the address of a server means this machine."""
    host = conninfo_to_dict(server).get("host") or ""
    return not host or host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")


@contextlib.contextmanager
def empty_database() -> Iterator[str | None]:
    """The address of an empty database, dropped after the block; None where no server can be reached or started."""
    if postgres.find_server() is None:
        yield None
        return
    try:
        yield postgres.address_at(postgres.make_database())
    finally:
        postgres.drop_all()


@contextlib.contextmanager
def copied_database(folder: Path) -> Iterator[str]:
    """The address of a database with a copy of a folder's room, which nobody serves; dropped after the block.

    There must be a server. The copy is not verified: the log of a filled room is no chain.
    """
    with empty_database() as address:
        assert address is not None
        copy_into(address, folder)
        yield address


def copy_into(address: str, folder: Path) -> None:
    """Copy a folder's room into an empty database, index its words and let PostgreSQL analyze it."""
    here = Context(sqlite_statements(), Settings(), secrets.token_bytes)
    there = Context(postgres_statements(), Settings(), secrets.token_bytes)
    with Progress(transient=True) as shown:
        copying = shown.add_task("Copying into PostgreSQL")

        def progress(done: int, total: int) -> None:
            shown.update(copying, completed=done, total=total)
            if done == total:
                shown.update(copying, description="Indexing the words, and analyzing", total=None)

        with open_source(folder, here) as source, open_target(Address.parse(address), there, 0.0) as target:
            copy_rows(source, target, progress)


def backends(address: str) -> list[int]:
    """The processes with which PostgreSQL serves this database, except for this question. None if it runs elsewhere."""
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
    return [pid for (pid,) in found if Path(f"/proc/{pid}/task").exists()]
