"""Who could help now: whom an alert that names nobody wakes (HND6), and who else than an absent addressee (HND4)."""

from teamroom.server.facts.capability import lacking
from teamroom.server.facts.member import Forecast, facts_of, forecast
from teamroom.server.facts.task import needs_of
from teamroom.server.identity import Caller
from teamroom.server.rules.presence import presence
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading

LOOKED_AT = 50
"""How many members that called lately are looked at, the latest first."""

OTHERS_SHOWN = 3
"""How many others are named beside somebody who is not there."""


def helpers(tx: Reading, caller: Caller, task: TaskRow | None) -> list[MemberFacts]:
    """Live, active members that have what the alert's task needs, who called last first; else the author's owner."""
    found = who_could(tx, caller.member, needs_of_any(tx, task), tx.settings.alerted)
    if not found and caller.owner != caller.member:
        return [tx.only(MemberFacts, "member_facts", name=caller.owner_name)]
    return found


def who_could(tx: Reading, beside: int, needs: list[str], limit: int) -> list[MemberFacts]:
    """Live, active members but one, that have what is needed, who called last first."""
    since = tx.now - tx.settings.live_interval_seconds
    found: list[MemberFacts] = []
    for row in tx.all(MemberFacts, "live_members", author=beside, since=since, now=tx.now, limit=LOOKED_AT):
        is_there = presence(facts_of(tx, row), tx.now, tx.settings).verdict in ("live", "working")
        if is_there and not (needs and lacking(tx, row.id, needs)):
            found.append(row)
        if len(found) == limit:
            break
    return found


def forecast_with_others(tx: Reading, caller: Caller, row: MemberFacts, needs: list[str]) -> Forecast:
    """The forecast for one addressee; where nobody can say when it answers, also who else could."""
    found = forecast(tx, row)
    if found.expected_seconds is not None or row.kind == "human":
        return found
    others = [other.name for other in who_could(tx, caller.member, needs, OTHERS_SHOWN + 1)]
    return found.model_copy(update={"others": [name for name in others if name != row.name][:OTHERS_SHOWN]})


def needs_of_any(tx: Reading, task: TaskRow | None) -> list[str]:
    """What a task needs; nothing where a message is about none."""
    return [] if task is None else needs_of(tx, task.id)
