"""The addresses of the page, and what each of them reads."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teamroom.resources.page.parts import filters_of, may_stop_all
from teamroom.resources.page.reading import ReadFor, asked_by, no_such_address
from teamroom.server.acts.act import AnyRead
from teamroom.server.acts.approvals.rules import READ_RULES, ReadRules
from teamroom.server.acts.control.policy import READ_POLICY, ReadPolicy
from teamroom.server.acts.decisions.decisions import READ_DECISIONS, ReadDecisions
from teamroom.server.acts.letters.channels import READ_CHANNELS, ReadChannels
from teamroom.server.acts.members.roster import WHO, Who
from teamroom.server.acts.messages.messages import READ_MESSAGES, ReadMessages
from teamroom.server.acts.overnight.overnight import OVERNIGHT, Overnight
from teamroom.server.acts.presence.health import READ_HEALTH, PartShown
from teamroom.server.acts.presence.me import READ_ME, Nothing
from teamroom.server.acts.receipts.receipts import (
    CHECK_ENTRIES,
    READ_RECEIPTS,
    READ_STREAM,
    CheckEntries,
    EntriesChecked,
    ReadReceipts,
    ReadStream,
    Receipt,
)
from teamroom.server.acts.tasks.board import READ_BOARD, ReadBoard
from teamroom.server.facts.roles import LOG_READERS
from teamroom.server.health import BACKUPS, SEAL
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings

Found = dict[str, Any]

LOG_ROWS = 50

HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an address: who looks, how to read, what the address says, and the time.

    `parts` renders the parts of the home page. `offered`: every act that the person may do, with its form.
    """

    caller: Caller
    read: ReadFor
    query: Mapping[str, str]
    thing: str
    settings: Settings
    wall: float
    parts: Callable[[Found], Awaitable[dict[str, str]]]
    offered: Callable[[], list[Found]]

    def asked(self, *names: str) -> Found:
        """What the address says under these names, if anything."""
        return {name: self.query[name] for name in names if self.query.get(name)}


