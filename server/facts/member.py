"""A member's presence, and the forecast of when it sees what is sent to it."""

from typing import Protocol

from pydantic import BaseModel, Field

from teamroom.server import topics
from teamroom.server.facts.standing import Levels, state_of
from teamroom.server.facts.steps import wakes_of
from teamroom.server.facts.task import pauses_of
from teamroom.server.facts.wakes import answer_times
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules import presence as rules
from teamroom.server.rules.leases import paused_seconds
from teamroom.server.rules.names import LAST_NAME, nearest_names, normalize_name
from teamroom.server.rules.presence import (
    Facts,
    declared_until,
    find_presence,
    find_wake_fault,
    is_mode_supported,
    make_forecast,
)
from teamroom.server.rules.runs import Run
from teamroom.server.rules.wakes import Fault, Wakes
from teamroom.server.store.rows.log import LastAct
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Reading, Writing


class PresenceFacts(Levels, Protocol):
    """A row with the facts from which a member's presence is computed."""

    @property
    def id(self) -> int:
        """The member."""
        ...

    @property
    def owner(self) -> int:
        """Its owner."""
        ...

    @property
    def mode(self) -> str:
        """How it wakes."""
        ...

    @property
    def last_call_at(self) -> float | None:
        """When it last called."""
        ...

    @property
    def last_progress_at(self) -> float | None:
        """When it last gave evidence of progress."""
        ...

    @property
    def declared_at(self) -> float | None:
        """When it made its newest note."""
        ...

    @property
    def busy_until(self) -> float | None:
        """Until when it declared work."""
        ...

    @property
    def works_on_task(self) -> int | None:
        """Whether its newest note is about a task that it holds."""
        ...

    @property
    def connected_at(self) -> float | None:
        """When it was last known to listen."""
        ...

    @property
    def run_since(self) -> float | None:
        """When the newest run of its listener began."""
        ...

    @property
    def run_moved_at(self) -> float | None:
        """When the processes of that run last moved."""
        ...

    @property
    def run_heard_at(self) -> float | None:
        """When its listener last reported that run."""
        ...

    @property
    def run_ended_at(self) -> float | None:
        """When that run ended."""
        ...

    @property
    def slowest_run(self) -> float | None:
        """The seconds of its slowest run that answered."""
        ...

    @property
    def gate_at(self) -> float | None:
        """When its harness last asked whether a tool of its own may run."""
        ...

    @property
    def prompt_since(self) -> float | None:
        """Since when its harness waits at a prompt; None if it does not."""
        ...

    @property
    def tokens_until(self) -> float | None:
        """When the last of its tokens ends or ended; None: one has no end."""
        ...

    @property
    def trouble(self) -> str | None:
        """What the supervisor suspects."""
        ...

    @property
    def trouble_reason(self) -> str | None:
        """Why the supervisor suspects it."""
        ...


class ForecastFacts(PresenceFacts, Protocol):
    """The same with what is known of the member's wakes."""

    @property
    def is_verified(self) -> int | None:
        """Whether a wake of its newest listener led to an act; None if that listener has no name."""
        ...

    @property
    def unacted_at(self) -> float | None:
        """Since when its newest wakes lead to no act."""
        ...


class Forecast(BaseModel):
    """When an addressee is expected to answer; None: no estimate. `others`: members that could answer instead."""

    to: str
    mode: str
    presence: str
    standing: str
    expected_seconds: float | None
    p90_seconds: float | None
    note: str
    measured: bool = True
    """Whether the times come from acts after wakes; if not, they say when it looks next by its schedule."""
    supported: bool = True
    """Whether something keeps its mode: `live` needs a listener, `every:SECONDS` calls at that pace."""
    others: list[str] = Field(default_factory=list)


def facts_of(tx: Reading, row: PresenceFacts) -> Facts:
    """The facts about a member's presence, from its row."""
    return Facts(
        row.kind,
        row.mode,
        state_of(row, tx.now),
        row.last_call_at,
        _busy_until(tx, row),
        row.connected_at,
        tx.watched_from,
        row.trouble,
        row.trouble_reason or "",
        works_on_task=bool(row.works_on_task),
        noted_at=row.last_progress_at,
        run=run_of(row),
        tokens_until=row.tokens_until,
        listens=tx.listens(row.id),
        gate_at=row.gate_at,
        prompt_since=row.prompt_since,
    )


def run_of(row: PresenceFacts) -> Run | None:
    """The newest run of a member's listener; None if there was none."""
    if row.run_since is None or row.run_moved_at is None or row.run_heard_at is None:
        return None
    return Run(row.run_since, row.run_moved_at, row.run_heard_at, row.run_ended_at, row.slowest_run or 0.0)


def _busy_until(tx: Reading, row: PresenceFacts) -> float | None:
    """When a member's declared work ends. Pauses are looked up only once it seems to be over."""
    since = row.declared_at
    if row.busy_until is None or row.busy_until > tx.now or since is None:
        return row.busy_until
    pauses = pauses_of(tx, row.id, row.owner, since)
    spans = [(pause.since, tx.now if pause.until is None else pause.until) for pause in pauses]
    return declared_until(since, row.busy_until, [*spans, *tx.gaps])


