"""Scripted agents, each like one that people have met: honest ones in every rhythm, and those that go wrong.

An agent sees only what the room answers it. What it really is, and when it went wrong, is noted for the judges.
"""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from teamroom.server.acts.act import AnyAct
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence.presence import CHECK_IN, HEARTBEAT
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK, REVIEW_TASK
from teamroom.server.acts.tasks.tasks import UPDATE_TASK
from tests.simulation.room import HOUR, MINUTE, SimulatedRoom, is_refused

NONCE = re.compile(r'answer "([0-9a-f]+) ')
MESSAGE = re.compile(r"M-[0-9]+")


@dataclass
class Records:
    """What really happened, for the judges: what no table of the room says."""

    forecasts: list[tuple[str, float, float]] = field(default_factory=list)
    """Addressee, when it was posted, and the forecast's 90th percentile in seconds."""
    seen: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Of each member: when it looked, and up to when it has seen everything then."""
    dropped: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Tasks that their holder forgot, and when."""
    snoozes: list[tuple[str, float, float]] = field(default_factory=list)
    spells: list[tuple[str, float, float]] = field(default_factory=list)
    """Who was what it is not supposed to be, since when and until when."""


class Agent:
    """A member with a mind: it looks, answers what it is asked, and works on what it holds."""

    honest: ClassVar[bool] = True
    mode: ClassVar[str] = "live"
    forgets: ClassVar[float] = 0.05
    """How often it forgets a task that it has claimed."""
    heeds: ClassVar[float] = 0.7
    """How often a reminder makes it remember."""

    def __init__(self, name: str, room: SimulatedRoom, records: Records) -> None:
        self.name, self.room, self.records = name, room, records
        self.dice = room.dice
        self.cursor: int | None = None
        self.forgotten: set[str] = set()
        self.last_post = ""
        self.down = False
        self.posts = 0

    # -------------------------------------------------------------- its rhythm

    def start(self) -> None:
        """Begin to live."""
        self.listen()
        self.room.after(self.dice.uniform(0, HOUR), self.begin_something)

    def listen(self) -> None:
        """Hold a stream open, and wake soon after each nudge."""
        self.room.world.listening.add(self.room.ids[self.name])
        self.room.on_wake[self.room.ids[self.name]] = self.nudged

    def nudged(self) -> None:
        """The room has something for it."""
        self.room.after(self.dice.lognormvariate(2.5, 0.8), self.look)

    def begin_something(self) -> None:
        """Now and then it takes a task, or has something to ask, by itself."""
        if not self.down:
            if self.dice.random() < 0.5:
                self.claim()
            elif self.dice.random() < 0.4:
                self.ask(self.dice.choice(self.room.team))
        self.room.after(self.dice.expovariate(1 / (6 * HOUR)), self.begin_something)

    # -------------------------------------------------------------- what it does

    def call(self, act: AnyAct, **arguments: Any) -> Any:
        """Act in the room; the reply, or the refusal."""
        return self.room.act(self.name, act, **arguments)

    def look(self) -> None:
        """Check in, and see to everything that is there."""
        if self.down:
            return
        found = self.call(CHECK_IN, after=self.cursor)
        if is_refused(found):
            if found.code == "expired":
                self.cursor = None
            return
        self.records.seen.setdefault(self.name, []).append((self.room.now, self.room.now))
        self.cursor = found.cursor
        later = self.room.after
        if found.challenge is not None:
            later(self.dice.uniform(1, 60), lambda: self.answer_challenge(found))
        for wake in found.wakes:
            if wake.reason == "mention" and "?" in wake.line:
                later(self.think(), lambda wake=wake: self.reply_to(wake.subject))
            elif wake.reason == "assigned" or "claim_task" in wake.line:
                later(self.think(), lambda wake=wake: self.claim(wake.subject))
        for offer in found.offers:
            later(self.think(), lambda offer=offer: self.answer_offer(offer))
        for review in found.reviews:
            later(self.think(), lambda review=review: self.review(review.task))
        for owed in found.reminders:
            if owed.subject.startswith("M-"):
                later(self.think(), lambda owed=owed: self.reply_to(owed.subject))
            elif self.dice.random() < self.heeds:
                self.forgotten.discard(owed.subject)
        for task in found.tasks:
            if task.task not in self.forgotten and task.state == "claimed":
                later(self.think(), lambda task=task: self.work(task))

    def think(self) -> float:
        """How long it takes to come to something."""
        return self.dice.uniform(5, 120)

    def answer_challenge(self, found: Any) -> None:
        """Do what the room's question says."""
        if self.down:
            return
        nonce = NONCE.search(found.challenge)
        assert nonce is not None, found.challenge
        if "task that you hold" in found.challenge:
            answer = found.tasks[0].task if found.tasks else ""
        else:
            answer = self.last_post if "messages" in found.challenge else self.name
        self.call(HEARTBEAT, answer=f"{nonce[1]} {answer}")

    def reply_to(self, message: str) -> None:
        """Answer what was asked."""
        self.post(text=f"an answer of {self.name}, {self.posts}", reply_to=message)

    def ask(self, name: str) -> None:
        """Ask somebody something."""
        if name != self.name:
            self.post(text=f"what about this, {self.posts}?", to=[name], kind="ask")

    def post(self, **arguments: Any) -> None:
        """Post, and note what the room forecasts."""
        if self.down:
            return
        self.posts += 1
        reply = self.call(POST_MESSAGE, **arguments)
        if is_refused(reply):
            return
        self.last_post = reply.message
        for forecast in reply.forecast:
            if forecast.p90_seconds is not None:
                self.records.forecasts.append((forecast.to, self.room.now, forecast.p90_seconds))

    def claim(self, task: str | None = None) -> None:
        """Take a task, and work on it or forget it."""
        if self.down:
            return
        reply = self.call(CLAIM_TASK, task=task)
        if not is_refused(reply) and self.dice.random() < self.forgets:
            self.forget(reply.task)
        elif not is_refused(reply):
            self.room.after(self.dice.uniform(5, 25) * MINUTE, self.look)

    def forget(self, task: str) -> None:
        """Nothing more is done about a task, until somebody reminds it."""
        self.forgotten.add(task)
        self.records.dropped.setdefault(task, (self.name, self.room.now))

    def work(self, task: Any) -> None:
        """Bring a task on: a note, the end, another member, or a stop."""
        if self.down or task.task in self.forgotten:
            return
        chance = self.dice.random()
        held: dict[str, Any] = {"task": task.task, "fence": task.fence}
        if chance < 0.45:
            self.call(UPDATE_TASK, **held, note=f"{self.name} is further, {self.room.now}")
        elif chance < 0.75:
            self.call(COMPLETE_TASK, **held, summary="it is done", evidence=[])
            return
        elif chance < 0.85:
            self.hand_off(held)
            return
        elif chance < 0.9:
            until = self.dice.uniform(1, 48) * HOUR
            if not is_refused(self.call(UPDATE_TASK, **held, snooze_until=until)):
                self.records.snoozes.append((task.task, self.room.now, self.room.now + until))
        elif chance < 0.95:
            self.call(UPDATE_TASK, **held, status="blocked", blocked_on="604800", note="the registry mirror")
            hours = self.dice.uniform(1, 12)
            self.room.after(hours * HOUR, lambda: self.go_on(held))
        else:
            self.forget(task.task)
            return
        self.room.after(self.dice.uniform(10, 25) * MINUTE, self.look)

    def go_on(self, held: dict[str, Any]) -> None:
        """What a task was blocked on is there."""
        if not self.down:
            self.call(UPDATE_TASK, **held, status="working", note="it is there")

    def hand_off(self, held: dict[str, Any]) -> None:
        """Offer a task to somebody."""
        reply = self.call(HAND_OFF, **held, to=self.dice.choice(self.room.team), note="this is yours")
        if is_refused(reply):
            self.call(UPDATE_TASK, **held, note=f"{self.name} goes on, {self.room.now}")

    def answer_offer(self, offer: Any) -> None:
        """Take what is offered, or not."""
        if not self.down:
            accept = self.dice.random() < 0.7
            self.call(ANSWER_HAND_OFF, offer=offer.offer, accept=accept, **({} if accept else {"reason": "no time"}))

    def review(self, task: str) -> None:
        """Judge what somebody else did."""
        if not self.down:
            verdict = "accept" if self.dice.random() < 0.85 else "send_back"
            self.call(REVIEW_TASK, task=task, verdict=verdict, note="looked at it")