@dataclass(frozen=True, slots=True)
class Share:
    """Who sees the same of an address: everybody who may make this read, and for whom the key is equal."""

    read: AnyRead
    key: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A kind of address. Its template has its name. `find` reads what it shows.

    `follows`: what changes it, as the stream of changes names it. `share`: with whom one render is shared, if with
    anybody; the template of such a view is a part.
    """

    name: str
    title: str
    pattern: str
    find: Callable[[Look], Awaitable[Found]]
    follows: tuple[str, ...] = ()
    share: Callable[[Look], Share | None] | None = None


def find(path: str) -> tuple[View, str] | None:
    """The view of a path, and the thing that the path names."""
    for view in VIEWS:
        if (found := re.fullmatch(view.pattern, path)) is not None:
            return view, found.group(1) if found.groups() else ""
    return None


async def _home(look: Look) -> Found:
    filters = filters_of(look.query)
    return {"parts": await look.parts(filters), "filters": filters}


async def _acts(look: Look) -> Found:
    return {"offered": look.offered()}


async def _task(look: Look) -> Found:
    board = await look.read(READ_BOARD, asked_by(ReadBoard, task=look.thing))
    me = await look.read(READ_ME, Nothing())
    return {"task": board.task, "holds": board.task.holder == me.name, "messages": []}


async def _board(look: Look) -> Found:
    asked = look.asked("state", "query", "after")
    board = await look.read(READ_BOARD, asked_by(ReadBoard, **asked))
    return {"board": board, "asked": asked}


async def _members(look: Look) -> Found:
    asked = look.asked("capability", "after")
    return {"roster": await look.read(WHO, asked_by(Who, **asked)), "may_stop_everybody": may_stop_all(look.caller)}


async def _member(look: Look) -> Found:
    roster = await look.read(WHO, asked_by(Who, name=look.thing))
    member = roster.members[0]
    entries = None
    if look.caller.role in LOG_READERS:
        entries = await look.read(READ_RECEIPTS, ReadReceipts(actor=member.name, limit=LOG_ROWS))
    return {
        "member": member,
        "entries": entries.receipts[::-1] if entries is not None else None,
        "may_stop": may_stop_all(look.caller) or member.owner == look.caller.name,
    }


async def _thread(look: Look) -> Found:
    first = await look.read(READ_MESSAGES, asked_by(ReadMessages, ids=[look.thing]))
    if not first.messages:
        raise Refusal("not_found", f"There is no message {look.thing}.", "Look for it on the page of the log.")
    asked = look.asked("after")
    page = await look.read(READ_MESSAGES, asked_by(ReadMessages, thread=first.messages[0].thread, **asked))
    return {"message": first.messages[0], "page": page}


async def _decisions(look: Look) -> Found:
    return {"found": await look.read(READ_DECISIONS, ReadDecisions())}


async def _decision(look: Look) -> Found:
    found = await look.read(READ_DECISIONS, asked_by(ReadDecisions, decision=look.thing))
    return {"decision": found.decisions[0], "slots": found.reminders}


async def _overnight(look: Look) -> Found:
    """A night. `again`: what an open page asks for, so that no new look begins while somebody reads."""
    asked = look.asked("hours")
    if since := look.query.get("since"):
        asked = {"hours": _hours_since(since, look.wall)}
    night = await look.read(OVERNIGHT, asked_by(Overnight, **asked))
    is_since_last = night.since_last_look or bool(look.query.get("last"))
    again = {"since": night.since, **({"last": "1"} if is_since_last else {})}
    return {"night": night, "is_since_last": is_since_last, "again": {} if look.asked("hours") else again}


def _share_overnight(look: Look) -> Share | None:
    """Everybody sees the same night, but not from the same last look on."""
    hours = look.query.get("hours")
    return Share(OVERNIGHT, (hours,)) if hours and not look.query.get("since") else None


def _hours_since(since: str, wall: float) -> float:
    """How many hours ago a time was. Raises AddressRefusal if it is none."""
    try:
        return (wall - datetime.fromisoformat(since).timestamp()) / HOUR_SECONDS
    except (ValueError, OverflowError):
        raise no_such_address("since: this is not a time") from None


async def _log(look: Look) -> Found:
    """The log for who may read it, else the stream. A search is one through the messages."""
    asked = look.asked("actor", "act", "subject", "after")
    query = look.asked("query")
    found: Found = {"asked": {**asked, **query}, "receipts": None, "entries": None, "messages": None, "cursor": None}
    found |= {"checked": None, "seal": None, "backup": None}
    if query:
        page = await look.read(READ_MESSAGES, asked_by(ReadMessages, **query))
        return {**found, "messages": page.messages}
    if look.caller.role in LOG_READERS:
        receipts = await look.read(READ_RECEIPTS, asked_by(ReadReceipts, limit=LOG_ROWS, **asked))
        return {
            **found,
            "receipts": receipts.receipts,
            "cursor": receipts.cursor,
            "checked": await _check(look, receipts.receipts),
            **await _find_health(look),
        }
    stream = await look.read(READ_STREAM, asked_by(ReadStream, limit=LOG_ROWS, **look.asked("after")))
    return {**found, "entries": stream.entries, "cursor": stream.cursor}


def _share_log(look: Look) -> Share | None:
    """Everybody with the same right to read the log sees the same of it. Searches are too many to keep."""
    if look.query.get("query"):
        return None
    asked = tuple(look.query.get(name, "") for name in ("actor", "act", "subject", "after"))
    return Share(READ_RECEIPTS, asked) if look.caller.role in LOG_READERS else Share(READ_STREAM, (asked[-1], "stream"))


async def _check(look: Look, shown: list[Receipt]) -> EntriesChecked | None:
    """What checking the hashes of these entries finds; those in between are checked too."""
    if not shown:
        return None
    checked: EntriesChecked = await look.read(CHECK_ENTRIES, CheckEntries(after=shown[0].seq - 1, upto=shown[-1].seq))
    return checked


async def _find_health(look: Look) -> dict[str, PartShown]:
    """The part of the room that seals the end of the log, and the backups, each of which was verified as a whole."""
    parts = {part.part: part for part in (await look.read(READ_HEALTH, Nothing())).parts}
    return {"seal": parts[SEAL], "backup": parts[BACKUPS]}


async def _settings(look: Look) -> Found:
    return {
        "profile": await look.read(READ_ME, Nothing()),
        "policy": await look.read(READ_POLICY, ReadPolicy()),
        "rules": await look.read(READ_RULES, asked_by(ReadRules, **look.asked("after"))),
        "channels": await look.read(READ_CHANNELS, ReadChannels()),
    }


async def _enrol(look: Look) -> Found:
    return {"mcp": f"{look.settings.members_url}/mcp"}


VIEWS = (
    View("home", "Room", r"/", _home),
    View("board", "Board", r"/board", _board, ("board",)),
    View("task", "Task", r"/tasks/([A-Za-z0-9#-]{1,20})", _task, ("board",)),
    View("members", "Members", r"/members", _members, ("roster",)),
    View("member", "Member", r"/members/([A-Za-z0-9._-]{1,40})", _member, ("roster",)),
    View("thread", "Thread", r"/messages/([A-Za-z0-9#-]{1,20})", _thread, ("stream",)),
    View("decisions", "Decisions", r"/decisions", _decisions, ("needs",)),
    View("decision", "Decision", r"/decisions/([A-Za-z0-9#-]{1,20})", _decision, ("needs",)),
    View("overnight", "Overnight", r"/overnight", _overnight, ("stream",), _share_overnight),
    View("log", "Log", r"/log", _log, ("stream",), _share_log),
    View("settings", "Settings", r"/settings", _settings, ("settings",)),
    View("enrol", "Enrol", r"/enrol", _enrol),
    View("acts", "Everything you can do", r"/acts", _acts),
)
