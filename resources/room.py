"""The resources of the room: the same reads that the tools make, as text for models and JSON for programs."""

import re
from typing import Any

from teamroom.resources.resource import Resource, Topics
from teamroom.server.acts.capabilities.plants import READ_PLANTS
from teamroom.server.acts.control.policy import READ_POLICY
from teamroom.server.acts.letters.channels import READ_CHANNELS
from teamroom.server.acts.members.roster import FIND_PLACE, WHO, Place
from teamroom.server.acts.messages.messages import READ_MESSAGES
from teamroom.server.acts.overnight.overnight import OVERNIGHT
from teamroom.server.acts.presence.me import LISTEN, READ_INBOX, READ_ME, Inbox, Me
from teamroom.server.acts.receipts.receipts import READ_RECEIPT, READ_STREAM, Receipt, Stream
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.identity import Caller
from teamroom.server.rules.text import logged, said
from teamroom.tools.control import channels, plants, policy
from teamroom.tools.messages import messages
from teamroom.tools.overnight import overnight
from teamroom.tools.presence import PROVE, REMINDED, capability, offer, probe, reminder, review, roster, task_held, wake
from teamroom.tools.tasks import board
from teamroom.tools.words import listed


def me(reply: Me) -> str:
    """Who the caller is, in words."""
    until = f" until {reply.until}" if reply.until else ""
    bound = f" by @{reply.by}{until}: {said(reply.reason or '')}" if reply.by else ""
    return (
        f"You are @{reply.name}, {reply.kind} of @{reply.owner}, role {reply.role}, mode {reply.mode}. "
        f"You are {reply.standing}{bound}. cursor {reply.cursor}"
        + listed("Your tasks", [task_held(task) for task in reply.tasks])
        + listed("Your capabilities", [capability(c) for c in reply.capabilities])
    )


def inbox(reply: Inbox) -> str:
    """What waits for the caller, in words."""
    return (
        f"cursor {reply.cursor}"
        + listed("Wakes", [wake(w) for w in reply.wakes])
        + listed("Offered to you", [offer(o) for o in reply.offers])
        + listed(PROVE, map(probe, reply.probes))
        + listed(REMINDED, map(reminder, reply.reminders))
        + listed("The room asks", [] if reply.challenge is None else [said(reply.challenge)])
        + listed("Waiting for your review", map(review, reply.reviews))
    )


def stream(reply: Stream) -> str:
    """A page of the stream in words."""
    return "\n".join([*(f"{e.seq} {e.at[11:16]} {logged(e.line)}" for e in reply.entries), f"cursor {reply.cursor}"])


def receipt(reply: Receipt) -> str:
    """A receipt in words."""
    return (
        f"{reply.seq} {reply.at} @{reply.actor} (of @{reply.owner}) {reply.act} {reply.subject}: {reply.outcome}\n"
        f"{logged(reply.summary)}\nhash {reply.hash}"
    )


def _whole_number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else text


def _after(text: str) -> dict[str, Any]:
    return {"after": _whole_number(text)}


def always(*topics: str) -> Topics:
    """The same changes for everybody."""
    return lambda caller, arguments, found: topics


def _hours(text: str) -> dict[str, Any]:
    return {"hours": float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text, re.ASCII) else text}


def _my_inbox(caller: Caller, arguments: Any, found: Any) -> tuple[str, ...]:
    return (f"inbox:{caller.member}",)


def _my_state(caller: Caller, arguments: Any, found: Any) -> tuple[str, ...]:
    return (f"me:{caller.member}", f"owner:{caller.owner}", "room:0")


def _task_changes(caller: Caller, arguments: Any, found: Any) -> tuple[str, ...]:
    return (f"task:{arguments.task}",)


def _member_changes(caller: Caller, arguments: Any, found: Place) -> tuple[str, ...]:
    return (f"member:{found.member}", f"owner:{found.owner}", "room:0")


RESOURCES = (
    Resource("me", "Me", "Who you are here, what binds you, what you hold.", READ_ME, me, topics=_my_state),
    Resource("inbox", "Inbox", "Your wakes and the offers to you.", READ_INBOX, inbox, topics=_my_inbox),
    Resource("stream", "Stream", "The end of the room's one stream.", READ_STREAM, stream, topics=always("stream")),
    Resource(
        "stream/{after}",
        "Stream after",
        "The stream after a number.",
        READ_STREAM,
        stream,
        _after,
        topics=always("stream"),
    ),
    Resource("board", "Board", "The unfinished tasks.", READ_BOARD, board, topics=always("board")),
    Resource(
        "tasks/{id}", "Task", "A task in full.", READ_BOARD, board, lambda id_: {"task": id_}, topics=_task_changes
    ),
    Resource("roster", "Roster", "Who is in the room.", WHO, roster, topics=always("roster")),
    Resource(
        "members/{name}",
        "Member",
        "A member.",
        WHO,
        roster,
        lambda name: {"name": name},
        topics=_member_changes,
        found_by=FIND_PLACE,
    ),
    Resource("messages/{id}", "Message", "A message in full.", READ_MESSAGES, messages, lambda id_: {"ids": [id_]}),
    Resource(
        "overnight",
        "Overnight",
        "What happened since you last looked: what waits for a person, what broke, who is stopped, who has what.",
        OVERNIGHT,
        overnight,
        topics=always("stream"),
        found_by=LISTEN,
    ),
    Resource(
        "overnight/{hours}",
        "Overnight of a span",
        "The same of so many hours, whenever you last looked.",
        OVERNIGHT,
        overnight,
        _hours,
        topics=always("stream"),
        found_by=LISTEN,
    ),
    Resource(
        "plants", "Plants", "What can be proven here, and who planted it.", READ_PLANTS, plants, topics=always("plants")
    ),
    Resource("policy", "Policy", "How the room runs, and who set it so.", READ_POLICY, policy, topics=always("policy")),
    Resource(
        "channels",
        "Channels",
        "Who is told outside the room, and whether it arrives.",
        READ_CHANNELS,
        channels,
        topics=always("channels"),
    ),
    Resource(
        "receipts/{seq}",
        "Receipt",
        "An entry of the log.",
        READ_RECEIPT,
        receipt,
        lambda seq: {"seq": _whole_number(seq)},
    ),
)
