"""The names of a member: the one that it has now, and those that it had before it was renamed.

A former name leads to its member wherever a name is expected. Settings and files outside the room may still have it.
"""

from teamroom.server.store.transaction import Reading

FORMER_NAMES = 20
"""How many former names a member may have. Each is reserved for good."""


def former_names(tx: Reading, member: int) -> list[str]:
    """The names that a member had before, the newest first."""
    return tx.column(str, "former_names", member=member, limit=FORMER_NAMES)


def spell_subject(tx: Reading, subject: str) -> list[str]:
    """All ways in which entries of the log name a subject: for a member, under each name that it had."""
    return [subject, *tx.column(str, "former_subjects", subject=subject, limit=FORMER_NAMES)]
