"""Stores the standing of a target, with what follows from it for those whom it binds."""

from dataclasses import asdict

from teamroom.server.facts.standing import standing_changed, stored_standing
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Author
from teamroom.server.record.journal import StandingChange
from teamroom.server.rules.standing import Level
from teamroom.server.store.transaction import Writing

OWNER = "owner"
"""The role that is stored with a pause that only a room owner may lift."""


def set_standing(
    tx: Writing,
    level: Level,
    target: int,
    state: str,
    *,
    until: float | None,
    by_member: int,
    by_role: str,
    reason: str,
) -> None:
    """Store the standing of a target. Raises RuntimeError if none is stored for it: a fault of ours."""
    changed = tx.run_counted(
        "set_standing",
        scope=level,
        target=target,
        state=state,
        now=tx.now,
        until=until,
        by_member=by_member,
        by_role=by_role,
        reason=reason,
    )
    if changed != 1:
        raise RuntimeError(f"no standing is stored for {level} {target}")
    standing_changed(tx, level, target)


def pause_agents_of(tx: Writing, person: int, name: str, by: Author, is_mended: bool = False) -> None:
    """Pause all agents of a killed person without an end: nobody is accountable for them now.

    A pause without an end stays as it is. The new pause leaves an entry if the person has agents, and always where the
    room `is_mended`, because that leaves no other.
    """
    stored, reason = stored_standing(tx, "owner", person), f"@{name} was killed"
    if stored.state == "paused" and stored.until is None:
        return
    if is_mended or tx.value(int, "owns_agent", owner=person) is not None:
        summary = f"All agents of @{name} are paused, because {reason}"
        log.append(tx, by, act="pause", subject=f"owner:{name}", summary=summary, detail={"reason": reason})
    set_standing(tx, "owner", person, "paused", until=None, by_member=by.member, by_role=OWNER, reason=reason)
    tx.run("end_pauses", scope="owner", target=person, now=tx.now)
    tx.run("add_pause", scope="owner", target=person, since=tx.now, until=None)
    tx.effects.journal.append(asdict(StandingChange("owner", name, "paused", None, OWNER, tx.head.seq)))
    tx.effects.ended.update(tx.column(int, "agents_of", owner=person))
