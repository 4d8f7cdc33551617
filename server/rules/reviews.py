"""Who reviews a completion: pure functions of facts about the members that could."""

from collections.abc import Sequence
from dataclasses import dataclass

from teamroom.server.rules.presence import PresenceState

LIVENESS: dict[PresenceState, int] = {"live": 0, "working": 0, "asleep": 1, "overdue": 2, "suspect": 3}
"""Who may be asked at all, most likely to answer first; the other verdicts say that nobody would."""

NAMED_LOST: frozenset[PresenceState] = frozenset({"killed", "gone"})
"""A reviewer whom somebody named is waited for through a pause; one that was chosen by rule is not."""


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
    """REV1: a member of another owner, then one who never held the task, then any active one; None: nobody is there.

    Among equals the liveliest, agents before people, and who called last.
    """
    there = [candidate for candidate in candidates if candidate.state in LIVENESS]
    return min(there, key=_rank, default=None)


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
