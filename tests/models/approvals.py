"""Approvals: each call passes once after a person allowed exactly it, and at no other time (DEC4).

The oracle keeps, for each call of each agent, every decision that was asked about it. It knows nothing of digests: a
call is the tuple of what it consists of.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from teamroom.server.acts.approvals import approvals
from teamroom.server.acts.approvals.approvals import PASS_CALL
from teamroom.server.acts.approvals.rules import REQUIRE_APPROVAL
from teamroom.server.acts.authorizations.authorizations import AUTHORIZE
from teamroom.server.acts.control.control import PAUSE, RESUME
from teamroom.server.acts.decisions.decisions import DECIDE, REQUEST_DECISION
from teamroom.server.rules import local_calls
from teamroom.server.rules.local_calls import read_call
from tests.models.world import Model, Plan, code, statement

HOUR, DAY = 3600.0, 86_400.0
AGENTS = ["fast", "slow"]
OPEN = 3
SCOPE = "push:app"

Call = tuple[str, str, str]
"""A command, a further field of its tool, and the folder."""

calls = st.tuples(
    st.sampled_from(["git push", "git push -f", "git push ", "git status"]),
    st.sampled_from(["", "Push"]),
    st.sampled_from(["/a", "/b"]),
)
few = st.sampled_from(
    [("git push", "", "/a"), ("git push", "", "/a"), ("git push -f", "", "/a"), ("git push", "", "/b")]
)
agents = st.sampled_from(AGENTS)
RULES: dict[str, tuple[str, str | None]] = {
    "push": ("Bash(git push*)", None),
    "scoped": ("Bash(git push*)", SCOPE),
    "all": ("Bash", None),
    "other": ("Write", None),
}


@dataclass
class Asked:
    """A decision about one call of one agent."""

    agent: str
    call: Call
    until: float
    state: str = "open"
    settled_at: float = 0.0
    is_used: bool = False


@dataclass
class Entry:
    """An authorisation for the scope of a rule."""

    agent: str
    uses: int
    used: int = 0
    is_revoked: bool = False


class Approvals(Model):
    """Rules for two agents of one owner, their calls, her answers, entries, pauses, time, restores and crashes."""

    PLAN = Plan({"fast": {"mode": "live"}, "slow": {"mode": "live"}}, {"open_approvals": OPEN})

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[int, tuple[str, str]] = {}
        self.asked: dict[str, Asked] = {}
        self.entries: dict[str, Entry] = {}
        self.paused: set[str] = set()
        self.passes: list[str] = []
        self.require("owner:olga", "push")

    # ---------------------------------------------------------------- what should happen

    def unmet(self, agent: str, command: str) -> list[str]:
        """The rules that a call matches and no entry covers."""
        found = [name for whom, name in self.rules.values() if whom in (agent, "owner:olga")]
        hit = [n for n in found if n == "all" or (n in ("push", "scoped") and command.startswith("git push"))]
        covered = self.covering(agent)
        return [name for name in hit if not (name == "scoped" and covered)]

    def covering(self, agent: str) -> list[str]:
        return [
            name
            for name, entry in self.entries.items()
            if entry.agent == agent and not entry.is_revoked and (entry.uses == 0 or entry.used < entry.uses)
        ]

    def refusal(self, agent: str) -> str:
        """Why an agent may not do what only people may."""
        return "paused" if agent in self.paused else "not_allowed"

    def newest(self, agent: str, call: Call) -> tuple[str, Asked] | None:
        found = [(name, one) for name, one in self.asked.items() if (one.agent, one.call) == (agent, call)]
        return found[-1] if found else None

    def state(self, asked: Asked) -> str:
        return "expired" if asked.state == "open" and asked.until <= self.world.now else asked.state

    # ---------------------------------------------------------------- calls

    @rule(agent=agents, call=st.one_of(few, calls), times=st.integers(1, 3))
    def call(self, agent: str, call: Call, times: int) -> None:
        for _ in range(times):
            self.call_once(agent, call)

    def call_once(self, agent: str, call: Call) -> None:
        command, more, folder = call
        given = {"command": command, **({"description": more} if more else {})}
        read = read_call({"tool_name": "Bash", "tool_input": given, "cwd": folder})
        reply = self.world.act(agent, PASS_CALL, call=read, harness="claude")
        if agent in self.paused:
            assert code(reply) == "paused"
            return
        assert code(reply) == "ok"
        hit = [n for whom, n in self.rules.values() if whom in (agent, "owner:olga")]
        if not self.unmet(agent, command):
            assert reply.why == ""
            if "scoped" in hit and command.startswith("git push"):
                self.count_use(agent)
            return
        newest = self.newest(agent, call)
        if newest is not None:
            name, asked = newest
            state, now = self.state(asked), self.world.now
            if state == "allow" and not asked.is_used and now < asked.settled_at + DAY:
                assert (reply.why, reply.decision) == ("", name)
                asked.is_used = True
                self.passes.append(name)
                return
            if state == "open" or (state == "refuse" and now < asked.settled_at + HOUR):
                assert reply.why
                assert reply.decision == name
                return
        assert reply.why
        waiting = sum(one.agent == agent and self.state(one) == "open" for one in self.asked.values())
        if waiting >= OPEN:
            assert reply.decision is None
            return
        assert reply.decision not in (None, *self.asked)
        self.asked[reply.decision] = Asked(agent, call, self.world.now + 7 * DAY)

    def count_use(self, agent: str) -> None:
        used = dict(self.world.look("select 'A-' || id, used from authorisation"))
        (counted,) = [name for name in self.covering(agent) if used[name] == self.entries[name].used + 1]
        self.entries[counted].used += 1

    # ---------------------------------------------------------------- people

    @precondition(lambda self: any(self.state(one) == "open" for one in self.asked.values()))
    @rule(option=st.sampled_from(["allow", "allow", "refuse"]), data=st.data())
    def decide(self, option: str, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([n for n, one in self.asked.items() if self.state(one) == "open"]))
        for agent in AGENTS:
            assert code(self.world.act(agent, DECIDE, decision=name, option="allow")) == self.refusal(agent)
        assert code(self.world.act("olga", DECIDE, decision=name, option=option)) == "ok"
        self.asked[name].state, self.asked[name].settled_at = option, self.world.now

    @precondition(lambda self: any(self.state(one) == "open" for one in self.asked.values()))
    @rule(data=st.data(), question=st.sampled_from([None, "May I rest?"]))
    def replace(self, data: st.DataObject, question: str | None) -> None:
        """An agent withdraws or replaces the decision; the person then allows what it put in its place."""
        name = data.draw(st.sampled_from([n for n, one in self.asked.items() if self.state(one) == "open"]))
        given: dict[str, Any] = {} if question is None else {"question": question, "options": ["allow", "refuse"]}
        agent = self.asked[name].agent
        reply = self.world.act(agent, REQUEST_DECISION, replaces=name, **given)
        if agent in self.paused:
            assert code(reply) == "paused"
            return
        assert code(reply) == "ok"
        self.asked[name].state = "withdrawn"
        if question is not None:
            assert code(self.world.act("olga", DECIDE, decision=reply.decision, option="allow")) == "ok"

    @precondition(lambda self: len(self.rules) < 4)
    @rule(whom=st.sampled_from([*AGENTS, "owner:olga"]), name=st.sampled_from(list(RULES)))
    def add_rule(self, whom: str, name: str) -> None:
        self.require(whom, name)

    def require(self, whom: str, name: str) -> None:
        match, scope = RULES[name]
        reply = self.world.act("olga", REQUIRE_APPROVAL, to=whom, match=match, scope=scope)
        assert code(reply) == "ok"
        assert (reply.receipt is None) is (reply.rule in self.rules)
        self.rules[reply.rule] = (whom, name)

    @precondition(lambda self: self.rules)
    @rule(data=st.data())
    def remove_rule(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(sorted(self.rules)))
        assert code(self.world.act("fast", REQUIRE_APPROVAL, remove=which)) == self.refusal("fast")
        assert self.world.act("olga", REQUIRE_APPROVAL, remove=which).is_removed
        del self.rules[which]

    @precondition(lambda self: len(self.entries) < 5)
    @rule(agent=agents, uses=st.sampled_from([1, 2, 0]))
    def authorise(self, agent: str, uses: int) -> None:
        given = {"uses": uses} if uses else {}
        reply = self.world.act("olga", AUTHORIZE, to=agent, scope=SCOPE, until=90 * DAY, **given)
        self.entries[reply.authorization] = Entry(agent, uses)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(list(self.entries)))
        assert code(self.world.act("olga", AUTHORIZE, revoke=which)) == "ok"
        self.entries[which].is_revoked = True

    @rule(agent=agents)
    def pause_or_resume(self, agent: str) -> None:
        act = RESUME if agent in self.paused else PAUSE
        assert code(self.world.act("olga", act, target=agent, reason="looking")) == "ok"
        self.paused ^= {agent}

    # ---------------------------------------------------------------- time, crashes and restores

    @rule(seconds=st.sampled_from([1.0, HOUR, HOUR + 1, DAY, 7 * DAY]))
    def later(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.tick()

    @rule(agent=agents, call=few)
    def ask_and_allow(self, agent: str, call: Call) -> None:
        """The way that leads to a pass, so that runs get there often."""
        self.call_once(agent, call)
        newest = self.newest(agent, call)
        if newest is not None and self.state(newest[1]) == "open":
            assert code(self.world.act("olga", DECIDE, decision=newest[0], option="allow")) == "ok"
            newest[1].state, newest[1].settled_at = "allow", self.world.now
        self.call_once(agent, call)

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @invariant()
    def each_decision_let_pass_at_most_once(self) -> None:
        passed = [subject for (subject,) in self.world.look("select subject from log where act = 'pass_call'")]
        assert sorted(name for name in passed if name.startswith("D-")) == sorted(self.passes)
        assert len(set(self.passes)) == len(self.passes)
        assert all(self.asked[name].state == "allow" for name in self.passes)


@contextlib.contextmanager
def uses_that_are_not_counted() -> Iterator[None]:
    """The twin: a call that a person allowed passes as often as it is made."""
    with statement("use_approval", lambda sql: sql.replace("used_at = :now", "used_at = null")):
        yield


@contextlib.contextmanager
def a_digest_of_the_command_alone() -> Iterator[None]:
    """A further twin: the folder and the other fields of a call do not count."""
    whole = local_calls.hashlib.sha256

    class Hashes:
        @staticmethod
        def sha256(text: bytes) -> Any:
            return whole(text.split(b'"command":')[1].split(b'"')[1].strip())

    local_calls.hashlib = Hashes  # type: ignore[assignment]
    try:
        yield
    finally:
        local_calls.hashlib = hashlib


@contextlib.contextmanager
def decisions_of_others() -> Iterator[None]:
    """A further twin: what one agent was allowed lets the call of another pass."""
    with statement("approval_for", lambda sql: sql.replace("approval.member = :member", "approval.member > 0")):
        yield


@contextlib.contextmanager
def any_answer_allows() -> Iterator[None]:
    """A further twin: a person's refusal counts as a permission."""
    whole = approvals.ALLOWED
    approvals.ALLOWED = 2
    try:
        yield
    finally:
        approvals.ALLOWED = whole


TWIN: Any = uses_that_are_not_counted

TWINS = (a_digest_of_the_command_alone, decisions_of_others, any_answer_allows)
"""Faults that the model must find too."""
