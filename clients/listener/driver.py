"""What takes an agent's turns for its listener. Each harness has a driver, and a plain command has one too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import anyio.abc

from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.movement import Movement

Woken = Callable[[str], None]
"""Says, in words for the owner, that the harness was seen to start with the wakes. Called once a turn at most."""


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """How a turn ended. `code`: 0 if it ended well, as exit codes are. `words`: what ended and how, for the owner.

    `call_seconds`: the turn goes on where the driver cannot see its end, and so long may its first call take.
    """

    code: int | None
    words: str
    call_seconds: float = 0.0


class Driver(Protocol):
    """Takes one turn after another: each with a batch of wakes, and never two at once.

    It starts what it needs and ends it again, with all processes below. It never raises for what a harness does: a
    turn that a harness could not take has another code than 0. The listener waits, backs off, and tells the room.
    """

    @property
    def turn(self) -> str:
        """What takes a turn, such as "the command"."""
        ...

    @property
    def program(self) -> str:
        """The program that takes the turns, without its folder; the room shows where it runs."""
        ...

    @property
    def describes(self) -> str:
        """What a wake does, as a sentence for the owner."""
        ...

    @property
    def movement(self) -> Movement | None:
        """The processes of the turn that is on, from the moment that the harness was seen to start."""
        ...

    def begin(self, tasks: anyio.abc.TaskGroup, variables: Mapping[str, str]) -> None:
        """Start what should run before the first wake comes. `tasks` last as long as the listener."""
        ...

    async def take_turn(self, batch: Batch, woken: Woken) -> TurnEnd:
        """Take one turn. Nothing that it started is left without a turn if this is cancelled and `end` is called."""
        ...

    async def end(self, seconds: float) -> None:
        """End everything that it started, with all processes below, by force after some seconds. The turn ends too."""
        ...
