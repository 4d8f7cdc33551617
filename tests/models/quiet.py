"""Quiet: notes beyond an hour's budget are folded, asks and alerts refused, agents that only answer each other stopped.

The oracle keeps every message it sent and counts; the room looks the newest ones up. Wakes are told joined: counted
apart again, each is told, and told once.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from teamroom.server.acts.messages import exchanges
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence.presence import CHECK_IN
from teamroom.server.acts.receipts.receipts import READ_RECEIPTS
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from tests.models.world import Model, Plan, code

AGENTS, PEOPLE = ["ann", "bob", "cid"], ["olga", "hans"]
BUDGETS = {"note": 3, "ask": 2, "alert": 2}
ROUNDS, HOUR = 2, 3600.0
WAKES_SHOWN = 50

agents, everybody = st.sampled_from(AGENTS), st.sampled_from([*AGENTS, *PEOPLE])


@dataclass
class Talk:
    """How far two agents have come in answering each other."""

    turns: int = 0
    last: str = ""


class Quiet(Model):
    """Three agents and two people who talk, by themselves and with each other."""

    PLAN = Plan(
        {**{name: {} for name in AGENTS}, "hans": {"kind": "human"}},
        {
            "notes_per_hour": BUDGETS["note"],
            "asks_per_hour": BUDGETS["ask"],
            "alerts_per_hour": BUDGETS["alert"],
            "exchange_rounds": ROUNDS,
            "wakes_from_one": 2,
            "repeat_seconds": 0,
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.spent: dict[tuple[str, str], list[float]] = {}
        self.talks = {frozenset({one, other}): Talk() for one in AGENTS for other in AGENTS if one < other}
        self.alarms = 0
        self.wakes: dict[str, int] = dict.fromkeys([*AGENTS, *PEOPLE], 0)
        self.begin = self.world.read("olga", READ_RECEIPTS, limit=1).cursor

    # ---------------------------------------------------------------- what must hold

    def is_spent(self, name: str, kind: str) -> bool:
        sent = [at for at in self.spent.get((name, kind), []) if at > self.world.now - HOUR]
        return name in AGENTS and len(sent) >= BUDGETS[kind]

    def spend(self, name: str, kind: str, folded: bool) -> None:
        """What is folded takes no share of the budget: it is not shown by itself."""
        if not folded:
            self.spent.setdefault((name, kind), []).append(self.world.now)

    def say(self, author: str, other: str) -> bool:
        """One more message between two agents; returns whether it wakes the other."""
        talk = self.talks[frozenset({author, other})]
        before = talk.turns
        if talk.last != author:
            talk.turns += 1
            talk.last = author
        if before < 2 * ROUNDS <= talk.turns:
            self.alarms += 1
            self.wakes["olga"] += 1
        return before < 2 * ROUNDS

    def begin_anew(self, name: str) -> None:
        """A person spoke to an agent."""
        for pair in self.talks:
            if name in pair:
                self.talks[pair] = Talk()

    # ---------------------------------------------------------------- what members do

    @rule(author=everybody, to=everybody, kind=st.sampled_from(list(BUDGETS)))
    def post(self, author: str, to: str, kind: str) -> None:
        if author != to:
            self.send(author, to, kind)

    @rule(one=agents, other=agents, turns=st.integers(2, 5))
    def talk(self, one: str, other: str, turns: int) -> None:
        for turn in range(turns if one != other else 0):
            self.send(*((one, other) if turn % 2 == 0 else (other, one)), "note")

    def send(self, author: str, to: str, kind: str) -> None:
        self.number += 1
        spent = self.is_spent(author, kind)
        reply = self.world.act(author, POST_MESSAGE, text=f"message {self.number}", to=[to], kind=kind)
        if spent and kind != "note":
            assert code(reply) == "rate_limited"
            assert 0 < reply.needs["retry_after_seconds"] <= HOUR
            return
        assert code(reply) == "ok", reply
        assert reply.folded == spent
        self.spend(author, kind, spent)
        wakes = True
        if author in AGENTS and to in AGENTS:
            wakes = self.say(author, to) or kind == "alert"
        elif to in AGENTS:
            self.begin_anew(to)
        assert reply.not_woken == ([] if wakes else [to])
        self.wakes[to] += wakes

    @rule(author=everybody, kind=st.sampled_from(["note", "ask"]))
    def post_to_nobody(self, author: str, kind: str) -> None:
        self.number += 1
        spent = self.is_spent(author, kind)
        reply = self.world.act(author, POST_MESSAGE, text=f"message {self.number}", kind=kind)
        assert code(reply) == ("rate_limited" if spent and kind != "note" else "ok")
        if code(reply) == "ok":
            assert reply.folded == spent
            self.spend(author, kind, spent)

    @rule(creator=agents, mover=agents)
    def a_task_moves(self, creator: str, mover: str) -> None:
        """It is claimed and released again. Only somebody outside of a talk ends it so."""
        self.number += 1
        task = self.world.act(creator, CREATE_TASK, title=f"task {self.number}").task
        fence = self.world.act(mover, CLAIM_TASK, task=task).fence
        assert code(self.world.act(mover, UPDATE_TASK, task=task, fence=fence, status="released")) == "ok"
        for pair in self.talks:
            if creator in pair and mover not in pair:
                self.talks[pair] = Talk()

    @rule(name=everybody)
    def acknowledge(self, name: str) -> None:
        reply = self.world.act(name, CHECK_IN)
        told = sum(wake.count for wake in reply.wakes)
        assert code(self.world.act(name, CHECK_IN, after=reply.cursor)) == "ok"
        self.wakes[name] -= told

    # ---------------------------------------------------------------- what happens to them

    @rule(seconds=st.sampled_from([1.0, 299.0, 301.0, 1200.0, 3599.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @invariant()
    def every_wake_is_told_once(self) -> None:
        for name in self.wakes:
            wakes = self.world.act(name, CHECK_IN).wakes
            assert len(wakes) <= WAKES_SHOWN
            assert sum(wake.count for wake in wakes) == self.wakes[name], name

    @invariant()
    def owners_are_told_once_of_each_talk_that_was_stopped(self) -> None:
        page = self.world.read("olga", READ_RECEIPTS, after=self.begin, act="stop_exchange", limit=100)
        assert len(page.receipts) == self.alarms


@contextlib.contextmanager
def a_talk_that_its_own_author_begins_anew() -> Iterator[None]:
    """The twin: who says two things in a row counts as having been answered."""
    counted = exchanges.step

    def forgetful(last: Any, author: int, rounds: int) -> Any:
        return counted(None if last is not None and last.author == author else last, author, rounds)

    exchanges.step = forgetful
    try:
        yield
    finally:
        exchanges.step = counted


TWIN: Any = a_talk_that_its_own_author_begins_anew
