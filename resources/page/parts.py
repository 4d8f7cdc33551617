"""The parts of the home page: what each reads, when it changes, and who else sees the same."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from teamroom.resources.page.reading import ReadFor, asked_by
from teamroom.server import topics
from teamroom.server.acts.members.roster import WHO, MemberShown, Who
from teamroom.server.acts.overnight.overnight import STUCK
from teamroom.server.acts.presence.me import READ_INBOX, Inbox, Nothing
from teamroom.server.acts.receipts.receipts import READ_STREAM, ReadStream
from teamroom.server.acts.tasks.board import READ_BOARD, ReadBoard
from teamroom.server.facts.roles import STOPPERS
from teamroom.server.identity import Caller

NEEDS_ROWS, ROSTER_ROWS, BOARD_ROWS, STREAM_ROWS = 12, 30, 40, 40
"""The most rows of each list on the home page, and of each kind of thing that waits for a person."""

TROUBLE = ("zombie", "suspect", "gone")
"""The presence of members that come first."""

EVERYBODY_ELSE = "*"
"""In the key of a part: whose buttons stop everybody. No member has this name."""

FILTERS = ("state", "query")
"""What the address of the home page says about its board."""

Found = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part of the home page. `topics`: what changes it. `is_own`: it shows what only its reader may see.

    `has_stops`: it has buttons that stop members, which differ for those who may not stop everybody.
    """

    name: str
    find: Callable[[ReadFor, Caller, Found], Awaitable[Found]]
    topics: frozenset[str]
    is_own: bool = False
    has_stops: bool = False

    def topics_for(self, caller: Caller) -> frozenset[str]:
        """What changes it for one reader."""
        own = {topics.inbox(caller.member), topics.me(caller.member)} if self.is_own else ()
        return self.topics | frozenset(own)

    def key(self, caller: Caller, filters: Found) -> tuple[str, ...]:
        """Who sees the same: everybody for whom this is equal."""
        told = tuple(filters[name] for name in FILTERS) if self.name == "board" else ()
        if self.has_stops and may_stop_all(caller):
            return (self.name, EVERYBODY_ELSE, *told)
        own = caller.name if self.is_own or self.has_stops else ""
        return (self.name, own, *told)


def filters_of(query: Mapping[str, str]) -> Found:
    """What an address says about the board, each as a text."""
    return {name: query.get(name, "") for name in FILTERS}


def may_stop_all(caller: Caller) -> bool:
    """Whether a person may pause every member."""
    return caller.role in STOPPERS


async def find_needs(read: ReadFor, caller: Caller, filters: Found) -> Found:
    """What waits for this person."""
    inbox: Inbox = await read(READ_INBOX, Nothing())
    decisions = [one for one in inbox.decisions if one.state == "open" and caller.name in one.to]
    apart = {one.decision for one in decisions} | {ask.message for ask in inbox.asks} | {*inbox.answered}
    apart |= {review.task for review in inbox.reviews} | {offer.offer for offer in inbox.offers}
    kinds: dict[str, list[Any]] = {
        "decisions": decisions,
        "asks": inbox.asks,
        "reviews": inbox.reviews,
        "offers": inbox.offers,
        "suspects": inbox.suspects,
    }
    more: dict[str, list[Any]] = {
        "owed": [one for one in inbox.reminders if one.subject not in apart],
        "news": [one for one in inbox.wakes if one.subject not in apart and one.reason not in ("offer", "review")],
    }
    return {
        "count": sum(map(len, kinds.values())),
        "left_out": {name: len(found) - NEEDS_ROWS for name, found in kinds.items() if len(found) > NEEDS_ROWS},
        "cursor": inbox.cursor,
        **{name: found[:NEEDS_ROWS] for name, found in {**kinds, **more}.items()},
    }


async def find_stuck(read: ReadFor, caller: Caller, filters: Found) -> Found:
    """What broke and is not over, with who noticed."""
    return {"broken": (await read(STUCK, Nothing())).broke.shown}


async def find_roster(read: ReadFor, caller: Caller, filters: Found) -> Found:
    """Who is here: those in trouble first, then the stopped ones, then those at work."""
    roster = await read(WHO, Who())
    ordered = sorted(roster.members, key=_urgency)
    stopped = next((one.stop for one in roster.members if one.stop and one.stop.level == "room"), None)
    return {
        "members": ordered[:ROSTER_ROWS],
        "is_more": roster.next is not None or len(ordered) > ROSTER_ROWS,
        "may_stop": [one.name for one in ordered if may_stop_all(caller) or one.owner == caller.name],
        "room_stop": stopped,
    }


async def find_board(read: ReadFor, caller: Caller, filters: Found) -> Found:
    """The unfinished tasks, or those that the address asks for."""
    asked = {name: value for name, value in filters.items() if value}
    board = await read(READ_BOARD, asked_by(ReadBoard, **asked))
    is_more = board.next is not None or len(board.tasks) > BOARD_ROWS
    return {"lines": board.tasks[:BOARD_ROWS], "is_more": is_more, "filters": filters}


async def find_stream(read: ReadFor, caller: Caller, filters: Found) -> Found:
    """The newest entries, the newest first."""
    stream = await read(READ_STREAM, ReadStream(limit=STREAM_ROWS))
    return {"entries": stream.entries[::-1]}


def _urgency(member: MemberShown) -> tuple[bool, bool, bool, bool, str]:
    return (
        member.presence not in TROUBLE,
        member.standing != "paused",
        member.standing == "killed",
        not member.tasks,
        member.name.lower(),
    )


PARTS = {
    part.name: part
    for part in (
        Part("needs", find_needs, frozenset({topics.DECISIONS}), is_own=True),
        Part("stuck", find_stuck, frozenset({topics.ROSTER, topics.BOARD, topics.NAMES}), has_stops=True),
        Part("roster", find_roster, frozenset({topics.ROSTER, topics.BOARD, topics.NAMES}), has_stops=True),
        Part("board", find_board, frozenset({topics.BOARD, topics.NAMES})),
        Part("stream", find_stream, frozenset({topics.STREAM, topics.NAMES})),
    )
}
"""The parts in the order in which people need them."""

PARTS_OF = {
    topic: [part.name for part in PARTS.values() if topic in part.topics]
    for topic in frozenset[str]().union(*(part.topics for part in PARTS.values()))
}
"""The parts that a topic changes."""

OTHER_CHANGES = {"settings": frozenset({topics.POLICY, topics.CHANNELS, topics.NAMES})}
"""What changes pages that show something else, by the name under which they follow it."""
