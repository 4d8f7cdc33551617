"""The caller: its own data, and what waits for it."""

from typing import Annotated

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Read, always
from teamroom.server.acts.capabilities.probes import Probe, probes_waiting
from teamroom.server.acts.presence.presence import WAKES_READ, TaskHeld, Wake, pending_wakes, tasks_of
from teamroom.server.acts.presence.trouble import open_question
from teamroom.server.acts.reminders.reminders import Reminder, reminders_of
from teamroom.server.acts.tasks.hand_offs import OfferShown, offers_to
from teamroom.server.clock import rfc3339
from teamroom.server.facts.authorization import AuthorizationShown, authorizations_of
from teamroom.server.facts.capability import CapabilityShown, capabilities_of
from teamroom.server.facts.decision import DecisionShown, decisions_of
from teamroom.server.facts.ids import message_name, task_name
from teamroom.server.facts.member import facts_of
from teamroom.server.facts.names import former_names
from teamroom.server.facts.reviewer import ReviewDue, reviews_due
from teamroom.server.facts.roles import LOG_READERS
from teamroom.server.facts.standing import pause_details, state_of
from teamroom.server.identity import Caller
from teamroom.server.rules.presence import find_presence
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import RosterRow, TroubledAgent
from teamroom.server.store.rows.messages import AskToMember
from teamroom.server.store.transaction import Reading

ASKS_SHOWN, ASKS_LOOKED_AT = 50, 500
"""How many unanswered asks an inbox shows, and of how many of the newest messages to the caller."""

SUSPECTS_SHOWN = 20

TROUBLED = frozenset({"suspect", "zombie", "gone"})
"""The presence of agents that their owner should look after."""


class Nothing(Arguments):
    """A read without arguments."""


class Me(BaseModel):
    """The caller, its standing, its tasks and its capabilities. `former`: its names before, the newest first."""

    name: str
    former: list[str]
    kind: str
    role: str
    owner: str
    mode: str
    standing: str
    by: str | None = None
    reason: str | None = None
    until: str | None = None
    cursor: int
    tasks: list[TaskHeld]
    capabilities: list[CapabilityShown]
    authorizations: list[AuthorizationShown]


class AskDue(BaseModel):
    """An ask to the caller that it has not answered. `from_` is sent as `from`."""

    message: str
    from_: Annotated[str, Field(serialization_alias="from")]
    at: str
    summary: str
    task: str | None


class Suspect(BaseModel):
    """An agent of the caller's that the room suspects."""

    name: str
    presence: str
    reason: str
    since: str


class Inbox(BaseModel):
    """What waits for the caller. Reading it does not acknowledge it.

    `answered`: messages among the wakes that a person has answered.
    """

    asks: list[AskDue]
    suspects: list[Suspect]
    answered: list[str]
    wakes: list[Wake]
    offers: list[OfferShown]
    probes: list[Probe]
    reviews: list[ReviewDue]
    reminders: list[Reminder]
    challenge: str | None
    decisions: list[DecisionShown]
    cursor: int


def read_me(tx: Reading, caller: Caller, arguments: Nothing) -> Me:
    """Return the caller. A paused member may call it."""
    row = tx.principal
    standing = state_of(row, tx.now)
    return Me(
        name=caller.name,
        former=former_names(tx, caller.member),
        kind=caller.kind,
        role=caller.role,
        owner=caller.owner_name,
        mode=row.mode,
        standing=standing,
        **({} if standing == "active" else pause_details(tx, row)),
        cursor=row.acknowledged,
        tasks=tasks_of(tx, caller.member),
        capabilities=capabilities_of(tx, caller.member),
        authorizations=authorizations_of(tx, caller.member, caller.kind, caller.owner),
    )


def read_inbox(tx: Reading, caller: Caller, arguments: Nothing) -> Inbox:
    """Return what waits for the caller. A member reads only its own inbox."""
    after = tx.principal.acknowledged
    wakes, cursor = pending_wakes(tx, after, tx.only(ReadHead, "read_head").seq)
    return Inbox(
        asks=_asks(tx, caller.member),
        suspects=_suspects(tx, caller.member),
        answered=_answered(tx, caller, after),
        wakes=wakes,
        offers=offers_to(tx, caller.member),
        probes=probes_waiting(tx, caller),
        reviews=reviews_due(tx, caller.member),
        reminders=reminders_of(tx, caller.member),
        challenge=open_question(tx, caller.member),
        decisions=decisions_of(tx, caller, after),
        cursor=cursor,
    )


def _asks(tx: Reading, member: int) -> list[AskDue]:
    """The asks to a member that it has not answered, the oldest first."""
    rows = tx.all(AskToMember, "asks_to_member", member=member, looked_at=ASKS_LOOKED_AT, limit=ASKS_SHOWN)
    return [
        AskDue(
            message=message_name(row.id),
            from_=row.author,
            at=rfc3339(row.at),
            summary=row.summary,
            task=None if row.task is None else task_name(row.task),
        )
        for row in rows
    ]


def _answered(tx: Reading, caller: Caller, after: int) -> list[str]:
    """The messages since a number that woke a person, and that it has answered."""
    if caller.kind != "human":
        return []
    shown = {"member": caller.member, "after": after, "limit": WAKES_READ}
    return [message_name(id_) for id_ in tx.column(int, "answered_mentions", **shown)]


def _suspects(tx: Reading, owner: int) -> list[Suspect]:
    """An owner's agents whose presence says now that they are suspects, zombies or gone."""
    found = []
    for troubled in tx.all(TroubledAgent, "troubled_agents_of", owner=owner, limit=SUSPECTS_SHOWN):
        row = tx.only(RosterRow, "roster_member", name=troubled.name, capability="")
        presence = find_presence(facts_of(tx, row), tx.now, tx.settings)
        if presence.state in TROUBLED:
            since = tx.shown(troubled.since)
            found.append(Suspect(name=row.name, presence=presence.state, reason=presence.reason, since=since))
    return found


def check_metrics_access(tx: Reading, caller: Caller, arguments: Nothing) -> Nothing:
    """Check that the caller may read the metrics, which are not in the store."""
    return arguments


def listen(tx: Reading, caller: Caller, arguments: Nothing) -> Nothing:
    """Check that the caller may listen for changes."""
    return arguments


LISTEN = Read("listen", Nothing, listen, is_small=always)
LOOK_AROUND = Read("metrics", Nothing, check_metrics_access, roles=LOG_READERS, is_small=always)
READ_ME = Read("me", Nothing, read_me, while_paused=True, is_small=always)
READ_INBOX = Read("inbox", Nothing, read_inbox, is_small=always)
