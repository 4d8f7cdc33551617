"""Whether a member is stopped, at each of the three levels."""

from typing import NoReturn, Protocol

from teamroom.server import topics
from teamroom.server.refusals import Refusal
from teamroom.server.rules.standing import Level, Standing, State, StoredStanding, decide
from teamroom.server.rules.text import inline
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import Principal
from teamroom.server.store.transaction import Reading, Writing

ROOM = 0
"""The target of a standing that binds the whole room."""

ACTIVE = Standing("active", "member")

RETRY_SECONDS = 60
"""After how many seconds a member should retry under a pause without an end."""


class Levels(Protocol):
    """A row with a member's standing at three levels, as the view `member_standing` has it."""

    @property
    def kind(self) -> str:
        """Whether it is an agent, a person or the room itself."""
        ...

    @property
    def own_state(self) -> str | None:
        """What is stored for the member itself."""
        ...

    @property
    def own_until(self) -> float | None:
        """When that ends."""
        ...

    @property
    def owner_state(self) -> str | None:
        """What is stored for the agents of its owner."""
        ...

    @property
    def owner_until(self) -> float | None:
        """When that ends."""
        ...

    @property
    def room_state(self) -> str | None:
        """What is stored for the room."""
        ...

    @property
    def room_until(self) -> float | None:
        """When that ends."""
        ...


def standing_in_force(row: Levels, now: float) -> Standing:
    """The standing in force for a member, and its level. The most restrictive one wins."""
    if row.own_state == row.owner_state == row.room_state == "active":  # as nearly always
        return ACTIVE
    return decide(
        row.kind,
        StoredStanding(row.own_state, row.own_until),
        StoredStanding(row.owner_state, row.owner_until),
        StoredStanding(row.room_state, row.room_until),
        now,
    )


def state_of(row: Levels, now: float) -> State:
    """The state of a member for readers: a standing that is missing or unreadable counts as paused."""
    return standing_in_force(row, now).state or "paused"


def is_killed(row: Levels) -> bool:
    """Whether a member was killed and not revived."""
    return row.own_state == "killed"


def own_pause_ends(row: Levels, now: float, longest_seconds: float) -> float | None:
    """When a member's own pause ends, None while it has none. A pause without an end is given `longest_seconds`."""
    if StoredStanding(row.own_state, row.own_until).in_force(now) != "paused":
        return None
    return row.own_until if row.own_until is not None else now + longest_seconds


def pauses_above(row: Levels, level: Level, now: float) -> list[Level]:
    """The levels above one at which an agent is paused now, the highest first."""
    above = {
        "room": StoredStanding(row.room_state, row.room_until),
        "owner": StoredStanding(row.owner_state, row.owner_until),
    }
    levels: dict[Level, tuple[Level, ...]] = {"member": ("room", "owner"), "owner": ("room",), "room": ()}
    return [name for name in levels[level] if above[name].in_force(now) == "paused"]


def stored_standing(tx: Reading, level: Level, target: int) -> StandingRow:
    """What is stored at one level. `target`: a member, or `ROOM`. Raises MissingRowError."""
    return tx.only(StandingRow, "standing", scope=level, target=target)


def stored_state(row: StandingRow, now: float) -> State | None:
    """The state of one level at this moment. None: it is unreadable, which denies."""
    return StoredStanding(row.state, row.until).in_force(now)


def standing_changed(tx: Writing, level: Level, target: int) -> None:
    """State that a standing changed: in the roster, and for every member that it binds."""
    own = (topics.member(target), topics.me(target))
    tx.changed(topics.ROSTER, *{"member": own, "owner": (topics.owner(target),), "room": (topics.ROOM,)}[level])


def pause_in_force(tx: Reading, row: Principal) -> StandingRow | None:
    """The pause to show to a caller: its own first, then its owner's, then the room's."""
    targets: tuple[tuple[Level, int], ...] = (("member", row.member), ("owner", row.owner), ("room", ROOM))
    for level, target in targets:
        found = stored_standing(tx, level, target)
        if stored_state(found, tx.now) == "paused":
            return found
    return None


def pause_details(tx: Reading, row: Principal) -> dict[str, str | None]:
    """Who paused a caller, why and until when, as replies say it; empty while it is not paused."""
    found = pause_in_force(tx, row)
    if found is None:
        return {}
    until = None if found.until is None else tx.shown(found.until)
    return {"by": found.by_name, "reason": found.reason, "until": until}


def require_active(tx: Reading, row: Principal, *, while_paused: bool) -> None:
    """Refuse a caller that is stopped, with who stopped it, why and until when. Raises Refusal.

    `while_paused`: the call is allowed during a pause.
    """
    standing = standing_in_force(row, tx.now)
    if standing.state != "active" and not (standing.state == "paused" and while_paused):
        _refuse(tx, standing, row)


def _refuse(tx: Reading, standing: Standing, row: Principal) -> NoReturn:
    if standing.state is None:
        raise Refusal(
            "not_allowed",
            "Your standing in this room is missing or unreadable, so the room denies every call.",
            "Tell your owner to run `teamroom doctor`.",
        )
    target = {"member": row.member, "owner": row.owner, "room": ROOM}[standing.level]
    stored = stored_standing(tx, standing.level, target)
    if standing.state == "killed":
        raise Refusal(
            "killed",
            f"You were killed by @{stored.by_name}: {inline(stored.reason)}.",
            f"Stop, and make no more calls. Tell the person who started you; only an owner can revive @{row.name}.",
            by=stored.by_name,
            reason=stored.reason,
        )
    until = stored.until
    retry = RETRY_SECONDS if until is None else max(round(until - tx.now + 0.5), 1)
    subject = {"member": "You are", "owner": "All agents of your owner are", "room": "The whole room is"}[
        standing.level
    ]
    ends = f", until {tx.shown(until)}" if until is not None else ""
    raise Refusal(
        "paused",
        f"{subject} paused by @{stored.by_name} since {tx.shown(stored.since)}{ends}: {inline(stored.reason)}.",
        f"Stop working and wait. Call heartbeat every {retry} s, or end your turn if you cannot wait; continue once "
        "it says that your standing is active.",
        by=stored.by_name,
        reason=stored.reason,
        since=tx.shown(stored.since),
        until=tx.shown(until) if until is not None else None,
        retry_after_seconds=retry,
    )
