"""The start of a room restored from a backup: a new epoch, in which stopped members stay stopped."""

from typing import Any

from teamroom.server.acts.members.members import DEFAULT_LABEL, issue_token
from teamroom.server.acts.presence.trouble import clear_after_kill
from teamroom.server.acts.tasks.release import release_everything
from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.identity import token_hash
from teamroom.server.record import chain as log
from teamroom.server.record.journal import Journal, StandingChange
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import MemberRow, TokenRow
from teamroom.server.store.rows.restore import FirstOwner
from teamroom.server.store.transaction import Writing

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
        detail={"epoch": old, "backup_at": backup_at, "journal": stops is not None},
    )
    tx.run("void_open_offers", now=tx.now)
    tx.run("note_freed_tasks", seq=seq, member=ROOM_MEMBER, now=tx.now)
    tx.run("free_every_task", seq=seq)
    tx.run("raise_fences", leap=FENCE_LEAP)
    tx.run("forget_every_request")
    tx.run("forget_every_probe")
    tx.run("end_declared_work")
    tx.run("forget_every_notice")
    tx.run("forget_every_letter", now=tx.now)
    if stops is None:
        return []
    ended = sum(tx.run("revoke_by_id", id=token, now=tx.now) for token in sorted(stops.tokens))
    stopped = [line for stop in stops.stops.values() if (line := _stop_again(tx, stop)) is not None]
    if ended:
        stopped.append(f"{ended} tokens stay revoked")
        log.append(tx, ROOM_AUTHOR, act="revoke", subject="room", summary=stopped[-1])
    return stopped


def owner_token(tx: Writing, token: str | None) -> str | None:
    """A new token for the room's first owner; None if the given token is valid in this room."""
    held = None if token is None else tx.one(TokenRow, "token_by_hash", hash=token_hash(token))
    if held is not None and held.revoked_at is None:
        return None
    owner = tx.one(FirstOwner, "first_owner")
    if owner is None:
        return None
    subject = f"@{owner.name}"
    summary = f"{subject} has a new token, because the folder had no valid one"
    log.append(tx, ROOM_AUTHOR, act="enroll", subject=subject, summary=summary)
    return issue_token(tx, owner.id, DEFAULT_LABEL, None)[0]


def _stop_again(tx: Writing, stop: StandingChange) -> str | None:
    """Repeat one stop; returns what changed in words, None if nothing did."""
    target = 0
    if stop.scope != "room":
        member = tx.one(MemberRow, "member_by_name", name=stop.name)
        if member is None:
            return None
        target = member.id
    if tx.only(StandingRow, "standing", scope=stop.scope, target=target).state == stop.state:
        return None
    until = None if stop.until is None else tx.room_time_of(stop.until)
    tx.run(
        "set_standing",
        scope=stop.scope,
        target=target,
        state=stop.state,
        now=tx.now,
        until=until,
        by_member=ROOM_MEMBER,
        by_role=stop.by_role or "room",
        reason="as before the room was restored",
    )
    detail: dict[str, Any] = {}
    if stop.state == "killed":
        tx.run("revoke_tokens", member=target, now=tx.now)
        detail = release_everything(tx, target)
    elif stop.state == "paused":
        tx.run("add_pause", scope=stop.scope, target=target, since=tx.now, until=until)
    subject = {"member": f"@{stop.name}", "owner": f"owner:{stop.name}", "room": "room"}[stop.scope]
    summary = f"{subject} is {stop.state}, as before the room was restored"
    seq = log.append(tx, ROOM_AUTHOR, act="restore", subject=subject, summary=summary, detail=detail)
    if stop.state == "killed":
        clear_after_kill(tx, target, stop.name, seq)
    return summary