COMPARED_NAMES = 300
"""How many names are compared with an unknown one. In a larger room, they are those with its first letter."""


def facts_named(tx: Reading, name: str) -> MemberFacts | None:
    """The row of the member with this name, in any case; None if there is none."""
    return tx.one(MemberFacts, "member_facts", name=name)


def find_member(tx: Reading, name: str) -> MemberFacts:
    """An addressee's row. Raises Refusal `not_found`."""
    row = facts_named(tx, name)
    if row is None:
        raise no_such_member(tx, name)
    return row


def no_such_member(tx: Reading, name: str, fix: str = "Call who without a name to see all members.") -> Refusal:
    """The refusal of a name that no member has, with the names that it may mean."""
    near = near_names(tx, name)
    refusal = not_found("member", f"@{name}", fix)
    if near:
        refusal.fix = f"Call again with {' or '.join('@' + other for other in near)} if you mean that member. {fix}"
        refusal.needs["near"] = near
    return refusal


def near_names(tx: Reading, name: str) -> list[str]:
    """The names of members that an unknown name probably means, the nearest first."""
    names = tx.column(str, "names_between", first="", beyond=LAST_NAME, limit=COMPARED_NAMES)
    if len(names) == COMPARED_NAMES:
        first = normalize_name(name)[:1]
        names = tx.column(str, "names_between", first=first, beyond=first + LAST_NAME, limit=COMPARED_NAMES)
    return nearest_names(name, names)


def member_changed(tx: Writing, member: int) -> None:
    """State that a member changed: in the roster, on its own page, and for itself."""
    tx.changed(topics.ROSTER, topics.member(member), topics.me(member))


def refuse_zombie(tx: Reading, row: MemberFacts, subject: str, others: str) -> None:
    """Refuse new work for a zombie, which listens but does not answer (PRS4)."""
    if find_presence(facts_of(tx, row), tx.now, tx.settings).state == "zombie":
        raise Refusal(
            "not_allowed",
            f"@{row.name} is a zombie and gets no new work: {row.trouble_reason}.",
            f"{others} Or wait until it acts, which clears it at once.",
            subject=subject,
        )


def forecast(tx: Reading, row: MemberFacts) -> Forecast:
    """The forecast for one addressee, from how long its newest answers took."""
    settings = tx.settings
    facts = facts_of(tx, row)
    expected = _expected(tx, row, facts, answer_times(tx, row.id), _wakes_of(tx, row))
    return Forecast(
        to=row.name,
        mode=facts.mode,
        presence=find_presence(facts, tx.now, settings).state,
        standing=facts.standing,
        expected_seconds=expected.expected_seconds,
        p90_seconds=expected.p90_seconds,
        note=expected.note,
        measured=expected.is_measured,
        supported=is_mode_supported(facts, tx.now, settings),
    )


def forecast_of(tx: Reading, row: ForecastFacts, facts: Facts) -> tuple[rules.Forecast, Fault]:
    """When a member is expected to act, and what is wrong with its wakes.

    From how long its newest wakes waited for an act, since when one waits, and what was seen of them.
    """
    answered, wakes = answer_times(tx, row.id), _wakes_of(tx, row)
    fault = find_wake_fault(facts, wakes, answered, tx.now, tx.settings)
    return _expected(tx, row, facts, answered, wakes), fault


def wakes_fault(tx: Reading, row: ForecastFacts, facts: Facts) -> Fault:
    """What is wrong with a member's wakes."""
    return find_wake_fault(facts, _wakes_of(tx, row), answer_times(tx, row.id), tx.now, tx.settings)


def _expected(tx: Reading, row: ForecastFacts, facts: Facts, answered: list[float], wakes: Wakes) -> rules.Forecast:
    return make_forecast(facts, answered, tx.now, tx.settings, waits_for_act(tx, row), wakes)


def _wakes_of(tx: Reading, row: ForecastFacts) -> Wakes:
    return wakes_of(tx, row.id, row.owner, row.is_verified, row.unacted_at)


def last_evidence(tx: Reading, member: int) -> float | None:
    """When a member last gave evidence of work: an act, or a right answer to a challenge; None if it never did."""
    acted = tx.one(LastAct, "last_act", member=member)
    answered = tx.only(WatchedMember, "watched", member=member).evidence_at
    return max((at for at in (None if acted is None else acted.at, answered) if at is not None), default=None)


def waits_for_act(tx: Reading, row: PresenceFacts) -> float:
    """For how many seconds a member's oldest wake has waited for an act of it. Paused time does not count."""
    at = tx.value(float, "waits_for_act", member=row.id)
    if at is None:
        return 0.0
    return max(tx.now - at - paused_seconds(pauses_of(tx, row.id, row.owner, at), at, tx.now), 0.0)
