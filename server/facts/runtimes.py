"""Where a member runs, as its runtimes report it, and whether two of them run on two hosts at once."""

from pydantic import BaseModel

from teamroom.server.rules.runtimes import Seen, Whereabouts, find_two_hosts
from teamroom.server.store.rows.runtimes import RuntimeRow
from teamroom.server.store.transaction import Reading

RUNTIMES_KEPT = 5
"""How many runtimes of a member are known: the newest ones."""


class RuntimeShown(BaseModel):
    """A runtime of a member, as it reported itself; '' for what it did not say.

    `folder`: the last part of its path. `seen`: when it was last seen, to some minutes. `alive`: whether that is
    recent.
    """

    host: str
    folder: str
    harness: str
    version: str
    branch: str
    commit: str
    seen: str
    alive: bool


def runtimes_of(tx: Reading, member: int) -> list[Seen]:
    """The runtimes of a member, the newest first."""
    rows = tx.all(RuntimeRow, "runtimes_of", member=member, limit=RUNTIMES_KEPT)
    return [
        Seen(
            Whereabouts(row.host, row.folder, row.harness, row.version, row.branch, row.revision),
            row.since,
            row.seen_at,
        )
        for row in rows
    ]


def show_runtimes(tx: Reading, member: int) -> tuple[list[RuntimeShown], bool]:
    """The runtimes of a member, the newest first, and whether two of them run on two hosts at once."""
    found = runtimes_of(tx, member)
    shown = [
        RuntimeShown(
            host=one.where.host,
            folder=one.where.folder,
            harness=one.where.harness,
            version=one.where.version,
            branch=one.where.branch,
            commit=one.where.commit,
            seen=tx.shown(one.seen_at),
            alive=one.is_alive(tx.now),
        )
        for one in found
    ]
    return shown, find_two_hosts(found, tx.now) is not None
