"""Repeated calls: a call with a known request id gets its first reply again (LOG4)."""

import hashlib
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, Reply
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.store.rows.control import RequestRow
from teamroom.server.store.transaction import Writing

FORGET_EVERY, FORGET_AT_ONCE = 256, 1024
"""Every so many log entries, at most so many expired calls are forgotten."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The key under which a call is remembered: its request id, or the call itself if equal calls count as one."""

    key: str
    arguments: str
    request_id: str | None


def repeat_of(act: AnyAct, arguments: BaseModel, request_id: str | None) -> Repeat | None:
    """The key under which a call is remembered; None for an act whose equal calls are separate calls."""
    if request_id is None and not act.repeats:
        return None
    fingerprint = hashlib.sha256(arguments.model_dump_json().encode()).hexdigest()
    key = f"id:{request_id}" if request_id is not None else f"equal:{act.name}:{fingerprint}"
    return Repeat(key, fingerprint, request_id)


def replay(tx: Writing, caller: Caller, act: AnyAct, repeat: Repeat) -> Any:
    """The first reply to this call, marked with its time; None if there is none.

    Raises Refusal `conflict` if another call has used the request id.
    """
    first = tx.one(RequestRow, "request", member=caller.member, key=repeat.key)
    if first is None or not first.at <= tx.now < first.until:
        return None
    if first.act != act.name or first.arguments != repeat.arguments:
        raise Refusal(
            "conflict",
            f"The request id {repeat.request_id} is already used by another call ({first.act}).",
            "Use a new request id for a new call.",
        )
    reply = act.reply.model_validate_json(first.reply)
    return reply.model_copy(update={"replayed": tx.shown(first.at)})


def remember(tx: Writing, caller: Caller, act: AnyAct, repeat: Repeat, reply: Reply) -> None:
    """Store a reply for repeats of the call, and now and then forget expired ones."""
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
    if tx.head.seq % FORGET_EVERY == 0:
        tx.run("forget_requests", now=tx.now, limit=FORGET_AT_ONCE)
