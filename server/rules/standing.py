"""Who may act now: the standing at three levels, of which the most restrictive wins."""

from typing import Literal, NamedTuple

State = Literal["active", "paused", "killed"]
Level = Literal["member", "owner", "room"]
STATES = ("active", "paused", "killed")
LEVELS = ("member", "owner", "room")


class StoredStanding(NamedTuple):
    """What is stored at one level: a state, and when it ends automatically."""

    state: str | None
    until: float | None

    def in_force(self, now: float) -> State | None:
        """The state at this moment. None: it is missing or unreadable, which denies."""
        if self.state not in STATES:
            return None
        if self.state == "paused" and self.until is not None and self.until <= now:
            return "active"
        return self.state  # type: ignore[return-value]


class Standing(NamedTuple):
    """The standing in force for a member, and the level it comes from. `state` None denies."""

    state: State | None
    level: Level


def decide(kind: str, member: StoredStanding, owner: StoredStanding, room: StoredStanding, now: float) -> Standing:
    """The standing of a member. A standing of an owner or of the room binds agents only."""
    own = member.in_force(now)
    if own is None or own == "killed":
        return Standing(own, "member")
    if kind == "agent":
        levels: tuple[tuple[Level, StoredStanding], ...] = (("room", room), ("owner", owner))
        for level, setting in levels:
            state = setting.in_force(now)
            if state not in ("active", "paused"):
                return Standing(None, level)
            if state == "paused" and own == "active":
                return Standing("paused", level)
    return Standing(own, "member")
