"""Hand-offs: the giver holds until the receiver accepts with what proves it; offers expire, and hops end."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from teamroom.server.acts.control.control import KILL
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.presence.presence import CHECK_IN
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from tests.models.world import Model, Plan, code, statement

HOUR, DAY = 3600.0, 86_400.0
LEASES = {"ann": HOUR, "bob": HOUR, "cid": 6 * HOUR, "olga": DAY}
PATIENCE = {"ann": 900.0, "bob": 900.0, "cid": 6 * HOUR, "olga": 900.0}
AGENTS = ["ann", "bob", "cid"]
HOPS, CAP, TASKS = 2, 2, 3
INTERVAL, GRACE = 300.0, 60.0
PROOF = "a" * 64

names = st.sampled_from(list(LEASES))
tasks = st.integers(1, TASKS).map(lambda number: f"T-{number}")


@dataclass
class Offer:
    """An offer as both sides should see it."""

    task: str
    giver: str
    receiver: str
    until: float
    proven: bool
    state: str = "offered"


@dataclass
class Task:
    """A task as it changes hands."""

    state: str = "open"
    holder: str | None = None
    fence: int = 0
    hops: int = 0
    left: float = 0.0
    offer: str | None = None


class HandOffs(Model):
    """Three tasks that change hands among three agents and their owner."""

    PLAN = Plan(
        {"ann": {"mode": "live"}, "bob": {"mode": "on_demand"}, "cid": {"mode": "every:7200"}},
        {"hop_limit": HOPS, "wip_cap": CAP},
    )

    def __init__(self) -> None:
        super().__init__()
        self.tasks = {f"T-{number}": Task() for number in range(1, TASKS + 1)}
        for name in self.tasks:
            self.world.act("olga", CREATE_TASK, title=f"the task {name}")
        self.offers: dict[str, Offer] = {}
        self.killed: set[str] = set()
        self.watched_from = self.world.now

    # ---------------------------------------------------------------- what must hold

    def held(self, name: str) -> int:
        return sum(task.holder == name and task.state in ("claimed", "offered") for task in self.tasks.values())

    def is_lost(self, task: Task) -> bool:
        """Whether anybody may claim it: its lease and the grace are over, and the room was awake for an interval."""
        over = min(-task.left, self.world.now - self.watched_from - INTERVAL)
        return task.state == "claimed" and over >= GRACE

    def back(self, task: Task) -> None:
        """The task is its giver's again, the lease going on where it stood."""
        task.state, task.offer = "claimed", None

    def close(self, name: str, state: str) -> None:
        self.offers[name].state = state
        task = self.tasks[self.offers[name].task]
        if task.offer == name:
            self.back(task)

    def is_out(self, name: str) -> bool:
        return name in self.killed

    # ---------------------------------------------------------------- what members do

    @rule(name=names, which=tasks)
    def claim(self, name: str, which: str) -> None:
        task, reply = self.tasks[which], self.world.act(name, CLAIM_TASK, task=which)
        if self.is_out(name):
            assert code(reply) == "killed"
        elif task.holder == name:
            assert reply.replayed
        elif task.state == "open" or self.is_lost(task):
            assert code(reply) == ("ok" if self.held(name) < CAP else "wip_cap")
            if code(reply) == "ok":
                task.state, task.holder, task.fence, task.left = "claimed", name, task.fence + 1, LEASES[name]
        else:
            assert code(reply) == "taken"

    @rule(giver=names, receiver=names, which=tasks, stale=st.booleans(), proven=st.booleans())
    def offer(self, giver: str, receiver: str, which: str, stale: bool, proven: bool) -> None:
        task = self.tasks[which]
        fence = max(task.fence - stale, 0)
        artifacts = [{"ref": "plan.md", "sha256": PROOF}] if proven else []
        reply = self.world.act(giver, HAND_OFF, task=which, fence=fence, to=receiver, note="yours", artifacts=artifacts)
        if self.is_out(giver):
            assert code(reply) == "killed"
        elif task.holder != giver or fence != task.fence:
            assert code(reply) == "stale_fence"
        elif task.state == "offered":
            assert code(reply) == "conflict"
        elif giver == receiver:
            assert code(reply) == "invalid"
        elif self.is_out(receiver) or (task.hops >= HOPS and receiver != "olga"):
            assert code(reply) == "not_allowed"
        else:
            assert code(reply) == "ok", reply
            assert reply.offer == f"O-{len(self.offers) + 1}"
            until = self.world.now + PATIENCE[receiver]
            self.offers[reply.offer] = Offer(which, giver, receiver, until, proven)
            task.state, task.offer, task.left = "offered", reply.offer, max(task.left, 0.0)

    @precondition(lambda self: self.offers)
    @rule(name=names, data=st.data(), accept=st.booleans(), proof=st.sampled_from([None, PROOF, "b" * 64]))
    def answer(self, name: str, data: st.DataObject, accept: bool, proof: str | None) -> None:
        which = data.draw(st.sampled_from(list(self.offers)[-3:]))
        offer = self.offers[which]
        proofs = [] if proof is None else [{"ref": "plan.md", "value": proof}]
        reply = self.world.act(name, ANSWER_HAND_OFF, offer=which, accept=accept, proofs=proofs)
        if self.is_out(name) or name not in (offer.giver, offer.receiver):
            assert code(reply) == ("killed" if self.is_out(name) else "not_allowed")
        elif offer.state != "offered":
            self.answered_before(name, offer, accept, reply)
        elif name == offer.giver:
            assert code(reply) == ("not_allowed" if accept else "ok")
            if not accept:
                self.close(which, "withdrawn")
        elif not accept:
            assert code(reply) == "ok"
            self.close(which, "declined")
        elif offer.proven and proof != PROOF:
            assert code(reply) == "bad_proof"
        elif self.held(name) >= CAP:
            assert code(reply) == "wip_cap"
        else:
            self.accepted(name, which, reply)

    def answered_before(self, name: str, offer: Offer, accept: bool, reply: Any) -> None:
        given = "accepted" if accept else "declined" if name == offer.receiver else "withdrawn"
        if given == offer.state and not (accept and name == offer.giver):
            assert reply.replayed
        else:
            assert code(reply) == ("expired" if offer.state == "expired" else "conflict")

    def accepted(self, name: str, which: str, reply: Any) -> None:
        assert code(reply) == "ok", reply
        task = self.tasks[self.offers[which].task]
        self.offers[which].state = "accepted"
        task.state, task.holder, task.offer = "claimed", name, None
        task.fence, task.hops, task.left = task.fence + 1, task.hops + 1, LEASES[name]
        assert reply.fence == task.fence

    @rule(which=tasks)
    def release(self, which: str) -> None:
        task, reply = self.tasks[which], self.world.act("olga", UPDATE_TASK, task=which, status="released")
        assert code(reply) == ("conflict" if task.state == "open" else "ok")
        if task.offer is not None:
            self.close(task.offer, "voided")
        task.state, task.holder = "open", None

    @rule(name=st.sampled_from(AGENTS))
    def kill(self, name: str) -> None:
        if self.is_out(name) or len(self.killed) == 2:
            return
        assert code(self.world.act("olga", KILL, target=name, reason="a test")) == "ok"
        self.killed.add(name)
        for which, offer in self.offers.items():
            if offer.state == "offered" and name in (offer.giver, offer.receiver):
                self.close(which, "voided")
        for task in self.tasks.values():
            if task.holder == name:
                task.state, task.holder = "open", None

    @precondition(lambda self: self.killed)
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.killed)))
        reply = self.world.act("olga", ENROLL, name=name, revive=True)
        self.world.callers[name] = self.world.identify(reply.token)
        self.killed.remove(name)

    # ---------------------------------------------------------------- what happens to them

    @rule(seconds=st.sampled_from([1.0, 60.0, 899.0, 901.0, 3600.0, 22_000.0]))
    def time_passes(self, seconds: float) -> None:
        """Leases run but while their task is offered; an offer that ends gives the lease its clock back."""
        end, given_back = self.world.now + seconds, set[str]()
        for which, offer in self.offers.items():
            if offer.state == "offered" and offer.until <= end:
                self.close(which, "expired")
                self.tasks[offer.task].left -= end - offer.until
                given_back.add(offer.task)
        for name, task in self.tasks.items():
            if task.state == "claimed" and name not in given_back:
                task.left -= seconds
        self.world.now = end

    @rule()
    def crash(self) -> None:
        self.world.crash()
        self.watched_from = self.world.now

    @invariant()
    def tasks_and_offers_are_shown_as_they_are(self) -> None:
        for which, task in self.tasks.items():
            shown = self.world.read("olga", READ_BOARD, task=which).task
            seen = (shown.state, shown.holder, shown.fence)
            assert seen == (task.state, task.holder, task.fence), which
            if task.state == "claimed":
                until = datetime.fromisoformat(shown.lease_until).timestamp()
                assert abs(until - (self.world.now + task.left)) < 1, (which, task)
        for name in set(LEASES) - self.killed:
            offered = {offer.offer for offer in self.world.act(name, CHECK_IN).offers}
            assert offered == {
                which for which, offer in self.offers.items() if offer.state == "offered" and offer.receiver == name
            }, name


@contextlib.contextmanager
def an_acceptance_that_raises_no_fence() -> Iterator[None]:
    """The twin: who takes a task over writes with the fence of who had it."""
    kept = "fence = case when fence > 1 then fence else 1 end"
    with statement("claim", lambda sql: sql.replace("fence = :fence", kept)):
        yield


TWIN: Any = an_acceptance_that_raises_no_fence
