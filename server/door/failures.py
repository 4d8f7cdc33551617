"""What a caller is told when the store cannot carry out its call: why, and what to do."""

import logging
from collections.abc import Callable

from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import (
    BusyError,
    DamagedError,
    DiskFullError,
    OutcomeUnknownError,
    StorageError,
    TooLargeError,
    UnreachableError,
)

logger = logging.getLogger("teamroom.door")

UNREACHABLE_SECONDS = 5
"""After how long to retry if the database does not answer."""

DAMAGED_SECONDS = 600
"""After how long to retry if a person must restore the room first."""


def storage_refusal(error: StorageError, restore_command: Callable[[], str]) -> Refusal:
    """The refusal for a failure of the store, with what to do about it."""
    if isinstance(error, TooLargeError):
        return too_large("this call", error)
    if isinstance(error, DiskFullError):
        return Refusal(
            "storage",
            f"The room's disk is full ({error}).",
            "Nothing was changed. Only reads, pause, resume, kill and revoke work. Tell your owner to free space "
            "on that disk, and call again later.",
            retry_after_seconds=30,
        )
    if isinstance(error, DamagedError):
        return Refusal(
            "storage",
            f"The room's database is damaged, so the room is read-only: {error}.",
            f"Nothing was changed. Tell your owner: {restore_command()}",
            retry_after_seconds=DAMAGED_SECONDS,
        )
    if isinstance(error, BusyError):
        return Refusal(
            "busy",
            f"The room's database is busy: {error}.",
            "Nothing was changed. Call again in a second.",
            retry_after_seconds=1,
        )
    if isinstance(error, OutcomeUnknownError):
        return Refusal(
            "storage",
            "The connection to the room's database was lost while this was saved; it may have been carried out.",
            "Make exactly the same call again: you get the first result if there is one.",
            retry_after_seconds=UNREACHABLE_SECONDS,
        )
    if isinstance(error, UnreachableError):
        return Refusal(
            "storage",
            f"The room's database does not answer: {error}.",
            f"Nothing was changed. Call again in {UNREACHABLE_SECONDS} s; the room comes back automatically.",
            retry_after_seconds=UNREACHABLE_SECONDS,
        )
    logger.error("the store failed: %s", error)
    return Refusal(
        "storage",
        "The room cannot read or write its disk.",
        "Nothing was changed. Tell your owner to run `teamroom doctor`, and call again later.",
        retry_after_seconds=30,
    )


def too_large(what: str, error: TooLargeError) -> Refusal:
    """The refusal of a call for which the store would have to look at too much."""
    return Refusal(
        "too_large",
        f"The room would have to look at too much for {what}: {error}.",
        "Nothing was changed. Call again with less: fewer dependencies, addressees or items, or a smaller page.",
    )
