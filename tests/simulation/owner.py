"""The person who answers for the agents of a simulation."""

from teamroom.server.acts.control.control import PAUSE, RESUME
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from tests.simulation.agents import Agent
from tests.simulation.room import DAY, HOUR, is_refused


class Owner(Agent):
    """Looks every few hours by day, gives work out, sees to what is stuck, and pauses somebody now and then."""

    forgets = 0.0
    work = 1.0
    """How many tasks it makes for each agent and day."""

    def start(self) -> None:
        self.room.after(HOUR, self.visit)
        self.room.after(self.dice.uniform(0, HOUR), self.give_work)

    def visit(self) -> None:
        """One look, by day."""
        if 8 <= (self.room.now / HOUR) % 24 < 23:
            self.look()
            self.resolve()
        self.room.after(self.dice.uniform(2, 5) * HOUR, self.visit)

    def give_work(self) -> None:
        """A task for anybody, or for somebody."""
        given = {"assign": self.dice.choice(self.room.team)} if self.dice.random() < 0.3 else {}
        reply = self.call(CREATE_TASK, title=f"work {self.posts}", **given)
        self.posts += 1
        if not is_refused(reply) and given and self.dice.random() < 0.1:
            self.records.dropped.setdefault(reply.task, (given["assign"], self.room.now))
        self.room.after(self.dice.expovariate(self.work * len(self.room.team) / DAY), self.give_work)

    def resolve(self) -> None:
        """Take from whoever does nothing what was escalated, and ask somebody who went wrong."""
        for row in self.room.world.look(
            "select distinct subject from log where act = 'escalate' and subject like 'T-%' and subject in "
            "(select 'T-' || id from task where state in ('claimed', 'blocked', 'open'))"
        ):
            self.call(UPDATE_TASK, task=row[0], status="cancelled", note="nobody gets to it")
        for name, _, until in self.records.spells:
            if until > self.room.now and self.dice.random() < 0.3:
                self.ask(name)

    def pause_somebody(self) -> None:
        """Stop somebody for an hour or two."""
        name = self.dice.choice(self.room.team)
        if not is_refused(self.call(PAUSE, target=name, reason="a look")):
            hours = self.dice.uniform(0.2, 3)
            self.room.after(hours * HOUR, lambda: self.call(RESUME, target=name, reason="it is right"))
        self.room.after(self.dice.expovariate(1 / (8 * HOUR)), self.pause_somebody)
