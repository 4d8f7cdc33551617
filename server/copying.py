"""Copies a room between engines, verifies the copy, and only then keeps it. Numbers, hashes and fences stay."""

import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from teamroom.server.clock import wall_clock
from teamroom.server.record.chain import Verifier
from teamroom.server.record.keys import find_key
from teamroom.server.record.seal import read_seals
from teamroom.server.settings import Settings
from teamroom.server.store.copying import CopyError, Progress, Source, Target, copy_rows
from teamroom.server.store.folder import DATABASE, KEY, FolderError, make_private
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite import ends as sqlite
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: rows, and the end of the log."""

    rows: int
    seq: int
    hash: str


def copy_room(source: str, target: str, copying: Progress, verifying: Progress) -> Copied:
    """Copy a room; both places are a data folder or the address of a database.

    Raises CopyError, FolderError, NotPrivateError, OSError, StorageError, sqlite3.Error; the target is unchanged then.
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


def _source(place: str) -> AbstractContextManager[Source]:
    if not is_address(place):
        return sqlite.open_source(Path(place), _context(sqlite_statements()))
    from teamroom.server.store.postgres import ends as postgres
    from teamroom.server.store.postgres.address import Address

    return postgres.open_source(Address.parse(place), _context(postgres_statements()))


def _target(place: str) -> AbstractContextManager[Target]:
    if is_address(place):
        from teamroom.server.store.postgres import ends as postgres
        from teamroom.server.store.postgres.address import Address

        return postgres.open_target(Address.parse(place), _context(postgres_statements()), wall_clock())
    folder = Path(place)
    make_private(folder)
    if find_key(folder) is None and not (folder / DATABASE).exists():
        raise FolderError(f"{folder} has no {KEY}. Name a copy of the data folder of a server that has the room's key")
    return sqlite.open_target(folder, _context(sqlite_statements()), wall_clock())
