"""The caller's row with its token, role and standing. Each transaction reads it, and nothing caches it."""

from dataclasses import dataclass
from typing import Any

from teamroom.server.acts.presence.trouble import end_run, note_return
from teamroom.server.acts.presence.wakes import note_ended_run
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.standing import state_of
from teamroom.server.facts.steps import Delivery, note_notified, note_woken
from teamroom.server.facts.timers import check_presence_by
from teamroom.server.identity import Caller
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.rules.runs import RunReport
from teamroom.server.rules.wakes import EndedRun
from teamroom.server.store.rows.members import Principal, RunRow, TokenRow
from teamroom.server.store.transaction import Reading, Writing


@dataclass(frozen=True, slots=True)
class Heard:
    """What a listener of a member says with a call: its run, or that none is on. Only the newest one counts.

    `woke`: up to which number its wakes were handed to a harness that started. `ended`: how its last run ended.
    `given`: the wakes that it was given and that nobody has written down yet.
    """

    run: RunReport | None
    name: str = ""
    is_newest: bool = True
    woke: int | None = None
    ended: EndedRun | None = None
    given: tuple[Delivery, ...] = ()

    @property
    def has_steps(self) -> bool:
        """Whether it says something of its wakes."""
        return self.woke is not None or self.ended is not None


def find_principal(tx: Reading, caller: Caller) -> Principal | None:
    """The row behind a caller's token, as it is in this transaction."""
    return tx.one(Principal, "principal", token=caller.token_id)


def caller_of(row: Principal | TokenRow) -> Caller:
    """The caller that a row describes."""
    return Caller(
        token_id=row.token,
        token_label=row.label,
        member=row.member,
        name=row.name,
        kind=row.kind,
        role=row.role,
        owner=row.owner,
        owner_name=row.owner_name,
        token_kind=row.token_kind,
    )


def is_live(row: Principal | TokenRow, now: float) -> bool:
    """Whether a token is in force: not revoked, and not expired."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def is_stale(tx: Reading, row: Principal, listener: Heard | None = None) -> bool:
    """Whether presence is due to be written: at most once in `presence_write_seconds`, so reads stay reads."""
    return not _is_written(tx, row.last_call_at) or _returns(tx, row) or _has_news(tx, row, listener)


def touch(tx: Writing, caller: Caller, row: Principal, listener: Heard | None = None) -> None:
    """Record that a member called. A call during a pause proves nothing more: a member that was gone stays gone."""
    gap = tx.settings.connected_intervals * (interval_seconds(row.mode, tx.settings) or 0.0)
    called = {"member": caller.member, "now": tx.now, "gap_before": tx.now - gap}
    is_active = state_of(row, tx.now) == "active"
    if is_active and listener is not None and listener.run is not None:
        _touch_run(tx, row, listener.run, called)
    else:
        tx.run("touch_presence", **called)
    if is_active and listener is not None and listener.run is None and _run_is_on(row):
        end_run(tx, caller, tx.only(RunRow, "run", member=caller.member))
    if is_active and listener is not None and listener.has_steps:
        note_steps(tx, caller, listener)
    returns = _returns(tx, row)
    if row.last_call_at is None or returns:
        note_return(tx, caller, row.mode, "gone" if returns else None)


def note_steps(tx: Writing, caller: Caller, listener: Heard) -> None:
    """Record what a member's newest listener says of its wakes. The caller may act now."""
    for delivery in listener.given:
        note_notified(tx, delivery)
    if listener.woke is not None:
        note_woken(tx, caller, listener.name, min(listener.woke, tx.head.seq))
    if listener.ended is not None:
        note_ended_run(tx, caller, listener.ended)


def _touch_run(tx: Writing, row: Principal, run: RunReport, called: dict[str, Any]) -> None:
    """Record a call that reports a run.

    Of a run that the room had not heard of, it believes no more than `run_still_seconds`: its listener reports a run
    when it begins.
    """
    known = tx.only(RunRow, "run", member=row.member)
    is_same = _run_is_on(row) and known.run_since is not None and run.began_seconds_ago >= known.run_seconds
    since = known.run_since if is_same else None
    if since is None:
        since = tx.now - min(run.began_seconds_ago, tx.settings.run_still_seconds)
        member_changed(tx, row.member)
        check_presence_by(tx, row.member, since + tx.settings.run_still_seconds)
    elif not _is_heard(tx, known.run_heard_at):
        check_presence_by(tx, row.member, tx.now)  # it may have stood still meanwhile
    seconds = min(run.began_seconds_ago, tx.now - since)
    moved_at = max(tx.now - run.moved_seconds_ago, since)
    tx.run("touch_run", **called, since=since, seconds=seconds, moved_at=moved_at)


def _run_is_on(row: Principal) -> bool:
    return row.run_heard_at is not None and row.run_ended_at is None


def _is_heard(tx: Reading, at: float | None) -> bool:
    """Whether the room still counts on what a listener said at a time; see `Run.is_on`."""
    heard_seconds = tx.settings.connected_intervals * tx.settings.live_interval_seconds
    return at is not None and tx.now - at < heard_seconds


def _is_written(tx: Reading, at: float | None) -> bool:
    return at is not None and 0 <= tx.now - at < tx.settings.presence_write_seconds


def _has_news(tx: Reading, row: Principal, listener: Heard | None) -> bool:
    """Whether a listener reports that a run began, ended, or goes on."""
    if listener is None or state_of(row, tx.now) != "active":
        return False
    if listener.has_steps:
        return True
    if listener.run is None or not _run_is_on(row):
        return (listener.run is not None) != _run_is_on(row)
    return not _is_written(tx, row.run_heard_at)


def _returns(tx: Reading, row: Principal) -> bool:
    return row.trouble == "gone" and state_of(row, tx.now) == "active"
