"""Decisions and authorisations: decided once and by people, and used at most as often as they say (DEC1-3, AUT1-3).

The oracle keeps a list of what was asked and allowed, and looks through all of it; the room finds by an index what
applies now.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from teamroom.server.acts.authorizations.authorizations import AUTHORIZE, CHECK_AUTHORIZATION
from teamroom.server.acts.decisions.decisions import DECIDE, READ_DECISIONS, REQUEST_DECISION
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from tests.models.world import Model, Plan, code, statement

HOUR, DAY = 3600.0, 86_400.0
PEOPLE, AGENTS = ["olga", "hanna"], ["fast", "slow"]
OWNERS = {"fast": "olga", "slow": "hanna"}
SCOPES = ["deploy:staging", "read:logs"]
OPTIONS = ["left", "right"]

members = st.sampled_from([*PEOPLE, *AGENTS])
agents, people = st.sampled_from(AGENTS), st.sampled_from(PEOPLE)
scopes = st.sampled_from([SCOPES[0], *SCOPES])
targets = st.sampled_from([*AGENTS, "owner:olga", "owner:hanna"])
spans = st.sampled_from([60.0, HOUR, DAY])


@dataclass
class Decision:
    """A decision as members should see it."""

    asker: str
    to: set[str]
    until: float
    told_at: float
    """When those concerned should learn that it expires soon."""
    told: bool = False
    state: str = "open"
    answer: str | None = None
    by: str | None = None


@dataclass
class Entry:
    """An authorisation as members should see it."""

    target: str
    scope: str
    uses: int
    until: float
    used: int = 0
    revoked: bool = False

    def lets(self, name: str, scope: str, now: float) -> bool:
        is_for = self.target == name or self.target == f"owner:{OWNERS.get(name)}"
        left = self.uses == 0 or self.used < self.uses
        return is_for and scope == self.scope and now < self.until and left and not self.revoked


@dataclass
class Task:
    """A task that requires scopes, and what waits for it."""

    requires: list[str]
    holder: str | None = None
    fence: int = 0
    entries: list[str] = field(default_factory=list)
    blocked_on: str | None = None
    is_done: bool = False


class Decisions(Model):
    """Questions, answers, entries and the tasks that require them, among two people and their agents."""

    PLAN = Plan({"hanna": {"kind": "human"}, "fast": {"mode": "live"}, "slow": {"owner": "hanna"}}, {"wip_cap": 50})

    def __init__(self) -> None:
        super().__init__()
        self.decisions: dict[str, Decision] = {}
        self.entries: dict[str, Entry] = {}
        self.tasks: dict[str, Task] = {}
        self.calls = 0

    def once(self) -> str:
        self.calls += 1
        return f"call {self.calls}"

    # ---------------------------------------------------------------- decisions

    @precondition(lambda self: len(self.decisions) < 8)
    @rule(asker=agents, to=st.sets(people, max_size=2), until=spans)
    def ask(self, asker: str, to: set[str], until: float) -> None:
        given: dict[str, Any] = {"to": sorted(to)} if to else {}
        reply = self.world.act_once(
            asker, REQUEST_DECISION, self.once(), question="which?", options=OPTIONS, until=until, **given
        )
        assert code(reply) == "ok"
        self.decisions[reply.decision] = Decision(
            asker, to or {OWNERS[asker]}, self.world.now + until, self.world.now + until - min(DAY, until / 4)
        )

    @precondition(lambda self: self.decisions)
    @rule(name=members, option=st.sampled_from([*OPTIONS, "up"]), data=st.data())
    def decide(self, name: str, option: str, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(list(self.decisions)))
        decision = self.decisions[which]
        reply = self.world.act_once(name, DECIDE, self.once(), decision=which, option=option)
        if name not in PEOPLE or name not in {*decision.to, "olga"}:
            assert code(reply) == "not_allowed"
        elif decision.state != "open":
            is_same = (decision.by, decision.answer) == (name, option)
            assert code(reply) == ("ok" if is_same else "expired" if decision.state == "expired" else "conflict")
        elif option not in OPTIONS:
            assert code(reply) == "invalid"
        else:
            assert code(reply) == "ok"
            decision.state, decision.answer, decision.by = "decided", option, name
            self.settle(which)

    @precondition(lambda self: self.decisions)
    @rule(name=agents, data=st.data())
    def withdraw(self, name: str, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(list(self.decisions)))
        decision = self.decisions[which]
        reply = self.world.act_once(name, REQUEST_DECISION, self.once(), replaces=which)
        if name != decision.asker:
            assert code(reply) == "not_allowed"
        elif decision.state != "open":
            assert code(reply) == ("expired" if decision.state == "expired" else "conflict")
        else:
            assert code(reply) == "ok"
            decision.state = "withdrawn"
            self.settle(which)

    def settle(self, which: str) -> None:
        for task in self.tasks.values():
            if task.blocked_on == which:
                task.blocked_on = None

    # ---------------------------------------------------------------- authorisations

    @precondition(lambda self: len(self.entries) < 10)
    @rule(maker=members, whom=targets, scope=scopes, until=spans, uses=st.sampled_from([1, 0, 2]))
    def authorise(self, maker: str, whom: str, scope: str, until: float, uses: int) -> None:
        given: dict[str, Any] = {"uses": uses} if uses else {}
        reply = self.world.act_once(maker, AUTHORIZE, self.once(), to=whom, scope=scope, until=until, **given)
        answers = maker == "olga" or (maker == "hanna" and whom in ("slow", "owner:hanna"))
        assert code(reply) == ("ok" if answers else "not_allowed")
        if answers:
            self.entries[reply.authorization] = Entry(whom, scope, uses, self.world.now + until)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(list(self.entries)))
        assert code(self.world.act_once("olga", AUTHORIZE, self.once(), revoke=which)) == "ok"
        self.entries[which].revoked = True

    def allowing(self, name: str, scope: str) -> list[str]:
        return [which for which, entry in self.entries.items() if entry.lets(name, scope, self.world.now)]

    @rule(name=agents, scope=scopes, use=st.booleans(), times=st.integers(1, 3))
    def check(self, name: str, scope: str, use: bool, times: int) -> None:
        for _ in range(times):
            self.check_once(name, scope, use)

    def check_once(self, name: str, scope: str, use: bool) -> None:
        allowed = self.allowing(name, scope)
        reply = self.world.act_once(name, CHECK_AUTHORIZATION, self.once(), scope=scope, use=use)
        if use and not allowed:
            assert code(reply) == "missing_authorization"
            return
        assert reply.allowed is bool(allowed)
        assert (reply.authorization in allowed) if allowed else reply.authorization is None
        if use:
            self.entries[reply.authorization].used += 1

    # ---------------------------------------------------------------- tasks

    @precondition(lambda self: len(self.tasks) < 6)
    @rule(requires=st.sets(st.sampled_from(SCOPES)))
    def create(self, requires: set[str]) -> None:
        given = {"requires": sorted(requires)} if requires else {}
        reply = self.world.act_once("olga", CREATE_TASK, self.once(), title="work", review="none", **given)
        self.tasks[reply.task] = Task(sorted(requires))

    @precondition(lambda self: any(task.holder is None for task in self.tasks.values()))
    @rule(name=agents, data=st.data())
    def claim(self, name: str, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from([name for name, task in self.tasks.items() if task.holder is None]))
        task = self.tasks[which]
        missing = [scope for scope in task.requires if not self.allowing(name, scope)]
        reply = self.world.act_once(name, CLAIM_TASK, self.once(), task=which)
        if missing:
            assert code(reply) == "missing_authorization"
            assert reply.needs["missing"] == missing
            return
        task.holder, task.fence, task.entries = name, reply.fence, reply.authorizations
        assert [self.entries[entry].scope for entry in task.entries] == task.requires
        for entry in task.entries:
            assert entry in self.allowing(name, self.entries[entry].scope)
            self.entries[entry].used += 1

    @precondition(lambda self: any(task.holder and not task.is_done for task in self.tasks.values()))
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from([n for n, task in self.tasks.items() if task.holder and not task.is_done]))
        task = self.tasks[which]
        kept = {self.entries[entry].scope for entry in task.entries if not self.entries[entry].revoked}
        holder = task.holder or ""
        missing = [scope for scope in task.requires if scope not in kept and not self.allowing(holder, scope)]
        given = {"task": which, "fence": task.fence, "summary": "done", "evidence": []}
        reply = self.world.act_once(holder, COMPLETE_TASK, self.once(), **given)
        assert code(reply) == ("missing_authorization" if missing else "ok")
        task.is_done = not missing
        task.blocked_on = None if task.is_done else task.blocked_on

    @precondition(
        lambda self: (
            any(task.holder and not task.is_done for task in self.tasks.values())
            and any(decision.state == "open" for decision in self.decisions.values())
        )
    )
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from([n for n, task in self.tasks.items() if task.holder and not task.is_done]))
        task = self.tasks[which]
        on = data.draw(st.sampled_from([n for n, d in self.decisions.items() if d.state == "open"]))
        given = {"task": which, "fence": task.fence, "status": "blocked", "blocked_on": on}
        assert code(self.world.act_once(task.holder or "", UPDATE_TASK, self.once(), **given)) == "ok"
        task.blocked_on = on

    # ---------------------------------------------------------------- time, and crashes

    @rule(seconds=st.sampled_from([1.0, 61.0, HOUR, DAY]))
    def later(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.tick()
        for which, decision in self.decisions.items():
            if decision.state == "open" and decision.until <= self.world.now:
                decision.state = "expired"
                self.settle(which)
            elif decision.state == "open" and decision.told_at <= self.world.now:
                decision.told = True

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @invariant()
    def decisions_are_shown_as_they_are(self) -> None:
        for which, decision in self.decisions.items():
            (shown,) = self.world.read("fast", READ_DECISIONS, decision=which).decisions
            seen = (shown.state, shown.answer, shown.decided_by)
            assert seen == (decision.state, decision.answer, decision.by), which

    @invariant()
    def those_concerned_learn_once_that_a_decision_expires(self) -> None:
        woken = self.world.look("""
            select log.subject, log.act, member.name from log
            join wake on wake.seq = log.seq join member on member.id = wake.member
            where log.act in ('announce_expiry', 'expire_decision')
        """)
        expected = [
            (which, "announce_expiry", name)
            for which, decision in self.decisions.items()
            if decision.told
            for name in (*decision.to, decision.asker)
        ]
        expected += [
            (which, "expire_decision", decision.asker)
            for which, decision in self.decisions.items()
            if decision.state == "expired"
        ]
        assert sorted(woken) == sorted(expected)

    @invariant()
    def tasks_wait_for_what_is_open_and_nothing_else(self) -> None:
        for which, task in self.tasks.items():
            shown = self.world.read("fast", READ_BOARD, task=which).task
            assert (shown.state == "blocked", shown.waiting_for if task.blocked_on else None) == (
                *(task.blocked_on is not None, task.blocked_on),
            ), which

    @invariant()
    def no_entry_is_used_more_often_than_it_says(self) -> None:
        used = dict(self.world.look("select id, used from authorisation"))
        for which, entry in self.entries.items():
            assert used[int(which[2:])] == entry.used
            assert entry.uses == 0 or entry.used <= entry.uses, which


@contextlib.contextmanager
def uses_that_are_not_counted() -> Iterator[None]:
    """The twin: a limited entry allows one use more than it says."""
    with statement("authorisation_for", lambda sql: sql.replace("used < uses", "used <= uses")):
        yield


TWIN: Any = uses_that_are_not_counted
