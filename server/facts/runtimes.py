"""Where a member runs, as its runtimes report it, and whether two of them run on two hosts at once."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from teamroom.server.facts.member import member_changed
from teamroom.server.facts.reports import show_report
from teamroom.server.rules.runtimes import Seen, Whereabouts, find_two_hosts
from teamroom.server.store.rows.runtimes import OldRuntime, RuntimeRow
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.store.words import hidden_text, is_hidden_text

RUNTIMES_KEPT = 5
"""How many runtimes of a member are known: the newest ones."""

OLD_RUNTIMES = 100
"""How many runtimes one page of a redaction by age deletes."""


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
            **{name: show_report(value) for name, value in asdict(one.where).items()},
            seen=tx.shown(one.seen_at),
            alive=one.is_alive(tx.now),
        )
        for one in found
    ]
    return shown, find_two_hosts(found, tx.now) is not None


def row_of(member: int, one: Seen) -> dict[str, Any]:
    """A runtime of a member as its row."""
    where = one.where
    names = {"host": where.host, "folder": where.folder, "harness": where.harness, "version": where.version}
    checkout = {"branch": where.branch, "revision": where.commit}
    return {"member": member, **names, **checkout, "since": one.since, "at": one.seen_at}


def hide_runtimes(tx: Writing, member: int) -> int:
    """Hide what the runtimes of a member say, because it is redacted; returns how many it hid."""
    hidden = 0
    for one in runtimes_of(tx, member):
        where = Whereabouts(**{name: _hide(value) for name, value in asdict(one.where).items()})
        if where != one.where:
            tx.run("forget_runtime", member=member, host=one.where.host)
            tx.run("note_runtime", **row_of(member, Seen(where, one.since, one.seen_at)))
            hidden += 1
    member_changed(tx, member)
    return hidden


def hide_again(where: Whereabouts, known: Collection[Seen]) -> Whereabouts:
    """A report, with what a redaction has hidden of those that are known."""
    hidden = {value for one in known for value in asdict(one.where).values() if is_hidden_text(value)}
    if not hidden:
        return where
    said = asdict(where)
    return Whereabouts(
        **{name: _hide(said[name]) if hidden_text(said[name]) in hidden else said[name] for name in said}
    )


def _hide(text: str) -> str:
    return hidden_text(text) if text and not is_hidden_text(text) else text


def forget_old_runtimes(tx: Writing, before: float) -> bool:
    """Delete a page of the runtimes that were last seen before a time; returns whether there were any."""
    old = tx.all(OldRuntime, "old_runtimes", before=before, limit=OLD_RUNTIMES)
    for one in old:
        tx.run("forget_runtime", member=one.member, host=one.host)
        member_changed(tx, one.member)
    return bool(old)
