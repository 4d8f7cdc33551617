"""The loop guard: agents that only answer each other, as a pair or round a ring, stop waking each other (QUI3)."""

import re
from typing import NamedTuple

ASKING = frozenset({"ask", "alert"})
"""The kinds of message that ask for an answer."""

QUESTION = re.compile(r"\?(?![\w=&/%])|[\uff1f\u061f\u037e\u055e\u1367\u2047\u2048\u2049\ufe16\ufe56\ua60f]")
"""A question mark of any script, but not one of an address."""

TURNS_OF_A_ROUND = 2
"""A round is one turn of each agent."""

NOBODY = 0
"""No member has this number."""


class Turn(NamedTuple):
    """How many turns two agents have taken, and who took the last one.

    Everything that one agent says before the other answers is one turn.
    """

    number: int
    author: int


class Step(NamedTuple):
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


RING_MEMBERS = 16
"""The largest ring that is noticed."""


def next_lap(last: int, has_heard: bool, has_come_round: bool) -> int:
    """How often a ring has come round with one more message from an agent to the next one of the ring.

    `last`: as of its last message to the same agent. `has_heard`: whether an agent has written to it since.
    `has_come_round`: whether that was caused, through at least one other agent, by its own last message.
    """
    if not has_heard:
        return last
    return max(last, 1) + 1 if has_come_round else 0


def asks_something(kind: str, text: str) -> bool:
    """Whether a message asks for an answer: by its kind, or with a question mark."""
    return kind in ASKING or QUESTION.search(text) is not None
