"""The start of a room restored from a backup: a new epoch, in which stopped members stay stopped."""

from collections.abc import Mapping
from typing import Any

from teamroom.server.acts.control.aftermath import begin_after_kill
from teamroom.server.acts.members.rename import change_name, reserve_name
from teamroom.server.acts.presence.trouble import clear_after_end
from teamroom.server.acts.tasks.release import release
from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.facts.names import former_names
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.record import chain as log
from teamroom.server.record.journal import Journal, StandingChange, is_laxer
from teamroom.server.record.rows import LEAP
from teamroom.server.rules.text import one_line
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.transaction import Writing

EVERYTHING = 1_000_000
"""How much a stop that is repeated frees: nobody waits for a room that is being restored."""

FENCE_LEAP = 1_000_000
"""How much every fence is raised, to exceed any that was given out after the backup."""


def start_new_epoch(tx: Writing, epoch: int, backup_at: WallTime, stops: Journal | None) -> list[str]:
    """Start a new epoch, and repeat the stops since the backup; returns these stops in words.

    `stops` None: the stops since the backup are unknown.
    """
    old = tx.head.epoch
    tx.head.epoch = epoch
    tx.run("begin_epoch", epoch=epoch)
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="restore",
        subject="room",
        summary=f"The room was restored from the backup of {rfc3339(backup_at)}; epoch {epoch} begins",
        detail={"epoch": old, "backup_at": backup_at, "journal": stops is not None, LEAP: FENCE_LEAP},
    )
    _void(tx, seq)
    return [] if stops is None else stop_again(tx, stops)


def accept_log(tx: Writing, what: str, epoch: int, stops: Journal) -> list[str]:
    """Accept the log as it stands, although `what` contradicts it; returns what was stopped again, in words.

    `epoch`: a new one, if the log lost entries that were read, so what was handed out then is void.
    """
    old = tx.head.epoch
    if epoch != old:
        tx.head.epoch = epoch
        tx.run("begin_epoch", epoch=epoch)
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="accept",
        subject="room",
        summary=one_line(f"A person accepted the log as it is, although {what}"),
        detail={"what": what, "epoch": old, **({LEAP: FENCE_LEAP} if epoch != old else {})},
    )
    tx.head.recording_since = None
    tx.run("forget_recording")  # what the log says of rows is accepted as it is, and begins again
    if epoch != old:
        _void(tx, seq)
    return stop_again(tx, stops)


def _void(tx: Writing, seq: int) -> None:
    """Void what was handed out in the epoch that ended."""
    tx.run("void_open_offers", now=tx.now)
    tx.run("note_freed_tasks", seq=seq, member=ROOM_MEMBER, now=tx.now)
    tx.run("free_every_task", seq=seq)
    tx.run("revoke_every_authorisation", now=tx.now, by_member=ROOM_MEMBER, seq=seq)
    tx.run("raise_fences", leap=FENCE_LEAP)
    tx.run("forget_every_request")
    tx.run("forget_every_probe")
    tx.run("end_declared_work")
    tx.run("forget_every_notice")
    tx.run("forget_every_letter", now=tx.now)


def stop_again(tx: Writing, stops: Journal) -> list[str]:
    """Stop whom a journal says was stopped, and end its tokens; returns what changed, in words.

    First, members get the names that the journal knows them by.
    """
    renamed = [line for name in dict.fromkeys(stops.names.values()) if (line := _rename_again(tx, stops, name))]
    ended = sum(tx.run_counted("revoke_by_id", id=token, now=tx.now) for token in sorted(stops.tokens))
    tx.run("watch_tokens_of_all", now=tx.now)
    stopped = [line for stop in stops.stops.values() if (line := _stop_again(tx, stop)) is not None]
    if ended:
        stopped.append(f"{ended} token{'s stay' if ended != 1 else ' stays'} revoked")
        log.append(tx, ROOM_AUTHOR, act="revoke", subject="room", summary=stopped[-1])
    return renamed + stopped


def _rename_again(tx: Writing, stops: Journal, name: str) -> str | None:
    """Give a member the name that it had when the journal was written; returns that in words, None if it has it."""
    spellings = stops.spellings(name)
    found = (tx.one(MemberRow, "member_by_name", name=spelling) for spelling in spellings)
    member = next((row for row in found if row is not None), None)
    if member is None:
        return None
    if member.name != name:
        summary = f"@{member.name} is @{name}, as before the room was restored"
        change_name(tx, ROOM_AUTHOR, member, name, summary)
    else:
        summary = None
    had = {name, *former_names(tx, member.id)}
    for former in (former for former in spellings if former not in had):
        reserve_name(tx, former, member.id, tx.head.seq)
    return summary


def revoke_everything(tx: Writing) -> int:
    """End every token, because the room's key did not sign the backup; returns how many ended."""
    ended = tx.run_counted("revoke_every_token", now=tx.now)
    summary = f"The backup was not signed with the room's key, so {ended} tokens were revoked"
    log.append(tx, ROOM_AUTHOR, act="revoke", subject="room", summary=summary)
    return ended


def _stop_again(tx: Writing, stop: StandingChange) -> str | None:
    """Repeat one stop; returns what changed in words, None if nothing did."""
    target = 0
    if stop.scope != "room":
        member = tx.one(MemberRow, "member_by_name", name=stop.name)
        if member is None:
            return None
        target = member.id
    stored = tx.only(StandingRow, "standing", scope=stop.scope, target=target)
    if stored.state == stop.state and not is_laxer(stored, stop, tx.now):
        return None
    tx.run(
        "set_standing",
        scope=stop.scope,
        target=target,
        state=stop.state,
        now=tx.now,
        until=stop.until,
        by_member=ROOM_MEMBER,
        by_role=stop.by_role or "room",
        reason="as before the room was restored",
    )
    detail: Mapping[str, Any] = {}
    if stop.state == "killed":
        tx.run("revoke_tokens", member=target, now=tx.now)
        detail = release(tx, target, EVERYTHING)
    elif stop.state == "paused":
        tx.run("add_pause", scope=stop.scope, target=target, since=tx.now, until=stop.until)
    subject = {"member": f"@{stop.name}", "owner": f"owner:{stop.name}", "room": "room"}[stop.scope]
    summary = f"{subject} is {stop.state}, as before the room was restored"
    seq = log.append(tx, ROOM_AUTHOR, act="restore", subject=subject, summary=summary, detail=detail)
    if stop.state == "killed":
        clear_after_end(tx, target, f"@{stop.name} was killed", seq)
        begin_after_kill(tx, target)
    return summary
