"""Members that could help now: for an alert without addressees (HND6), or instead of an absent addressee (HND4)."""

from functools import partial

from teamroom.server.facts.capability import find_missing_capabilities
from teamroom.server.facts.member import Forecast, facts_of, forecast
from teamroom.server.facts.task import needs_of
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.rules.presence import find_presence, is_woken, may_be_woken
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

LOOKED_AT = 50
"""How many members are examined, the most recent callers first."""

OTHERS_SHOWN = 3
"""How many others are named for an absent addressee."""


def find_helpers(tx: Reading, caller: Caller, task: TaskRow | None) -> list[MemberFacts]:
    """Live, active members that meet the needs of the alert's task, latest callers first; else the author's owner."""
    found = list_available_members(tx, caller.member, needs_of_any(tx, task), tx.settings.alerted)
    if not found and caller.owner != caller.member:
        return [tx.only(MemberFacts, "member_facts", name=caller.owner_name)]
    return found


def list_available_members(tx: Reading, author: int, needs: list[str], limit: int) -> list[MemberFacts]:
    """Live, active members other than the author that meet the needs: those that something wakes, then others.

    Among them, the latest callers come first.
    """
    since = tx.now - tx.settings.live_interval_seconds
    woken: list[MemberFacts] = []
    others: list[MemberFacts] = []
    for row in tx.all(MemberFacts, "live_members", author=author, since=since, now=tx.now, limit=LOOKED_AT):
        has_run = row.run_since is not None
        if len(others) >= limit and not may_be_woken(row.kind, row.mode, tx.listens(row.id), has_run):
            continue  # enough of this kind were found
        facts = facts_of(tx, row)
        is_there = find_presence(facts, tx.now, tx.settings).state in ("live", "working")
        if is_there and not (needs and find_missing_capabilities(tx, row.id, needs)):
            (woken if is_woken(facts, tx.now, tx.settings) else others).append(row)
        if len(woken) == limit:
            break
    return [*woken, *others][:limit]


def forecasts(tx: Writing, caller: Caller, rows: list[MemberFacts], needs: list[str]) -> list[Forecast]:
    """The forecasts for addressees. Agents without an estimate also get who else could answer.

    A batch finds both once: many write to the same few members.
    """
    found = [tx.in_batch(("forecast", row.id), partial(forecast, tx, row)).model_copy() for row in rows]
    for one, row in zip(found, rows, strict=True):
        if not _has_estimate(one, row):
            one.others = [name for name in _others(tx, needs) if name not in (row.name, caller.name)][:OTHERS_SHOWN]
    return found


def _others(tx: Writing, needs: list[str]) -> list[str]:
    """Members that could answer: as many that an author and an addressee may be among them. A batch looks once."""
    return tx.in_batch(
        ("others", *needs),
        lambda: [row.name for row in list_available_members(tx, log.ROOM_MEMBER, needs, OTHERS_SHOWN + 2)],
    )


def _has_estimate(found: Forecast, row: MemberFacts) -> bool:
    return found.expected_seconds is not None or row.kind == "human"


def needs_of_any(tx: Reading, task: TaskRow | None) -> list[str]:
    """The needs of a task; none if there is no task."""
    return [] if task is None else needs_of(tx, task)
