"""The address of a PostgreSQL database, whose password is never shown."""

from dataclasses import dataclass
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

LOST_MILLISECONDS = 2000
"""After this long without an answer of the other machine, a connection counts as lost."""

DEFAULTS: dict[str, Any] = {
    "tcp_user_timeout": LOST_MILLISECONDS,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "application_name": "teamroom",
}


class AddressError(ValueError):
    """A text that is no address of a PostgreSQL database."""


@dataclass(frozen=True, repr=False)
class Address:
    """Where a room's database is. Its `str` and `repr` never contain the password."""

    conninfo: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`. Raises AddressError, which does not repeat the text."""
        if not text.startswith(("postgresql://", "postgres://")):
            raise AddressError("it must begin with postgresql://")
        try:
            given = conninfo_to_dict(text)
        except ProgrammingError:
            raise AddressError("it is not of the form postgresql://USER@HOST:PORT/DATABASE") from None
        if any("@" in str(given.get(name) or "") for name in ("host", "dbname")):  # part of a password, shown as these
            raise AddressError("a password with @ or / must have %40 or %2F in its place")
        return cls(make_conninfo(**{**DEFAULTS, **given}))

    def __str__(self) -> str:
        """The address as people see it."""
        given = conninfo_to_dict(self.conninfo)
        user = f"{given['user']}@" if given.get("user") else ""
        port = f":{given['port']}" if given.get("port") else ""
        return f"postgresql://{user}{given.get('host') or 'localhost'}{port}/{given.get('dbname') or ''}"

    def __repr__(self) -> str:
        return f"<Address {self}>"
