"""The doctor's look at the PostgreSQL database of a room, where the folder's settings name one."""

import contextlib
import time
from collections.abc import Iterator

from teamroom.clients.local.findings import Finding
from teamroom.clients.session.place import Place
from teamroom.server.settings import SettingsError, load

OLDEST_RELEASE = 140_000
"""The oldest PostgreSQL that the room knows, as it numbers itself."""

SLOW_SECONDS = 0.05
"""An answer that takes longer than this makes every act slow."""


def check_database(place: Place) -> Iterator[Finding]:
    """Check that the database answers, and is one that the room can use. Without a database, there is no finding."""
    try:
        settings = load(place.folder, dict(place.environment))
    except SettingsError:
        return  # which another check says
    if not settings.database.get_secret_value():
        return
    try:
        yield _look(settings.database.get_secret_value())
    except ImportError:
        yield Finding("problem", "database", "psycopg is not installed.", "pip install 'teamroom[postgres]'")


def _look(text: str) -> Finding:
    import psycopg

    from teamroom.server.store.postgres.address import Address, AddressError
    from teamroom.server.store.postgres.connect import connect_reader, has_room

    try:
        address = Address.parse(text)
        with contextlib.closing(connect_reader(address, 2.0)) as session:
            release = session.connection.info.server_version
            encoding = session.script("show server_encoding").fetchall()[0][0]
            began = time.monotonic()
            holds = "it holds a room" if has_room(session) else "it holds no room yet"
            took = time.monotonic() - began
    except AddressError as error:
        return Finding("problem", "database", f"The setting database is no address: {error}.", "Correct it.")
    except psycopg.Error as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return Finding("problem", "database", f"{address} cannot be used: {why}", "Check the address and the server.")
    found = f"PostgreSQL {release // 10_000} at {address} answers in {took * 1000:.0f} ms; {holds}."
    if release < OLDEST_RELEASE or encoding != "UTF8":
        fix = "Use PostgreSQL 14 or later, and a database with the encoding UTF8."
        return Finding("problem", "database", f"{found} Its encoding is {encoding}.", fix)
    if took > SLOW_SECONDS:
        return Finding("warning", "database", found, "Put the server and the database closer together.")
    return Finding("ok", "database", found)
