"""Honest agents, in every rhythm that people have met: none of them may ever be named zombie."""

from typing import Any

from teamroom.server.acts.act import AnyAct
from teamroom.server.acts.presence.presence import HEARTBEAT
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import UPDATE_TASK
from tests.simulation.agents import Agent
from tests.simulation.room import DAY, HOUR, MINUTE, is_refused


class Live(Agent):
    """Listens all day, and answers within a minute."""


class Episodic(Agent):
    """Looks every five minutes, a little early or late."""

    mode = "every:300"
    every = 5 * MINUTE

    def start(self) -> None:
        self.room.after(self.dice.uniform(0, self.every), self.episode)
        self.room.after(self.dice.uniform(0, HOUR), self.begin_something)

    def episode(self) -> None:
        """One look, and the time of the next."""
        if self.is_awake():
            self.look()
        self.room.after(self.every * self.dice.uniform(0.9, 1.1), self.episode)

    def is_awake(self) -> bool:
        """Whether it looks now."""
        return not self.down

    def think(self) -> float:
        return self.dice.uniform(5, 60)


class Rare(Episodic):
    """Looks every two hours."""

    mode = "every:7200"
    every = 2 * HOUR


class NightsOff(Episodic):
    """Looks every five minutes by day, and not at all by night."""

    def is_awake(self) -> bool:
        return not self.down and 7 <= (self.room.now / HOUR) % 24 < 22


class Flaky(Episodic):
    """Behind a network that loses calls and answers, and is away now and then; it tries again, as clients do."""

    tries = 3

    def start(self) -> None:
        super().start()
        self.room.after(self.dice.expovariate(1 / DAY), self.lose_the_network)

    def call(self, act: AnyAct, **arguments: Any) -> Any:
        for _ in range(self.tries):
            if self.dice.random() < 0.1:
                continue  # the call was lost
            reply = super().call(act, **arguments)
            if self.dice.random() >= 0.1:
                return reply
        return LOST

    def lose_the_network(self) -> None:
        """Nothing goes through for a while."""
        self.down = True
        self.room.after(self.dice.uniform(5, 90) * MINUTE, self.find_the_network)

    def find_the_network(self) -> None:
        """It is back."""
        self.down = False
        self.room.after(self.dice.expovariate(1 / DAY), self.lose_the_network)


class Busy(Live):
    """Works for hours without looking, says so with moving notes, and reports what moved every few hours."""

    reports_every = 6

    def claim(self, task: str | None = None) -> None:
        if self.down:
            return
        reply = self.call(CLAIM_TASK, task=task)
        if not is_refused(reply):
            self.down = True
            self.checkpoint(reply.task, reply.fence, self.dice.randrange(3, 20))

    def checkpoint(self, task: str, fence: int, left: int) -> None:
        """One step of long work; at its end the task is done."""
        if left == 0:
            self.down = False
            self.call(COMPLETE_TASK, task=task, fence=fence, summary="it is done", evidence=[])
            self.room.after(self.dice.uniform(1, 30), self.look)
            return
        if left % self.reports_every == 0:
            self.call(UPDATE_TASK, task=task, fence=fence, note=f"{left} steps are left")
        if is_refused(self.call(HEARTBEAT, task=task, note=f"step {left} of {task}", busy_until=40 * MINUTE)):
            self.down = False  # the task is no longer its own
            self.look()
            return
        self.room.after(self.dice.uniform(15, 30) * MINUTE, lambda: self.checkpoint(task, fence, left - 1))


class Suspended(Live):
    """Lives on a laptop that is closed three times a day."""

    def start(self) -> None:
        super().start()
        self.room.after(self.dice.expovariate(3 / DAY), self.close)

    def close(self) -> None:
        """The lid: no stream, no calls."""
        self.down = True
        self.room.world.listening.discard(self.room.ids[self.name])
        self.room.on_wake.pop(self.room.ids[self.name], None)
        self.room.after(self.dice.uniform(10 * MINUTE, 6 * HOUR), self.open)

    def open(self) -> None:
        """It goes on where it was."""
        self.down = False
        self.listen()
        self.room.after(self.dice.uniform(1, 30), self.look)
        self.room.after(self.dice.expovariate(3 / DAY), self.close)


class _Lost:
    """What comes of a call that the network lost: nobody knows whether it was carried out."""

    code = "lost"


LOST: Any = _Lost()
