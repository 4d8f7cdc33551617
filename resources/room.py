"""The resources: the reads of the room, as text for models and as JSON for programs."""

import re
from typing import Any

from teamroom.resources.resource import Resource, Topics
from teamroom.resources.words import (
    render_channels,
    render_health,
    render_inbox,
    render_me,
    render_plants,
    render_policy,
    render_receipt,
    render_stream,
)
from teamroom.server import topics
from teamroom.server.acts.approvals.rules import READ_RULES
from teamroom.server.acts.capabilities.plants import READ_PLANTS
from teamroom.server.acts.control.policy import READ_POLICY
from teamroom.server.acts.decisions.decisions import READ_DECISIONS
from teamroom.server.acts.letters.channels import READ_CHANNELS
from teamroom.server.acts.members.roster import FIND_PLACE, ROSTER, Place
from teamroom.server.acts.messages.messages import READ_MESSAGES
from teamroom.server.acts.overnight.overnight import OVERNIGHT
from teamroom.server.acts.presence.health import READ_HEALTH
from teamroom.server.acts.presence.me import LISTEN, READ_INBOX, READ_ME
from teamroom.server.acts.receipts.receipts import READ_RECEIPT, READ_STREAM
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.identity import Caller
from teamroom.tools.words.approvals import render_rules
from teamroom.tools.words.decisions import render_decisions
from teamroom.tools.words.members import render_roster
from teamroom.tools.words.messages import render_messages
from teamroom.tools.words.overnight import render_night
from teamroom.tools.words.tasks import render_board


def _whole_number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else text


def _after(text: str) -> dict[str, Any]:
    return {"after": _whole_number(text)}


def always(*changes: str) -> Topics:
    """The same topics for every reader."""
    return lambda caller, arguments, found: changes


def _hours(text: str) -> dict[str, Any]:
    return {"hours": float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text, re.ASCII) else text}


def _my_inbox(caller: Caller, arguments: Any, found: Any) -> tuple[str, ...]:
    return (topics.inbox(caller.member),)


def _my_state(caller: Caller, arguments: Any, found: Any) -> tuple[str, ...]:
    return (topics.me(caller.member), topics.owner(caller.owner), topics.ROOM)


def _task_changes(caller: Caller, arguments: Any, found: Any) -> tuple[str, ...]:
    return (topics.task(arguments.task),)


def _member_changes(caller: Caller, arguments: Any, found: Place) -> tuple[str, ...]:
    return (topics.member(found.member), topics.owner(found.owner), topics.ROOM)


RESOURCES = (
    Resource("me", "Me", "Your name, role, standing, tasks and capabilities.", READ_ME, render_me, topics=_my_state),
    Resource(
        "inbox",
        "Inbox",
        "Your wakes, the offers to you, and what else waits for you.",
        READ_INBOX,
        render_inbox,
        topics=_my_inbox,
    ),
    Resource(
        "stream",
        "Stream",
        "The newest entries of the room's one stream.",
        READ_STREAM,
        render_stream,
        topics=always(topics.STREAM),
    ),
    Resource(
        "stream/{after}",
        "Stream after",
        "The stream after an entry's number.",
        READ_STREAM,
        render_stream,
        _after,
        topics=always(topics.STREAM),
    ),
    Resource("board", "Board", "The unfinished tasks.", READ_BOARD, render_board, topics=always(topics.BOARD)),
    Resource(
        "tasks/{id}",
        "Task",
        "One task in full.",
        READ_BOARD,
        render_board,
        lambda id_: {"task": id_},
        topics=_task_changes,
    ),
    Resource("roster", "Roster", "Who is in the room.", ROSTER, render_roster, topics=always(topics.ROSTER)),
    Resource(
        "members/{name}",
        "Member",
        "One member.",
        ROSTER,
        render_roster,
        lambda name: {"name": name},
        topics=_member_changes,
        found_by=FIND_PLACE,
    ),
    Resource(
        "messages/{id}", "Message", "One message in full.", READ_MESSAGES, render_messages, lambda id_: {"ids": [id_]}
    ),
    Resource(
        "decisions",
        "Decisions",
        "The decisions that wait for people.",
        READ_DECISIONS,
        render_decisions,
        topics=always(topics.DECISIONS),
    ),
    Resource(
        "decisions/{id}",
        "Decision",
        "One decision in full.",
        READ_DECISIONS,
        render_decisions,
        lambda id_: {"decision": id_},
        topics=always(topics.DECISIONS),
    ),
    Resource(
        "overnight",
        "Overnight",
        "What happened since you last looked: what waits for a person, what broke, who is stopped, who has what.",
        OVERNIGHT,
        render_night,
        topics=always(topics.STREAM),
        found_by=LISTEN,
    ),
    Resource(
        "overnight/{hours}",
        "Overnight, by hours",
        "What happened in the given number of hours until now.",
        OVERNIGHT,
        render_night,
        _hours,
        topics=always(topics.STREAM),
        found_by=LISTEN,
    ),
    Resource(
        "plants",
        "Plants",
        "Capabilities that can be proven, and who planted their values.",
        READ_PLANTS,
        render_plants,
        topics=always(topics.PLANTS),
    ),
    Resource(
        "policy",
        "Policy",
        "The values of the room's policy, and who set them.",
        READ_POLICY,
        render_policy,
        topics=always(topics.POLICY),
    ),
    Resource(
        "rules",
        "Approval rules",
        "Which calls of agents' own tools wait for a person.",
        READ_RULES,
        render_rules,
        topics=always(topics.POLICY),
    ),
    Resource(
        "rules/{after}",
        "Approval rules after",
        "The approval rules after a rule's number.",
        READ_RULES,
        render_rules,
        _after,
        topics=always(topics.POLICY),
    ),
    Resource(
        "health",
        "Health",
        "Each part of the room: its state and its last sign of life.",
        READ_HEALTH,
        render_health,
    ),
    Resource(
        "channels",
        "Channels",
        "The people who are notified outside the room, and whether letters arrive.",
        READ_CHANNELS,
        render_channels,
        topics=always(topics.CHANNELS),
    ),
    Resource(
        "receipts/{seq}",
        "Receipt",
        "One log entry.",
        READ_RECEIPT,
        render_receipt,
        lambda seq: {"seq": _whole_number(seq)},
    ),
)
