"""The loop guard: two agents that only answer each other stop waking each other (QUI3)."""

from dataclasses import dataclass

TURNS_OF_A_ROUND = 2
"""A round is one turn of each agent."""

NOBODY = 0
"""No member has this number."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How many turns two agents have taken, and who took the last one.

    Everything that one agent says before the other answers is one turn.
    """

    number: int
    author: int


@dataclass(frozen=True, slots=True)
class Step:
    """The effect of one more message: its turn, and whether it wakes the other agent.

    `is_last`: no later message wakes the other agent until they start over.
    """

    turn: Turn
    wakes: bool
    is_last: bool


def step(last: Turn | None, author: int, rounds: int) -> Step:
    """The effect of a message from one agent to the other, after the last turn that counts.

    `last` is None when they start over. They do so when somebody else moves a task of either, or a person takes part.
    """
    if last is None or last.number == 0:
        last = Turn(0, NOBODY)
    turn, end = Turn(last.number + (last.author != author), author), rounds * TURNS_OF_A_ROUND
    return Step(turn, wakes=last.number < end, is_last=last.number < end <= turn.number)
