"""Receipts of refusals. Equal refusals share one receipt with a count (LOG2)."""

from teamroom.server.acts.act import author
from teamroom.server.door.principal import find_principal, is_live, is_stale, touch
from teamroom.server.facts.ids import parse
from teamroom.server.facts.standing import is_killed
from teamroom.server.identity import Caller
from teamroom.server.policy import POLICY
from teamroom.server.record import chain
from teamroom.server.refusals import Refusal
from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.store.rows.control import RefusalRow
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.transaction import Reading, Writing

HOUR_SECONDS = 3_600.0

CLOSED_REFUSALS = 8
"""The most windows of counted refusals that one refusal closes."""


def record_refusal(tx: Writing, caller: Caller, act: str, refusal: Refusal) -> int | None:
    """Leave the receipt of a refusal; equal ones within `refusal_window_seconds` are only counted (LOG2).

    Returns the number of the receipt; None if the member has left too many. A refused call still shows that the member
    is connected.
    """
    row = find_principal(tx, caller)
    if row is not None and not is_killed(row) and is_live(row, tx.now) and is_stale(tx, row):
        touch(tx, caller, row)
    _close_windows(tx, caller)
    subject = _without_words(tx, refusal.subject)
    key = {"member": caller.member, "act": act, "code": refusal.code, "subject": subject}
    if (window := tx.one(RefusalRow, "refusal", **key)) is not None:
        tx.run("count_refusal", **key)
        return int(window.seq)
    nth = tx.value(float, "nth_newest_refusal", member=caller.member, offset=tx.settings.refusals_per_hour - 1)
    if seconds_until_free(nth, HOUR_SECONDS, tx.now) > 0:
        return None
    seq = chain.append(
        tx,
        author(caller),
        act=act,
        subject=subject,
        outcome="refused",
        summary=f"@{caller.name} was refused {act} ({refusal.code})",
        detail={"code": refusal.code, "why": refusal.why},
    )
    tx.run("open_refusal", **key, now=tx.now, seq=seq)
    return seq


def _without_words(tx: Reading, subject: str) -> str:
    """A refusal's subject if it names something of the room, else "".

    A subject cannot be redacted, and a refused call can name anything. The detail of the entry says what it named.
    """
    if subject in NAMED or parse(subject) is not None or (subject.isascii() and subject.isdigit()):
        return subject
    kind, _, name = subject.rpartition(":") if ":" in subject else subject.rpartition("@")
    if kind == "policy":
        return subject if name in POLICY else ""
    is_of_member = kind == "owner" or subject.startswith("@")
    row = tx.one(MemberRow, "member_by_name", name=name) if is_of_member else None
    return "" if row is None else subject.removesuffix(name) + row.name


NAMED = ("", "room", "policy", "ask", "alert")
"""Subjects of refusals that are no ids. The last two are the kinds of message that are limited."""


def _close_windows(tx: Writing, caller: Caller) -> None:
    before = tx.now - tx.settings.refusal_window_seconds
    for window in tx.all(RefusalRow, "stale_refusals", member=caller.member, before=before, limit=CLOSED_REFUSALS):
        act, code, subject = window.act, window.code, window.subject
        tx.run("close_refusal", member=caller.member, act=act, code=code, subject=subject)
        if window.repeats:
            chain.append(
                tx,
                author(caller),
                act=act,
                subject=subject,
                outcome="refused",
                summary=f"@{caller.name} was refused {act} ({code}) {window.repeats} more times",
                detail={"code": code, "first": window.seq, "repeats": window.repeats},
            )
