"""An empty database for a room of a benchmark, on the PostgreSQL server that the tests use."""

import contextlib
from collections.abc import Iterator

from tests.support import postgres


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
