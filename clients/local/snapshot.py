"""Reads of a room's database from outside its server."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from teamroom.clients.session.failure import Failure
from teamroom.server.clock import RoomClock, WallTime, wall_clock
from teamroom.server.policy import SettingsError
from teamroom.server.setting_values import without_password
from teamroom.server.settings import Settings, load
from teamroom.server.store.engine import StorageError
from teamroom.server.store.folder import DATABASE, KEY
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.connect import check_database, saved_clock
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context, Reading


@contextmanager
def snapshot(folder: Path, settings: Settings | None = None) -> Iterator[Reading]:
    """Open a read-only snapshot of the folder's room, in a file or in PostgreSQL. It writes nothing.

    Raises Failure if the room cannot be read, NotPrivateError if its file is another user's.
    """
    found = settings or settings_of(folder)
    in_database = bool(found.database.get_secret_value())
    with _in_postgres(found) if in_database else _in_file(folder, found) as tx:
        if tx.one(ReadHead, "read_head") is None:
            place = f"The database at {without_password(found.database)}" if in_database else folder / DATABASE
            raise Failure(f"{place} contains no room yet.", "Its first start did not finish. Run `teamroom up` again.")
        yield tx


def settings_of(folder: Path) -> Settings:
    """The settings of a folder; the defaults if they are wrong, which `teamroom doctor` says."""
    try:
        return load(folder)
    except SettingsError:
        return Settings()


def require_file(folder: Path, else_run: str = "") -> None:
    """Refuse to go on without a room in a file. `else_run`: what to do with one in PostgreSQL. Raises Failure."""
    settings = settings_of(folder)
    if settings.database.get_secret_value():
        raise Failure(f"The room is in PostgreSQL, at {without_password(settings.database)}.", else_run)
    if (folder / DATABASE).exists():
        return
    if (folder / KEY).exists():
        raise Failure(
            f"{folder} has a room's key, and no room.",
            "Name its database in TEAMROOM_DATABASE if it is in PostgreSQL. If not, put back a copy of the folder.",
        )
    raise Failure(f"There is no room in {folder}.", "Name its folder with --data, or create a room: `teamroom up`")


@contextmanager
def _in_file(folder: Path, settings: Settings) -> Iterator[Reading]:
    """A snapshot of the folder's file, without even a checkpoint."""
    path, run = folder / DATABASE, sqlite_statements()
    check_database(path)
    require_file(folder)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute(run["temporary_in_memory"])
            connection.execute(run["begin_read"])
            clock = saved_clock(connection, wall_clock)
            yield Reading(connection, Context(run, settings, secrets.token_bytes, clock))
    except sqlite3.Error as error:
        raise Failure(f"{path} cannot be read: {error}.", "Put back a readable copy of the folder.") from None


@contextmanager
def _in_postgres(settings: Settings) -> Iterator[Reading]:
    try:
        from teamroom.server.store.postgres.address import Address
        from teamroom.server.store.postgres.stopped import reading
    except ImportError:
        raise Failure("A room in PostgreSQL needs psycopg.", "pip install 'teamroom[postgres]'") from None

    def context(clock: RoomClock) -> Context:
        return Context(postgres_statements(), settings, secrets.token_bytes, clock)

    where = without_password(settings.database)
    try:
        with reading(Address.parse(settings.database.get_secret_value()), WallTime(wall_clock()), context) as tx:
            yield tx
    except (StorageError, ValueError) as error:
        raise Failure(f"The room at {where} cannot be read: {error}.", "Check the address and the database.") from None
