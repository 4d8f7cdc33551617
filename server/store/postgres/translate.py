"""The one place in which the texts of statements become PostgreSQL's own: its placeholders, keys and texts.

A parameter whose name ends in `__query` is another one, an expression of `rules/search.py`, as a `tsquery`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from psycopg import DataError

from teamroom.server.store.postgres.words import as_query

_MAKES_COLUMNS = re.compile(r"(create|alter)\s+table\b", re.IGNORECASE)
_TEXT_COLUMN = re.compile(r"\b(\w+) text\b")
_PARAMETER = re.compile(r"'[^']*'|(?<!:):([a-z_]+)")

QUERY = "__query"
"""The end of the name of a parameter that stands for another one as a `tsquery`."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement with PostgreSQL's placeholders, and how the values of these are found."""

    text: bytes
    names: tuple[str, ...]
    searches: frozenset[str]
    """Those of the names that stand for another parameter as a `tsquery`."""

    def encoded(self, parameters: Mapping[str, Any]) -> list[bytes | None]:
        """The values of the placeholders. Raises KeyError, and DataError for what no text of PostgreSQL can hold."""
        if self.searches:
            sources = {name: name.removesuffix(QUERY) for name in self.searches}
            parameters = {**parameters, **{name: as_query(parameters[source]) for name, source in sources.items()}}
        return [encode(parameters[name]) for name in self.names]


@cache
def translate(sql: str) -> Translated:
    """A statement for PostgreSQL."""
    names: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        return f"${names.setdefault(found[1], len(names) + 1)}"

    text = _PARAMETER.sub(place, sql)
    return Translated(text.encode(), tuple(names), frozenset(name for name in names if name.endswith(QUERY)))


def as_schema(sql: str) -> str:
    """A statement of a migration for PostgreSQL: keys have 64 bits and texts are compared by byte, as in SQLite."""
    if _MAKES_COLUMNS.match(sql) is None:
        return sql
    return _TEXT_COLUMN.sub(r'\1 text collate "C"', sql.replace("integer primary key", "bigint primary key"))


def encode(value: Any) -> bytes | None:
    """A value in PostgreSQL's text form. It has no type, so that each statement decides, as it does in SQLite."""
    if isinstance(value, str):
        if "\0" in value:
            raise DataError("a text holds the character NUL")
        return value.encode()
    if value is None:
        return None
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return repr(value).encode()
