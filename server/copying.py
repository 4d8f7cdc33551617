"""Copies a room between engines, verifies the copy, and only then keeps it. Numbers, hashes and fences stay."""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from teamroom.server.clock import wall_clock
from teamroom.server.private import open_private
from teamroom.server.record.chain import Verifier
from teamroom.server.record.keys import find_key
from teamroom.server.record.seal import read_seals
from teamroom.server.settings import Settings
from teamroom.server.store.copying import CopyError, Progress, Source, Target, copy_rows
from teamroom.server.store.folder import DATABASE, KEY, FolderError, locked, make_private
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context

COPYING = "copying.db"
"""The new file until it is whole."""

READ_SECONDS = 3600.0
"""How long one statement of a copy may read."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: rows, and the end of the log."""

    rows: int
    seq: int
    hash: str


def copy_room(source: str, target: str, copying: Progress, verifying: Progress) -> Copied:
    """Copy a room; both places are a data folder or the address of a database.

    Raises CopyError, FolderError, NotPrivateError, OSError, and errors of the engines; the target is unchanged then.
    """
    with _source(source) as found, _target(target) as made:
        rows = copy_rows(found, made, copying)
        head = made.reading().only(ReadHead, "read_head")
        verifier = _verifier(source, target)
        while (verdict := verifier.step(made.reading())) is None:
            verifying(verifier.seq, head.seq)
        if not verdict.good:
            raise CopyError(f"The copy does not verify from entry {verdict.first_bad} on: {verdict.why}")
        return Copied(rows, head.seq, head.hash)


def is_address(place: str) -> bool:
    """Whether a place is the address of a database, and no folder."""
    return place.startswith(("postgresql://", "postgres://"))


def _verifier(source: str, target: str) -> Verifier:
    """What checks the copy, with the seals of the folder where there is one."""
    folder = next((Path(place) for place in (source, target) if not is_address(place)), None)
    seals = None if folder is None else read_seals(folder)
    if folder is None or seals is None or seals.seal is None:
        return Verifier(None, None)
    return Verifier(seals.seal, find_key(folder), seals.history)


def _context(statements: Mapping[str, str]) -> Context:
    return Context(statements, Settings(), secrets.token_bytes)


@contextlib.contextmanager
def _source(place: str) -> Iterator[Source]:
    if is_address(place):
        from teamroom.server.store.postgres.address import Address
        from teamroom.server.store.postgres.connect import connect_reader, has_room
        from teamroom.server.store.postgres.ends import PostgresSource

        context = _context(postgres_statements())
        with contextlib.closing(connect_reader(Address.parse(place), READ_SECONDS)) as session:
            if not has_room(session):
                raise CopyError(f"There is no room at {Address.parse(place)}")
            if session.execute(context.statements["count_servers"], {"now": wall_clock()}).fetchall()[0][0]:
                raise CopyError("A server has the room open. Stop every server of it first")
            yield PostgresSource(session, context)
        return
    from teamroom.server.store.sqlite.copy import open_to_read
    from teamroom.server.store.sqlite.ends import SqliteSource

    folder = Path(place)
    if not (folder / DATABASE).exists():
        raise CopyError(f"There is no room in {folder}")
    with locked(folder, "copying the room"), contextlib.closing(open_to_read(folder / DATABASE)) as connection:
        yield SqliteSource(connection, _context(sqlite_statements()))


@contextlib.contextmanager
def _target(place: str) -> Iterator[Target]:
    if is_address(place):
        from teamroom.server.store.postgres.address import Address
        from teamroom.server.store.postgres.connect import connect_writer, migrate
        from teamroom.server.store.postgres.ends import PostgresTarget

        context = _context(postgres_statements())
        with contextlib.closing(connect_writer(Address.parse(place), READ_SECONDS)) as session:
            migrate(session, wall_clock())
            if session.execute(context.statements["read_head"], {}).fetchone() is not None:
                raise CopyError(f"There is a room at {Address.parse(place)} already. Name an empty database")
            yield PostgresTarget(session, context)
            session.script(context.statements["commit"])
        return
    from teamroom.server.store.sqlite.connect import connect_writer as connect_file
    from teamroom.server.store.sqlite.connect import migrate as migrate_file
    from teamroom.server.store.sqlite.ends import SqliteTarget

    folder = Path(place)
    make_private(folder)
    if (folder / DATABASE).exists():
        raise CopyError(f"There is a room in {folder} already. Name another folder")
    if find_key(folder) is None:
        raise FolderError(f"{folder} has no {KEY}. Name a copy of the data folder of a server that has the room's key")
    draft, run = folder / COPYING, sqlite_statements()
    with locked(folder, "copying the room"):
        draft.unlink(missing_ok=True)
        os.close(open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            with contextlib.closing(connect_file(draft)) as connection:
                migrate_file(connection, wall_clock())
                yield SqliteTarget(connection, _context(run))
                connection.execute(run["commit"])
                connection.execute(run["checkpoint_and_cut"]).fetchall()
            draft.replace(folder / DATABASE)
        finally:
            for suffix in ("", "-wal", "-shm"):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)
