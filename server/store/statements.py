"""Named SQL and migrations, read from `.sql` files: each statement follows a line `-- name: …`.

What several statements have in common follows a line `-- part: …`, and takes the place of each line `-- use: …`.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from teamroom.server.store.engine import NewerRoomError

HERE = Path(__file__).parent
SHARED = HERE / "sql"
SQLITE = HERE / "sqlite"
POSTGRES = HERE / "postgres"
MIGRATIONS = HERE / "migrations"

EXPANSION = ".expand"
"""The end of the name of a migration next to which servers of the release before it go on, and can start."""

_NAME = re.compile(r"^-- (?P<kind>name|part): (?P<name>[a-z_]+)$", re.MULTILINE)
_USE = re.compile(r"^-- use: (?P<name>[a-z_]+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$\n?", re.MULTILINE)


def read_statements(*folders: Path) -> dict[str, str]:
    """The statements of the folders' files by name; one of a later folder replaces that of an earlier one.

    Raises ValueError if a name is defined twice in a folder, and KeyError if a part is used that no file defines.
    """
    found = {"name": dict[str, str](), "part": dict[str, str]()}
    for folder in folders:
        here = set[str]()
        for path in sorted(folder.glob("*.sql")):
            _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
            for kind, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
                if name in here:
                    raise ValueError(f"{path.name}: the statement {name} is defined twice")
                here.add(name)
                found[kind][name] = text.strip()
    whole = {name: _USE.sub(lambda use: found["part"][use["name"]], text) for name, text in found["name"].items()}
    return {name: _COMMENT.sub("", text).strip().rstrip(";") for name, text in whole.items()}


@cache
def sqlite_statements() -> dict[str, str]:
    """The statements of the SQLite engine: the shared ones, and its own text of those that differ."""
    return read_statements(SHARED, SQLITE)


@cache
def postgres_statements() -> dict[str, str]:
    """The statements of the PostgreSQL engine: the shared ones, and its own text of those that differ."""
    return read_statements(SHARED, POSTGRES)


@cache
def is_select(sql: str) -> bool:
    """Whether a statement only reads."""
    return sql.lstrip().lower().startswith(("select", "with"))


@cache
def known_migrations() -> dict[int, Path]:
    """This release's migrations by number, in order."""
    return {int(path.stem.split("_", 1)[0]): path for path in sorted(MIGRATIONS.glob("*.sql"))}


def is_expansion(name: str) -> bool:
    """Whether a migration only adds what the release before it does not use, as its name promises."""
    return name.endswith(EXPANSION)


def missing_migrations(applied: Mapping[int, str]) -> dict[int, Path]:
    """The migrations that a database still needs, by number, in order. `applied`: the names of those that it has.

    Raises NewerRoomError if a newer release changed what this one uses.
    """
    known = known_migrations()
    if ahead := [number for number in sorted(set(applied) - set(known)) if not is_expansion(applied[number])]:
        raise NewerRoomError(
            f"This room was written by a newer Teamroom (migration {ahead[-1]}; this one knows {max(known)}). "
            "Install that release or a later one; nothing was changed."
        )
    return {number: path for number, path in known.items() if number not in applied}


def split_script(script: str) -> list[str]:
    """The statements of a migration, in order."""
    bare = _COMMENT.sub("", script)
    return [text.strip() for text in bare.split(";\n") if text.strip().rstrip(";")]
