"""What SQLite's errors mean for the room: a full disk, a damaged file, or something else."""

import sqlite3

from teamroom.server.store.engine import DamagedError, DiskFullError, StorageError

FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""A write that does not fit; a quota and the shared memory of readers say so in words of their own."""

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_full(error: BaseException) -> bool:
    """Whether the disk had no room for what was to be written."""
    return code_of(error) in FULL


def is_damage(error: BaseException) -> bool:
    """Whether the file is not what SQLite wrote. An index of words that is out of step can be built again."""
    code = code_of(error)
    return code & 0xFF in DAMAGED and code != sqlite3.SQLITE_CORRUPT_VTAB


def is_no_text(error: BaseException) -> bool:
    """Whether what stands where a text must be is none. It is Python that finds this, so the error has no code."""
    return isinstance(error, sqlite3.OperationalError) and code_of(error) == 0


def code_of(error: BaseException) -> int:
    """SQLite's extended code of an error; 0 where SQLite gave none."""
    return getattr(error, "sqlite_errorcode", 0) if isinstance(error, sqlite3.Error) else 0


def as_storage_error(error: Exception, why: str = "") -> StorageError:
    """What the store raises for a failure of its engine."""
    if isinstance(error, StorageError):
        return error
    kind = DiskFullError if is_full(error) else DamagedError if is_damage(error) else StorageError
    return kind(why or str(error))
