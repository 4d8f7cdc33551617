"""A member that runs on two hosts at once: its owner is told once, until one of the two ends."""

from teamroom.server.facts.reports import show_report
from teamroom.server.facts.runtimes import runtimes_of
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.runtimes import find_two_hosts, say_two_hosts
from teamroom.server.rules.text import one_line
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.transaction import Writing

ACT = "two_hosts"

AGAIN_SECONDS = 3_600.0
"""How soon the owner is told of it again at the earliest: a runtime can report other hosts each time."""


def tell_of_two_hosts(tx: Writing, member: int) -> None:
    """Tell the owner of a member that runs on two hosts at once, unless it was told since both do."""
    found = find_two_hosts(runtimes_of(tx, member), tx.now)
    if found is None:
        return
    row = tx.only(MemberName, "member_by_id", id=member)
    subject, (first, second) = f"@{row.name}", found
    last = tx.value(float, "newest_of_room", act=ACT, room=log.ROOM_MEMBER, subject=subject)
    if last is not None and (last >= max(first.since, second.since) or tx.now - last < AGAIN_SECONDS):
        return
    hosts = [show_report(first.where.host), show_report(second.where.host)]
    line = one_line(say_two_hosts(row.name, *hosts))
    log.append(tx, log.ROOM_AUTHOR, act=ACT, subject=subject, summary=line, detail={"hosts": hosts})
    wake_members(tx, [row.owner], reason="alert", subject=subject, sender=log.ROOM_MEMBER, line=line)
