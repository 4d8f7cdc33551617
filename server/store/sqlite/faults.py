"""What SQLite's errors mean for the room: a full disk, a damaged file, or another failure."""

import sqlite3

from teamroom.server.store.engine import DamagedError, DiskFullError, StorageError

FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""The codes of a write that does not fit. A quota and the readers' shared memory have their own."""

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_full(error: BaseException) -> bool:
    """Whether the disk had no space for a write."""
    return code_of(error) in FULL


def is_damage(error: BaseException) -> bool:
    """Whether the file is not what SQLite wrote. A stale search index does not count, because it can be rebuilt."""
    code = code_of(error)
    return code & 0xFF in DAMAGED and code != sqlite3.SQLITE_CORRUPT_VTAB


def is_no_text(error: BaseException) -> bool:
    """Whether a text column holds bytes that are not text. Python finds this, so the error has no code."""
    return isinstance(error, sqlite3.OperationalError) and code_of(error) == 0


def code_of(error: BaseException) -> int:
    """SQLite's extended code of an error; 0 if it has none."""
    return getattr(error, "sqlite_errorcode", 0) if isinstance(error, sqlite3.Error) else 0


def as_storage_error(error: Exception, why: str = "") -> StorageError:
    """The error of the contract for a failure of SQLite."""
    if isinstance(error, StorageError):
        return error
    kind = DiskFullError if is_full(error) else DamagedError if is_damage(error) else StorageError
    return kind(why or str(error))
