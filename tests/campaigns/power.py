"""A disk in memory whose power can be cut, and the room's writer on it.

What was written and not yet synced may then be there, in part or not at all: each write of its own, in any order,
torn at sectors of 512 bytes. The writer, its statements and its pragmas are the room's own; only the connection is
another one (apsw), because Python's sqlite3 cannot be given a file system. apsw's files have no memory to share
between processes, so the connection is the only one (`locking_mode = exclusive`): the index of the write-ahead log
lies in its own memory. That index is never synced anyway.
"""

import contextlib
import random
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw

from teamroom.server.rules.search import index_words

SECTOR_BYTES = 512
LUCK = ((0.0, 0.0), (0.4, 0.7), (0.4, 0.7), (0.95, 1.0), (1.0, 1.0))
"""One for each cut: the chance that a write which was not synced survives, and up to which it is torn, else gone."""


class PowerCutError(Exception):
    """There is no power."""


@dataclass(frozen=True, slots=True)
class Change:
    """A write, or a cut of the file where there is nothing to write."""

    offset: int
    data: bytes | None

    def apply(self, to: bytearray) -> None:
        """Change the file's bytes."""
        if self.data is None:
            del to[self.offset :]
            return
        if len(to) < self.offset:
            to.extend(bytes(self.offset - len(to)))
        to[self.offset : self.offset + len(self.data)] = self.data

    def torn(self, dice: random.Random) -> "list[Change]":
        """Some of this write's sectors."""
        if self.data is None:
            return []
        edges = [0, *range(SECTOR_BYTES - self.offset % SECTOR_BYTES, len(self.data), SECTOR_BYTES), len(self.data)]
        parts = [Change(self.offset + a, self.data[a:b]) for a, b in pairwise(edges)]
        return [part for part in parts if dice.random() < 0.5]


@dataclass(slots=True)
class File:
    """What a file holds for who reads it, and what of that is sure."""

    seen: bytearray = field(default_factory=bytearray)
    synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        """Write, and not yet for sure."""
        change.apply(self.seen)
        self.pending.append(change)

    def sync(self) -> None:
        """Make all of it sure."""
        for change in self.pending:
            change.apply(self.synced)
        self.pending.clear()

    def survives(self, luck: tuple[float, float], dice: random.Random) -> bytes:
        """What is there after a power cut."""
        left = bytearray(self.synced)
        for change in self.pending:
            chance = dice.random()
            for part in [change] if chance < luck[0] else change.torn(dice) if chance < luck[1] else []:
                part.apply(left)
        return bytes(left)


class Disk:
    """Files by name. Its power goes at the n-th operation that would change something, or at the n-th sync."""

    def __init__(
        self, folder: Path, names: tuple[str, ...], cut_at: int, is_at_sync: bool, dice: random.Random
    ) -> None:
        self.files: dict[str, File] = {}
        self._left, self._is_at_sync, self._dice = cut_at, is_at_sync, dice
        self.cut_in = ""
        self.survived: dict[str, bytes] = {}
        for name in names:
            if (folder / name).exists():
                content = (folder / name).read_bytes()
                self.files[name] = File(bytearray(content), bytearray(content))

    def use_power(self, what: str, is_sync: bool = False) -> None:
        """One more operation. Raises PowerCutError from the moment on at which the power is cut."""
        self._left -= is_sync or not self._is_at_sync
        if self._left <= 0 and not self.cut_in:
            self.cut_in = what
            luck = self._dice.choice(LUCK)
            self.survived = {name: file.survives(luck, self._dice) for name, file in self.files.items()}
        if self.cut_in:
            raise PowerCutError


class Handle:
    """An open file, as SQLite uses one."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self._name = disk, name
        self._file = disk.files.setdefault(name, File())
        self._kind = "write-ahead log" if name.endswith("-wal") else "database"

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._file.change(Change(offset, bytes(data)))
        self._disk.use_power(f"a write to the {self._kind}")

    def xTruncate(self, size: int) -> None:
        self._file.change(Change(size, None))
        self._disk.use_power(f"a cut of the {self._kind}")

    def xSync(self, flags: int) -> None:
        self._disk.use_power(f"a sync of the {self._kind}", is_sync=True)
        self._file.sync()

    def xFileSize(self) -> int:
        return len(self._file.seen)

    def xClose(self) -> None:
        """Nothing is done at a close."""

    def xLock(self, level: int) -> None:
        """Nobody else has the disk."""

    def xUnlock(self, level: int) -> None:
        """Nobody else has the disk."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        """As SQLite takes every disk of Linux: a torn write spoils nothing beside it."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE


class FileSystem(apsw.VFS):
    """The disk for SQLite, by a name of its own."""

    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, "")
        self._disk = disk

    def xFullPathname(self, name: str) -> str:
        return name

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        flags[1] = flags[0]
        return Handle(self._disk, filename or f"temporary {len(self._disk.files)}")

    def xDelete(self, name: str, sync: bool) -> None:
        self._disk.use_power("a deletion")
        self._disk.files.pop(name, None)

    def xAccess(self, name: str, flags: int) -> bool:
        return name in self._disk.files


class Row(tuple[Any, ...]):
    """A row by names, too, as the room's own connections give it."""

    names: tuple[str, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """The names of its columns."""
        return list(self.names)


class Rows:
    """What a statement brought."""

    def __init__(self, rows: list[Row], changed: int) -> None:
        self._rows, self.rowcount = iter(rows), changed
        self.description = [(name,) for name in rows[0].names] if rows else None

    def fetchone(self) -> Row | None:
        """The next row, or None."""
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        """All that are left."""
        return list(self._rows)


class Connection:
    """An apsw connection in the shape of Python's own, with its errors."""

    def __init__(self, disk: Disk, name: str, statements: Mapping[str, str], without: str = "") -> None:
        self._vfs = FileSystem(f"disk-{id(disk)}", disk)
        self._connection = apsw.Connection(name, vfs=f"disk-{id(disk)}")
        self._connection.set_row_trace(_row)
        self._connection.create_scalar_function("index_words", index_words, 1, deterministic=True)
        self.execute("pragma locking_mode = exclusive")
        for pragma in ("write_ahead", "durable", "foreign_keys", "overwrite_deleted", "no_automatic_checkpoint"):
            self.execute(statements[pragma])
        if without == "durable":
            self.execute("pragma synchronous = normal")

    def execute(self, sql: str, parameters: Mapping[str, Any] | tuple[Any, ...] = ()) -> Rows:
        """Run a statement to its end. Raises what sqlite3 raises."""
        try:
            rows = self._connection.execute(sql, parameters).fetchall()
        except apsw.ConstraintError as error:
            raise sqlite3.IntegrityError(str(error)) from error
        except (apsw.Error, PowerCutError) as error:
            raise sqlite3.OperationalError(str(error)) from error
        return Rows(rows, self._connection.changes())

    def set_progress_handler(self, handler: Any, steps: int) -> None:
        """No act reads too much here."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        """How many rows were changed."""
        return self._connection.total_changes()

    def close(self) -> None:
        """Close, as far as there is power for it."""
        with contextlib.suppress(apsw.Error, PowerCutError):
            self._connection.close()


def _row(cursor: apsw.Cursor, values: tuple[Any, ...]) -> Row:
    names = tuple(column[0] for column in cursor.get_description())
    row = Row(values)
    row.names = names
    return row
