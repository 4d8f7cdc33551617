"""The room of a simulation: its clock, what happens next, and the supervisor that does what is due in between."""

import heapq
import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teamroom.server.acts.act import AnyAct, Reply
from teamroom.server.clock import RoomClock
from teamroom.server.store.transaction import Context, Effects
from tests.models.engines import StoreWithoutThreads
from tests.models.world import Plan, World

DAY, HOUR, MINUTE = 86_400.0, 3600.0, 60.0

EVENTS_AT_ONCE = 1_000_000
"""A simulation that has more events at one moment goes round in circles."""


class SimulatedWorld(World):
    """A world whose randomness has a seed, whose streams are open or not, and that says what its acts caused."""

    def __init__(self, plan: Plan, dice: random.Random, caused: Callable[[Effects], None]) -> None:
        self._dice, self._caused = dice, caused
        self.listening: set[int] = set()
        super().__init__(plan)

    def _open(self, folder: Path) -> StoreWithoutThreads:
        self.watch = RoomClock(lambda: self.wall, lambda: self.now, self.settings.clock_step_seconds)
        listens = self.listening.__contains__
        context = Context(self.statements, self.settings, self._dice.randbytes, self.watch, listens=listens)
        return StoreWithoutThreads(folder, context, lambda effects: self._caused(effects))


class SimulatedRoom:
    """Events in their order on a virtual clock. Between two of them the supervisor ticks whenever something is due."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.dice = random.Random(seed)
        self.on_wake: dict[int, Callable[[], None]] = {}
        """What a member's listener does when it is nudged."""
        self.team: list[str] = []
        """Agents that can be asked and offered things."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._due = 0.0
        self.world = SimulatedWorld(plan, random.Random(seed + 1), self._caused)
        self.ids = {name: caller.member for name, caller in self.world.callers.items()}

    @property
    def now(self) -> float:
        """The time that has passed."""
        return self.world.now

    def at(self, time: float, do: Callable[[], None]) -> None:
        """Let something happen at a time."""
        heapq.heappush(self._events, (time, next(self._order), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Let something happen in a while."""
        self.at(self.now + seconds, do)

    def act(self, name: str, act: AnyAct, /, **arguments: Any) -> Any:
        """A member acts; the reply, or the refusal."""
        return self.world.act(name, act, **arguments)

    def run(self, days: float) -> None:
        """Let days pass."""
        end = self.now + days * DAY
        same_moment = 0
        while self._events and self._events[0][0] <= end:
            time, _, do = heapq.heappop(self._events)
            self._supervise(time)
            same_moment = same_moment + 1 if time <= self.now else 0
            assert same_moment < EVENTS_AT_ONCE, "nothing moves on"
            self.world.now = max(self.now, time)
            do()
        self._supervise(end)
        self.world.now = max(self.now, end)

    def sleep(self, seconds: float) -> None:
        """The server's machine sleeps: whatever should have happened meanwhile happens when it is awake again."""
        self.world.sleep(seconds)
        self._due = 0.0

    def step_clock(self, seconds: float) -> None:
        """Somebody sets the server's clock, which the agents do not notice."""
        self.world.step_clock(seconds)
        self._due = 0.0

    def restart(self, seconds: float) -> None:
        """The server is killed, and comes back after a while; streams open again as it does."""
        self.world.now += seconds
        self.world.crash()
        self._due = 0.0

    def end(self) -> None:
        """Take the room away."""
        self.world.end()

    def _caused(self, effects: Effects) -> None:
        self._due = min(self._due, effects.due)
        for member in effects.woken:
            if (wake := self.on_wake.get(member)) is not None:
                wake()

    def _supervise(self, until: float) -> None:
        """Tick at each moment until a time at which something is due."""
        while self._due <= until:
            self.world.now = max(self.now, self._due)
            self._due = math.inf
            next_due = self.world.tick()
            self._due = max(min(self._due, next_due), self.now + 0.001)


def is_refused(answer: Any) -> bool:
    """Whether an act was refused, or its answer lost on the way."""
    return not isinstance(answer, Reply)
