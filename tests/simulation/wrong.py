"""Agents that go wrong, in every way that people have met, and tell the judges when they did."""

from teamroom.server.acts.presence.presence import CHECK_IN, HEARTBEAT
from tests.simulation.agents import Agent
from tests.simulation.honest import Live
from tests.simulation.room import DAY, HOUR, MINUTE, is_refused


class GoesWrong(Agent):
    """Honest for a day or more, then wrong until somebody repairs it, again and again."""

    honest = False

    def start(self) -> None:
        super().start()
        self.room.after(self.dice.uniform(1, 3) * DAY, self.go_wrong)

    def go_wrong(self) -> None:
        """From now on it is what its name says."""
        self.down = True
        until = self.room.now + self.dice.uniform(5, 30) * HOUR
        self.records.spells.append((self.name, self.room.now, until))
        self.room.at(until, self.be_repaired)

    def be_repaired(self) -> None:
        """It is started anew, and looks."""
        self.down = False
        self.listen()
        self.look()
        self.room.after(self.dice.uniform(0.5, 3) * DAY, self.go_wrong)


class Crashed(GoesWrong):
    """Its process dies: no stream, no calls."""

    def go_wrong(self) -> None:
        super().go_wrong()
        self.room.world.listening.discard(self.room.ids[self.name])
        self.room.on_wake.pop(self.room.ids[self.name], None)


class GatewayOnly(GoesWrong):
    """Its gateway beats and listens on, and nobody thinks behind it."""

    declared = 0.0
    """For how long it may be taken to be at work, by what it said when it went wrong."""

    def go_wrong(self) -> None:
        super().go_wrong()
        self.beat()

    def beat(self) -> None:
        """I am here, says the gateway."""
        if self.down:
            self.call(HEARTBEAT)
            self.room.after(4 * MINUTE, self.beat)


class SameNote(GatewayOnly):
    """Says the same of its work again and again."""

    declared = 30 * MINUTE

    def beat(self) -> None:
        if self.down:
            self.call(HEARTBEAT, note="working on it", busy_until=self.declared)
            self.room.after(5 * MINUTE, self.beat)


class Hoarder(Live):
    """Claims whatever is there and works on none of it; it answers, though."""

    forgets = 1.0
    heeds = 0.0

    def begin_something(self) -> None:
        self.claim()
        self.room.after(2 * HOUR, self.begin_something)


class Forgetful(Live):
    """Takes all it can, asks a lot, and forgets most of what it began; a reminder seldom helps."""

    honest = False
    forgets = 0.9
    heeds = 0.05

    def begin_something(self) -> None:
        if not self.down:
            self.claim()
            if self.dice.random() < 0.2:
                self.ask(self.dice.choice(self.room.team))
        self.room.after(self.dice.uniform(0.5, 2) * HOUR, self.begin_something)

    def reply_to(self, message: str) -> None:
        if self.dice.random() < self.heeds:
            super().reply_to(message)


class Narrator(Live):
    """Tells everybody what it is about to do, thirty times an hour by day."""

    def start(self) -> None:
        super().start()
        self.room.after(MINUTE, self.narrate)

    def narrate(self) -> None:
        """One more line."""
        if 9 <= (self.room.now / HOUR) % 24 < 11:
            self.post(text=f"now I look at file {self.posts}")
        self.room.after(2 * MINUTE, self.narrate)


class Thankful(Live):
    """Thanks whoever thanked it."""

    other = ""

    def start(self) -> None:
        super().start()
        self.room.after(self.dice.uniform(0, DAY), self.thank)

    def thank(self) -> None:
        """Begin again each day."""
        self.post(text=f"thank you @{self.other}, {self.posts}")
        self.room.after(DAY, self.thank)

    def look(self) -> None:
        before = self.cursor
        super().look()
        if self.cursor != before and self.cursor is not None:
            found = self.call(CHECK_IN)
            if not is_refused(found) and any(wake.from_ == self.other for wake in found.wakes):
                self.room.after(self.think(), lambda: self.post(text=f"no, thank you @{self.other}, {self.posts}"))
