"""The caller: its own data, and what waits for it."""

from pydantic import BaseModel

from teamroom.server.acts.act import Arguments, Read, always
from teamroom.server.acts.capabilities.probes import Probe, probes_waiting
from teamroom.server.acts.presence.presence import TaskHeld, Wake, pending_wakes, tasks_of
from teamroom.server.acts.presence.trouble import open_question
from teamroom.server.acts.reminders.reminders import Reminder, reminders_of
from teamroom.server.acts.tasks.hand_offs import OfferShown, offers_to
from teamroom.server.facts.authorization import AuthorizationShown, authorizations_of
from teamroom.server.facts.capability import CapabilityShown, capabilities_of
from teamroom.server.facts.decision import DecisionShown, decisions_of
from teamroom.server.facts.names import former_names
from teamroom.server.facts.reviewer import ReviewDue, reviews_due
from teamroom.server.facts.roles import LOG_READERS
from teamroom.server.facts.standing import pause_details, state_of
from teamroom.server.identity import Caller
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Reading


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


class Inbox(BaseModel):
    """What waits for the caller. Reading it does not acknowledge it."""

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
        wakes=wakes,
        offers=offers_to(tx, caller.member),
        probes=probes_waiting(tx, caller),
        reviews=reviews_due(tx, caller.member),
        reminders=reminders_of(tx, caller.member),
        challenge=open_question(tx, caller.member),
        decisions=decisions_of(tx, caller.member, after),
        cursor=cursor,
    )


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
