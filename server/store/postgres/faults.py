"""What PostgreSQL's errors mean for the room: it is busy, cannot be reached, has a full disk, or is damaged."""

import psycopg
from psycopg import errors

from teamroom.server.store.engine import BusyError, DamagedError, DiskFullError, StorageError, UnreachableError

BUSY: tuple[type[Exception], ...] = (
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.TooManyConnections,
    errors.IdleInTransactionSessionTimeout,
)
"""Others hold what is needed, for now."""

DAMAGED: tuple[type[Exception], ...] = (errors.DataCorrupted, errors.IndexCorrupted)

BROKEN_RULES: tuple[type[Exception], ...] = (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError)
"""Errors of a statement that would be the same every time: a fault of ours."""


def is_damage(error: BaseException) -> bool:
    """Whether the database is not what PostgreSQL wrote."""
    return isinstance(error, DAMAGED)


def is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, or could not be made."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not isinstance(
        error, (*BUSY, *DAMAGED, errors.DiskFull)
    )


def as_storage_error(error: Exception, why: str = "") -> StorageError:
    """The error of the contract for a failure of PostgreSQL."""
    if isinstance(error, StorageError):
        return error
    why = why or _in_one_line(error)
    if isinstance(error, BUSY):
        return BusyError(why)
    if isinstance(error, errors.DiskFull):
        return DiskFullError(why)
    if is_damage(error):
        return DamagedError(why)
    if is_lost(error):
        return UnreachableError(why)
    return StorageError(why)


def _in_one_line(error: Exception) -> str:
    """An error's own words, without the server's hints about the statement."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
