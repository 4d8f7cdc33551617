"""Repeated calls: a call with a known request id gets its first reply again (LOG4)."""

import hashlib
from typing import Any, NamedTuple

from teamroom.server.acts.act import AnyAct, Reply
from teamroom.server.facts.timers import Timer, postpone, schedule
from teamroom.server.identity import Caller
from teamroom.server.record.chain import ROOM_MEMBER
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import cite
from teamroom.server.store.rows.control import RequestRow
from teamroom.server.store.transaction import Writing
from teamroom.server.store.words import hidden_key

FORGET = "forget"
"""The rule of the timer of remembered calls whose time is over."""

FORGET_AT_ONCE, FORGET_SECONDS = 500, 5.0
"""How many remembered calls are forgotten at once, and the seconds between two looks for more."""

FORGET_IDLE_SECONDS = 300.0
"""When no call is remembered, the duty looks again after this long."""


class Repeat(NamedTuple):
    """The key under which a call is remembered: its request id, or the call itself if equal calls count as one."""

    key: str
    arguments: str
    request_id: str | None


def repeat_of(act: AnyAct, sent: bytes, request_id: str | None) -> Repeat | None:
    """The key under which a call is remembered; None for an act whose equal calls are separate calls.

    `sent`: its arguments, as JSON.
    """
    if request_id is None and not act.repeats:
        return None
    fingerprint = hashlib.sha256(sent).hexdigest()
    if request_id is None:
        key = f"equal:{act.name}:{fingerprint}"
        return Repeat(key, fingerprint, None)
    return Repeat(f"id:{request_id}", fingerprint, request_id)


def replay(tx: Writing, caller: Caller, act: AnyAct, repeat: Repeat) -> Any:
    """The first reply to this call, marked with its time; None if there is none.

    Raises Refusal `conflict` if another call has used the request id.
    """
    first = tx.one(RequestRow, "request", member=caller.member, key=repeat.key)
    if first is None and repeat.request_id is not None:  # a redaction may have hidden the request id
        first = tx.one(RequestRow, "request", member=caller.member, key=hidden_key(repeat.key))
    if first is None or not first.at <= tx.now < first.until:
        return None
    if first.act != act.name or first.arguments != repeat.arguments:
        raise Refusal(
            "conflict",
            f"The request id {cite(repeat.request_id or '')} is already used by another call ({first.act}).",
            "Use a new request id for a new call.",
        )
    reply = act.reply.model_validate_json(first.reply)
    return reply.model_copy(update={"replayed": tx.shown(first.at)})


def remember(tx: Writing, caller: Caller, act: AnyAct, repeat: Repeat, reply: Reply) -> None:
    """Keep a reply for repeats of the call, until a duty forgets it."""
    kept = tx.settings.repeat_seconds if repeat.request_id is None else tx.settings.request_id_seconds
    tx.run(
        "remember_request",
        member=caller.member,
        key=repeat.key,
        act=act.name,
        arguments=repeat.arguments,
        reply=reply.remembered().model_dump_json(),
        at=tx.now,
        until=tx.now + kept,
    )


def start_forgetting(tx: Writing) -> None:
    """Set the timer of remembered calls in a new room. It never ends, so that no act has to look for it."""
    schedule(tx, FORGET, 0, ROOM_MEMBER, FORGET_IDLE_SECONDS)


def forget_requests(tx: Writing, due: Timer) -> None:
    """Forget a page of the remembered calls whose time is over."""
    gone = tx.run_counted("forget_requests", now=tx.now, limit=FORGET_AT_ONCE)
    following = tx.value(float, "next_forgotten") or tx.now + FORGET_IDLE_SECONDS
    latest = tx.now + FORGET_IDLE_SECONDS  # a later call may be forgotten earlier than those that are remembered now
    postpone(tx, due, tx.now if gone == FORGET_AT_ONCE else min(max(following, tx.now + FORGET_SECONDS), latest))
