"""Who reviews a completion: pure functions of facts about the members that could."""

from collections.abc import Sequence
from dataclasses import dataclass

from teamroom.server.rules.presence import PresenceState

LIVENESS: dict[PresenceState, int] = {"live": 0, "working": 0, "asleep": 1, "overdue": 2, "suspect": 3}
"""The states in which a member can be asked, the likeliest to answer first. In any other state it would not answer."""

NAMED_LOST: frozenset[PresenceState] = frozenset({"killed", "gone"})
"""The states in which a named reviewer is replaced. Unlike a chosen one, it is kept while it is paused."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member that did not complete the task."""

    member: int
    other_owner: bool
    held_it: bool
    is_agent: bool
    state: PresenceState
    last_call_at: float


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """Choose a reviewer by REV1; None if nobody is available.

    A member of another owner comes first, then one that never held the task, then any other. Among equals the
    likeliest to answer wins, then agents before people, then the latest caller.
    """
    available = [candidate for candidate in candidates if candidate.state in LIVENESS]
    return min(available, key=_rank, default=None)


def is_lost(state: PresenceState, named: bool) -> bool:
    """Whether a reviewer has to be replaced."""
    return state in NAMED_LOST if named else state not in LIVENESS


def _rank(candidate: Candidate) -> tuple[bool, bool, int, bool, float, int]:
    return (
        not candidate.other_owner,
        candidate.held_it,
        LIVENESS[candidate.state],
        not candidate.is_agent,
        -candidate.last_call_at,
        candidate.member,
    )
