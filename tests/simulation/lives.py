"""A team that lives in a room of its own and is judged: what a process of its own can do."""

import contextlib
from dataclasses import dataclass
from typing import Literal

from tests.models.world import clean_up
from tests.simulation.judges import FIGURES, Share, lines_of_the_room
from tests.simulation.play import FORGETFUL, HEALTHY, MIXED, play
from tests.simulation.twins import TWINS

FORGETFUL_WORK = 5.0
"""How many tasks are made for each forgetful agent and day."""

TEAMS = {"mixed": MIXED, "forgetful": FORGETFUL, "healthy": HEALTHY}


@dataclass(frozen=True)
class Life:
    """A team that lives for some days in a room of its own; `twin`: the fault that is built in."""

    team: Literal["mixed", "forgetful", "healthy"]
    days: float
    seed: int
    twin: str | None

    @property
    def agent_days(self) -> float:
        """How long all of them live together."""
        return sum(TEAMS[self.team].values()) * self.days

    def judged(self) -> tuple[list[Share], float]:
        """A share for each figure, empty where the team does not count, and the room's lines for an agent and day."""
        work = FORGETFUL_WORK if self.team == "forgetful" else 1.0
        with clean_up(), TWINS[self.twin]() if self.twin else contextlib.nullcontext():
            cast = play(TEAMS[self.team], self.days, self.seed, disturbed=self.team != "healthy", work=work)
            shares = [figure.judge(cast) if self.team in figure.teams else Share() for figure in FIGURES]
            lines = lines_of_the_room(cast)
            cast.room.end()
        return shares, lines
