"""Where a task comes from: the id that it has elsewhere, and the dates that an import brought.

In one room, an id elsewhere belongs to one task for good. A redaction hides the id, and the room still recognises it.
"""

from teamroom.server.store.rows.tasks import OriginRow
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.store.words import hidden_text, is_hidden_text

IMPORT = "import"
"""Who completed a task that was already finished elsewhere. No member has this name."""


def find_origin(tx: Reading, external: str) -> OriginRow | None:
    """The origin of the task that has this id elsewhere, also if a redaction has hidden the id."""
    return tx.one(OriginRow, "origin_named", external=external, hidden=hidden_text(external))


def origin_of(tx: Reading, task: int) -> OriginRow | None:
    """Where a task comes from; None for a task without an id elsewhere."""
    return tx.one(OriginRow, "origin_of", task=task)


def is_hidden(origin: OriginRow) -> bool:
    """Whether a redaction has hidden the id."""
    return is_hidden_text(origin.external)


def hide_origin(tx: Writing, task: int) -> None:
    """Hide the id that a task has elsewhere, because it is redacted."""
    origin = origin_of(tx, task)
    if origin is not None and not is_hidden(origin):
        tx.run("hide_origin", task=task, hidden=hidden_text(origin.external))
