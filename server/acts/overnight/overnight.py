"""Overnight: who did what, who has what now, what broke and who noticed, who is stopped, what waits for a person.

For any span, on one screen, however much happened: counts come from indexes, and lines are read only for what is shown.
"""

from bisect import bisect_right
from typing import Annotated

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Read
from teamroom.server.acts.overnight.broke import Broken, broke
from teamroom.server.acts.overnight.sections import Section, shown
from teamroom.server.acts.overnight.stops import Stopped, stops
from teamroom.server.acts.overnight.waits import Waiting, waits
from teamroom.server.acts.overnight.work import Doer, Held, done, has, unfinished
from teamroom.server.clock import rfc3339
from teamroom.server.facts.roles import ROOM_OPERATORS
from teamroom.server.identity import Caller
from teamroom.server.record import chain
from teamroom.server.rules.overnight import Look, bars, fold, next_look, step_seconds
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Reading, Writing

LONGEST_HOURS = 876_000
"""A hundred years: any span."""

HOUR_SECONDS = 3600.0


class Overnight(Arguments):
    """Arguments of `overnight`. Without `hours` since the caller last looked."""

    hours: Annotated[float, Field(gt=0, le=LONGEST_HOURS, description="how far back; else since you last looked")] | (
        None
    ) = None


class Pace(BaseModel):
    """How many entries of the log there were in each step of the span, the last one cut short."""

    step_seconds: float
    entries: list[int]

    @property
    def bars(self) -> str:
        """The steps as bars, each one character wide; where nothing happened there is a gap."""
        return bars(self.entries)


class Night(BaseModel):
    """Reply of `overnight`: the entries of the log after one number and up to another, on at most 60 lines.

    `since_last_look`: the span begins where the caller's last look ended; else it was asked for, or is the first one.
    """

    since: str
    until: str
    since_last_look: bool
    after: int
    upto: int
    entries: int
    pace: Pace
    waits: Section[Waiting]
    broke: Section[Broken]
    stopped: Section[Stopped]
    has: Section[Held]
    tasks: dict[str, int]
    """Unfinished tasks by state."""
    done: Section[Doer]


def overnight(tx: Reading, caller: Caller, arguments: Overnight) -> Night:
    """What a person needs to know of a span, what waits for them and what broke first."""
    end = tx.only(ReadHead, "read_head").seq
    last = _last_look(tx, caller.member) if arguments.hours is None else None
    if last is None:
        seconds = tx.settings.first_look_seconds if arguments.hours is None else arguments.hours * HOUR_SECONDS
        after = _number_at(tx, tx.now - seconds, 0, end)
        since = max(tx.now - seconds, chain.time_of(tx, 1))
    else:
        look = next_look(last, tx.now, end, tx.settings.look_seconds)
        since, after = look.since, look.after
    tasks = unfinished(tx)
    waiting, broken, stopped = waits(tx), broke(tx, since, after), stops(tx, since, after)
    held, doers = has(tx, tasks), done(tx, after)
    sections = (waiting, broken, stopped, held, doers)
    numbers = fold([[kind.count for kind in section] for section in sections])
    return Night(
        since=rfc3339(since),
        until=rfc3339(tx.now),
        since_last_look=last is not None,
        after=after,
        upto=end,
        entries=end - after,
        pace=_pace(tx, since, after, end),
        waits=shown(waiting, numbers[0]),
        broke=shown(broken, numbers[1]),
        stopped=shown(stopped, numbers[2]),
        has=shown(held, numbers[3]),
        tasks=tasks,
        done=shown(doers, numbers[4]),
    )


def note_look(tx: Writing, caller: Caller, arguments: Overnight, night: Night) -> None:
    """Note where a look ended, so that the next one begins there; a span that was asked for is no look."""
    if arguments.hours is not None:
        return
    since = max(tx.now - tx.settings.first_look_seconds, chain.time_of(tx, 1))
    first = Look(tx.now, night.upto, since, night.after)
    last = _last_look(tx, caller.member)
    look = first if last is None else next_look(last, tx.now, night.upto, tx.settings.look_seconds)
    tx.run("note_look", member=caller.member, at=look.at, upto=look.upto, since=look.since, after=look.after)


def _last_look(tx: Reading, member: int) -> Look | None:
    return tx.one(Look, "last_look", member=member)


def _number_at(tx: Reading, at: float, low: int, high: int) -> int:
    """The last number, from one up to another, whose entry is not after a time.

    Numbers are dense and times rise with them, but where the clock was stepped: some twenty entries are read.
    """
    return low + bisect_right(range(low + 1, high + 1), at, key=lambda seq: chain.time_of(tx, seq))


def _pace(tx: Reading, since: float, after: int, end: int) -> Pace:
    """How much happened in each step, from the numbers at its ends."""
    step = step_seconds(tx.now - since)
    entries, reached, at = [], after, since
    while at < tx.now:
        at += step
        upto = _number_at(tx, at, reached, end) if at < tx.now else end
        entries.append(upto - reached)
        reached = upto
    return Pace(step_seconds=step, entries=entries)


OVERNIGHT = Read("overnight", Overnight, overnight, shown_to_agents=ROOM_OPERATORS, beside=note_look)
