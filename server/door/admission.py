"""Whether a caller may act now, and what every act does besides itself: inside the act's own transaction."""

from typing import Any

from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct
from teamroom.server.acts.presence.trouble import clear_suspicion
from teamroom.server.door.principal import Heard, caller_of, find_principal, is_live, is_stale, touch
from teamroom.server.facts.mentions import list_new_names, list_not_reached
from teamroom.server.facts.roles import Roles
from teamroom.server.facts.standing import is_killed, require_active
from teamroom.server.facts.steps import note_acted
from teamroom.server.facts.wakes import measure_answers, waiting_now
from teamroom.server.identity import Caller, CallingListener
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.store.rows.members import Principal
from teamroom.server.store.transaction import Reading, Writing


def admit(tx: Writing, caller: Caller, roles: Roles, while_paused: bool, listener: Heard | None = None) -> Caller:
    """The caller as the store knows it now, if it may act. Records that it called. Raises Refusal."""
    row = require_permitted(tx, caller, roles, while_paused)
    tx.listener = None if listener is None else CallingListener(listener.name, listener.is_newest)
    newest = listener if listener is not None and listener.is_newest else None
    if is_stale(tx, row, newest):
        touch(tx, caller, row, newest)
    return caller_of(row)


def carry_out(tx: Writing, caller: Caller, act: AnyAct, arguments: BaseModel) -> Any:
    """Run an act. A new receipt clears a suspicion of the caller, if the act counts as evidence."""
    trouble = tx.principal.trouble
    new_names = list_new_names(tx, arguments)
    reply = act.run(tx, caller, arguments)
    if reply.replayed is None:
        if not_reached := list_not_reached(tx, caller, arguments, reply):
            reply.not_reached = not_reached
        if new_names:
            reply.new_names = new_names
    is_new = reply.receipt is not None and reply.replayed is None
    if is_new:
        reply.head = log.head_of(tx)
    if is_new and _was_handed(tx) and act.is_evidence(reply):
        note_acted(tx, caller.member, tx.principal.acted, max(tx.principal.seen, tx.principal.woken))
    if is_new and (trouble in ("suspect", "zombie") or _was_woken(tx)) and act.is_evidence(reply):
        if _was_woken(tx):
            measure_answers(tx, caller)
        if trouble in ("suspect", "zombie"):
            clear_suspicion(tx, caller)
    tx.end()
    return reply


def with_waiting(tx: Writing, caller: Caller, act: AnyAct, reply: Any) -> Any:
    """The reply, with what waits for an agent: in the middle of its work, it may not check in for hours."""
    if caller.kind == "agent" and not act.shows_wakes and tx.principal.has_wakes:
        reply.waiting = waiting_now(tx, caller.member, tx.principal.acknowledged)
    return reply


def _was_woken(tx: Writing) -> bool:
    """Whether the caller itself acts, and was shown wakes since its last act, so that this act answers them."""
    return tx.listener is None and tx.principal.seen > tx.principal.acted


def _was_handed(tx: Writing) -> bool:
    """Whether the caller itself acts, after it was shown wakes or a harness of it was started with them."""
    row = tx.principal
    return tx.listener is None and max(row.seen, row.woken) > row.acted


def require_permitted(tx: Reading, caller: Caller, roles: Roles, while_paused: bool) -> Principal:
    """The caller's row, if it may act now and has one of the roles. Raises Refusal."""
    row = tx.caller_row = find_principal(tx, caller)
    if row is None or (not is_killed(row) and not is_live(row, tx.now)):
        raise Refusal(
            "not_allowed", "Your token was revoked or has expired.", "Ask your owner for a new one, then call again."
        )
    require_active(tx, row, while_paused=while_paused)
    if row.role not in roles:
        raise Refusal(
            "not_allowed",
            f"Your role is {row.role}; this call needs {' or '.join(sorted(roles))}.",
            "Ask an operator or a room owner to do it.",
        )
    return row
