"""The loop guard: two agents that answer each other without any progress stop waking each other (QUI3)."""

from dataclasses import dataclass

TURNS_OF_A_ROUND = 2
"""A round is a turn of each."""

NOBODY = 0
"""No member has this number."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How far two agents have come in answering each other: all that one says before the other answers is one turn."""

    number: int
    author: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one more message does: its turn, whether it wakes the other, and whether the rounds end with it."""

    turn: Turn
    wakes: bool
    is_last: bool


def step(last: Turn | None, author: int, rounds: int) -> Step:
    """What a message of one agent to the other does after the last turn that counts.

    `last` is None where they begin (again): nothing was said between them since a task of either moved or a person
    spoke in it.
    """
    if last is None or last.number == 0:
        last = Turn(0, NOBODY)
    turn, end = Turn(last.number + (last.author != author), author), rounds * TURNS_OF_A_ROUND
    return Step(turn, wakes=last.number < end, is_last=last.number < end <= turn.number)
