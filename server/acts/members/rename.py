"""Gives a member another name. It stays the same member, and its former name stays reserved for it.

A former name leads to the member wherever a name is expected: in mentions, arguments, settings and saved files. The log
is never rewritten, so its entries keep the name of their time.
"""

from teamroom.server import topics
from teamroom.server.acts.act import author
from teamroom.server.facts.member import member_changed, no_such_member
from teamroom.server.facts.names import FORMER_NAMES, former_names
from teamroom.server.facts.person import require_person
from teamroom.server.facts.timers import schedule_digest
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Author
from teamroom.server.record.journal import NameChange
from teamroom.server.refusals import Refusal
from teamroom.server.rules.names import RESERVED, find_reserved_word, make_skeleton, normalize_name, tidy_separators
from teamroom.server.store.rows.members import MemberRow, NameAlike
from teamroom.server.store.transaction import Reading, Writing


def rename(tx: Writing, caller: Caller, name: str, new: str) -> tuple[MemberRow, int]:
    """Rename a member; returns it as it was, and the number of the entry. Raises Refusal.

    A room owner renames any member. An operator that is a person renames itself and its own agents. An agent renames
    nobody.
    """
    member = tx.one(MemberRow, "member_by_name", name=name)
    if member is None or member.kind == "room":
        raise no_such_member(tx, name)
    _require_right(caller, member)
    if new == member.name:
        raise Refusal("conflict", f"@{new} has this name already.", "Give another name.", subject=f"@{new}")
    require_distinct_name(tx, new, besides=member.id)
    if len(former_names(tx, member.id)) == FORMER_NAMES and not _had(tx, member, new):
        raise Refusal(
            "too_large",
            f"@{member.name} has {FORMER_NAMES} former names, which is the limit.",
            f"Give it one of them: {', '.join(former_names(tx, member.id))}.",
            subject=f"@{member.name}",
        )
    return member, change_name(tx, author(caller), member, new, f"@{caller.name} renamed @{member.name} to @{new}")


def change_name(tx: Writing, by: Author, member: MemberRow, new: str, summary: str) -> int:
    """Change a member's name and reserve the one before; returns the number of the entry.

    The caller has checked that the name is free.
    """
    detail = {"was": member.name, "name": new}
    seq = log.append(tx, by, act="rename", subject=f"@{new}", summary=summary, detail=detail)
    tx.run("take_name_back", name=new)
    tx.run("change_name", id=member.id, name=new, folded=normalize_name(new), looks=make_skeleton(new))
    reserve_name(tx, member.name, member.id, seq)
    tx.effects.journal.append(NameChange(member.name, new).note)
    member_changed(tx, member.id)
    tx.changed(topics.NAMES)
    if member.kind == "human":
        schedule_digest(tx, member.id, new)
    return seq


def reserve_name(tx: Writing, name: str, member: int, seq: int) -> None:
    """Reserve a name that a member had before."""
    folded, looks = normalize_name(name), make_skeleton(name)
    tx.run("reserve_name", name=name, folded=folded, looks=looks, member=member, seq=seq)


def require_distinct_name(tx: Reading, name: str, besides: int = 0) -> None:
    """Refuse a new name that is reserved, or that looks like a reserved or former name or a member's name (ID5).

    `besides`: the member that is renamed, whose own names it may look like.
    """
    if normalize_name(name) in RESERVED:
        raise Refusal("invalid", f'"{name}" is a reserved name.', "Choose another name.")
    if (tidy := tidy_separators(name)) != name:
        raise Refusal(
            "invalid",
            f"{name} ends in a separator, or has two in a row, so it looks like {tidy}.",
            f"Choose a name with single separators between letters and digits, such as {tidy}.",
        )
    if (word := find_reserved_word(name)) is not None:
        raise Refusal("invalid", f'{name} looks like "{word}", a reserved name.', "Choose another name.")
    near = find_alike(tx, name, besides)
    if near is not None:
        raise Refusal(
            "conflict",
            f"{name} looks like {near.words}.",
            "Choose a name that looks different.",
            subject=f"@{near.now}",
        )


def find_alike(tx: Reading, name: str, besides: int = 0) -> NameAlike | None:
    """A name, present or former, that a name equals or looks like; None if there is none. `besides`: whose are not."""
    folded, looks = normalize_name(name), make_skeleton(name)
    return tx.one(NameAlike, "member_that_looks_like", folded=folded, looks=looks, besides=besides)


def _had(tx: Reading, member: MemberRow, name: str) -> bool:
    """Whether a member had a name before, so that it is reserved already."""
    return name in former_names(tx, member.id)


def _require_right(caller: Caller, member: MemberRow) -> None:
    fix, subject = f"Ask @{member.owner_name} or a room owner.", f"@{member.name}"
    require_person(caller, "An agent does not rename members.", fix, subject)
    if caller.role != "owner" and member.owner != caller.member:
        whose = f"belongs to @{member.owner_name}, not to you" if member.kind == "agent" else "is another person"
        raise Refusal(
            "not_allowed", f"@{member.name} {whose}.", "Ask its owner or a room owner.", subject=f"@{member.name}"
        )
