"""Overnight: what waits for a person, what broke, who is stopped, who holds what, and who did what.

Any span fits on one screen: counts come from indexes, and rows are read only for the lines that are shown.
"""

from bisect import bisect_right
from typing import Annotated, Any

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Read
from teamroom.server.acts.overnight.allowed import list_allowed
from teamroom.server.acts.overnight.broke import Broken, list_broken
from teamroom.server.acts.overnight.sections import Kind, Section, fill_section
from teamroom.server.acts.overnight.stops import Stopped, list_stopped
from teamroom.server.acts.overnight.waits import Waiting, list_waiting
from teamroom.server.acts.overnight.work import Doer, Held, count_unfinished, list_done, list_held
from teamroom.server.acts.presence.me import Nothing
from teamroom.server.clock import rfc3339
from teamroom.server.facts.authorization import AuthorizationShown
from teamroom.server.facts.roles import LOG_READERS, ROOM_OPERATORS
from teamroom.server.identity import Caller
from teamroom.server.record import chain
from teamroom.server.rules.overnight import Look, allot_lines, bars, next_look, step_seconds
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Reading, Writing

LONGEST_HOURS = 876_000
"""A hundred years: any span."""

STUCK_SECONDS, STUCK_SHOWN = 86_400.0, 5
"""How far back a look at what is stuck goes, and how many things of each kind it shows."""

HOUR_SECONDS = 3600.0


class Overnight(Arguments):
    """Arguments of `overnight`. Without `hours`: since the caller last looked."""

    hours: Annotated[
        float, Field(gt=0, le=LONGEST_HOURS, description="how far back; by default since you last looked")
    ] | (None) = None


class Pace(BaseModel):
    """The number of log entries in each step of the span; the last step may be shorter."""

    step_seconds: float
    entries: list[int]

    @property
    def bars(self) -> str:
        """The steps as bars, each one character wide; where nothing happened there is a gap."""
        return bars(self.entries)


class Night(BaseModel):
    """Reply of `overnight`: the entries of the log after one number and up to another, on at most 60 lines.

    `since_last_look`: whether the span begins where the caller's last look ended.
    """

    since: str
    until: str
    since_last_look: bool
    after: int
    upto: int
    reads_receipts: bool
    """Whether the caller may read the log in full; everybody reads the stream."""
    entries: int
    pace: Pace
    waits: Section[Waiting]
    broke: Section[Broken]
    stopped: Section[Stopped]
    has: Section[Held]
    tasks: dict[str, int]
    """Unfinished tasks by state."""
    done: Section[Doer]
    allowed: Section[AuthorizationShown]
    """What people let members do. Without any entry, the report has no such section."""


def overnight(tx: Reading, caller: Caller, arguments: Overnight) -> Night:
    """Return what happened in a span; what waits for a person and what broke come first."""
    end = tx.only(ReadHead, "read_head").seq
    last = _last_look(tx, caller.member) if arguments.hours is None else None
    if last is None:
        seconds = tx.settings.first_look_seconds if arguments.hours is None else arguments.hours * HOUR_SECONDS
        since, after = _back(tx, seconds), _number_at(tx, tx.now - seconds, 0, end)
    else:
        look = next_look(last, tx.now, end, tx.settings.look_seconds)
        since, after = look.since, look.after
    tasks = count_unfinished(tx)
    waiting, broken, stopped = list_waiting(tx), list_broken(tx, since, after), list_stopped(tx, since, after)
    held, doers = list_held(tx, tasks), list_done(tx, after)
    allowed = list_allowed(tx, after)
    sections: list[list[Kind[Any]]] = [waiting, broken, stopped, held, doers]
    if any(kind.count for kind in allowed):
        sections.append(allowed)
    numbers = allot_lines([[kind.count for kind in section] for section in sections])
    return Night(
        since=tx.shown(since),
        until=rfc3339(tx.wall),
        since_last_look=last is not None,
        after=after,
        upto=end,
        reads_receipts=caller.role in LOG_READERS,
        entries=end - after,
        pace=_pace(tx, since, after, end),
        waits=fill_section(waiting, numbers[0]),
        broke=fill_section(broken, numbers[1]),
        stopped=fill_section(stopped, numbers[2]),
        has=fill_section(held, numbers[3]),
        tasks=tasks,
        done=fill_section(doers, numbers[4]),
        allowed=fill_section(allowed, numbers[5] if len(numbers) > 5 else [0]),
    )


def note_look(tx: Writing, caller: Caller, arguments: Overnight, night: Night) -> None:
    """Record where a look ended, so that the next one begins there. A look with `hours` is not recorded."""
    if arguments.hours is not None:
        return
    first = Look(tx.now, night.upto, _back(tx, tx.settings.first_look_seconds), night.after)
    last = _last_look(tx, caller.member)
    look = first if last is None else next_look(last, tx.now, night.upto, tx.settings.look_seconds)
    tx.run("note_look", member=caller.member, at=look.at, upto=look.upto, since=look.since, after=look.after)


def _last_look(tx: Reading, member: int) -> Look | None:
    return tx.one(Look, "last_look", member=member)


def _back(tx: Reading, seconds: float) -> float:
    """The room time so many seconds ago, but not before the room was made."""
    return max(tx.now - seconds, chain.time_of(tx, 1))


def _number_at(tx: Reading, at: float, low: int, high: int) -> int:
    """The last number, from one up to another, whose entry is not after a room time.

    About twenty entries are read.
    """
    return low + bisect_right(range(low + 1, high + 1), at, key=lambda seq: chain.time_of(tx, seq))


def _pace(tx: Reading, since: float, after: int, end: int) -> Pace:
    """The number of entries in each step, from the numbers at its ends."""
    step = step_seconds(tx.now - since)
    entries, reached, at = [], after, since
    while at < tx.now:
        at += step
        upto = _number_at(tx, at, reached, end) if at < tx.now else end
        entries.append(upto - reached)
        reached = upto
    return Pace(step_seconds=step, entries=entries)


class Stuck(BaseModel):
    """What broke in the last hours, and who noticed it: what is not over."""

    broke: Section[Broken]


def read_stuck(tx: Reading, caller: Caller, arguments: Nothing) -> Stuck:
    """Return what is stuck now: what broke within `STUCK_SECONDS` and is not over."""
    end = tx.only(ReadHead, "read_head").seq
    since, after = _back(tx, STUCK_SECONDS), _number_at(tx, tx.now - STUCK_SECONDS, 0, end)
    kinds = list_broken(tx, since, after)
    found = fill_section(kinds, [min(kind.count, STUCK_SHOWN) for kind in kinds])
    return Stuck(broke=found.model_copy(update={"shown": [one for one in found.shown if not one.over]}))


STUCK = Read("stuck", Nothing, read_stuck)
OVERNIGHT = Read(
    "overnight",
    Overnight,
    overnight,
    shown_to_agents=ROOM_OPERATORS,
    after_read=note_look,
    counts_refusals=True,
    narrow="Call overnight with fewer hours, such as 8.",
)
