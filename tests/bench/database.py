"""An empty database for a room of a benchmark, on the PostgreSQL server that the tests use."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

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
