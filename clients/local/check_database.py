"""The doctor's look at the PostgreSQL database of a room, where the folder's settings name one."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from teamroom.clients.local.findings import Finding
from teamroom.clients.session.place import Place
from teamroom.server.clock import wall_clock
from teamroom.server.policy import SettingsError
from teamroom.server.settings import load

OLDEST_RELEASE = 140_000
"""The oldest PostgreSQL that the room knows, as it numbers itself."""

SERVERS = 64
"""How many servers are shown."""

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
        yield from _look(settings.database.get_secret_value())
    except ImportError:
        yield Finding("problem", "database", "psycopg is not installed.", "pip install 'teamroom[postgres]'")


def _look(text: str) -> list[Finding]:
    import psycopg

    from teamroom.server.store.postgres.address import Address, AddressError
    from teamroom.server.store.postgres.connect import connect_reader

    try:
        address = Address.parse(text)
        with contextlib.closing(connect_reader(address, 2.0)) as session:
            return _judge(address, session)
    except AddressError as error:
        return [Finding("problem", "database", f"The setting database is no address: {error}.", "Correct it.")]
    except psycopg.Error as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return [Finding("problem", "database", f"{address} cannot be used: {why}", "Check the address and the server.")]


def _judge(address: Any, session: Any) -> list[Finding]:
    """What there is to say about a database that answers, and about the servers that have its room open."""
    from teamroom.server.store.postgres.connect import has_room

    release = session.connection.info.server_version
    encoding = session.script("show server_encoding").fetchall()[0][0]
    began = time.monotonic()
    is_room = has_room(session)
    took = time.monotonic() - began
    holds = "it holds a room" if is_room else "it holds no room yet"
    found = f"PostgreSQL {release // 10_000} at {address} answers in {took * 1000:.0f} ms; {holds}."
    if release < OLDEST_RELEASE or encoding != "UTF8":
        fix = "Use PostgreSQL 14 or later, and a database with the encoding UTF8."
        return [Finding("problem", "database", f"{found} Its encoding is {encoding}.", fix)]
    if took > SLOW_SECONDS:
        first = Finding("warning", "database", found, "Put the server and the database closer together.")
    else:
        first = Finding("ok", "database", found)
    return [first, *(_servers(session) if is_room else ())]


def _servers(session: Any) -> list[Finding]:
    """The servers that have the room open, what each does, and how this machine's clock differs from the database's."""
    from teamroom.server.store.statements import postgres_statements
    from teamroom.server.supervisor.servers import LEASE_SECONDS

    run = postgres_statements()
    wall = session.execute(run["wall_clock"], {}).fetchall()[0][0]
    ahead = wall_clock() - wall
    seen = session.execute(run["servers_seen"], {"limit": SERVERS}).fetchall()
    servers = [(name, LEASE_SECONDS + seconds) for name, seconds in seen if seconds < 0]
    duties = [(duty, name) for duty, name, _ in session.execute(run["duties_held"], {}).fetchall() if name]
    clock = Finding("ok", "clock of the database", f"It differs by {abs(ahead):.1f} s from this machine's.")
    if not servers:
        return [Finding("ok", "servers", "No server has the room open."), clock]
    alive = {name for name, _ in servers}
    lines = [
        f"{name} (seen {max(seconds, 0):.1f} s ago)" + "".join(f", {duty}" for duty, holder in duties if holder == name)
        for name, seconds in servers
    ]
    said = f"{len(servers)} {'has' if len(servers) == 1 else 'have'} the room open: {'; '.join(lines)}."
    without = [
        duty for duty, holder in duties if holder not in alive and duty != "supervisor"
    ]  # which is taken at need
    if without:
        fix = "Look again in a few seconds: a server takes over what nobody does."
        return [Finding("warning", "servers", f"{said} Nobody does now: {', '.join(without)}.", fix), clock]
    return [Finding("ok", "servers", said), clock]
