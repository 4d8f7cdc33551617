"""Leases that run out in the open: each is said to be over once, when it is, and never while its clock stands.

The oracle of tasks, with its leases that run second by second; beside it a supervisor ticks, tasks are offered, and a
review sends them back. What was said counts from one renewal to the next.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from teamroom.server.acts.tasks import overdue
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK, REVIEW_TASK
from teamroom.server.acts.tasks.tasks import UPDATE_TASK
from tests.models.tasks import LEASES, Task, Tasks, names, spans
from tests.models.world import code

LATE = 60.0
"""A lease whose clock stood may be looked at so much later."""

PATIENCE = {"fast": 900.0, "slow": 21_600.0, "hand": 900.0, "olga": 900.0}
"""How long an offer to each waits."""


class Leases(Tasks):
    """Tasks under a supervisor."""

    def __init__(self) -> None:
        super().__init__()
        self.said: Counter[str] = Counter()
        self.may_say: set[str] = set()
        """Tasks whose lease was not said to be over since it was last renewed."""

    @initialize()
    def begin(self) -> None:
        """Everybody holds a task."""
        for _ in LEASES:
            self.put("olga", [])
        for which, name in zip(self.tasks, LEASES, strict=True):
            self.claim_one(name, which)

    def take(self, name: str, task: Task) -> None:
        super().take(name, task)
        self.renewed(task)

    def moved(self, task: Task, left: float) -> None:
        super().moved(task, left)
        self.renewed(task)

    def renewed(self, task: Task) -> None:
        self.may_say |= {which for which, other in self.tasks.items() if other is task}

    def held_by_somebody_free(self, data: st.DataObject) -> tuple[str, Task] | None:
        held = [
            which
            for which, task in self.tasks.items()
            if task.state == "claimed" and not self.is_paused(str(task.holder))
        ]
        which = data.draw(st.sampled_from(held)) if held else None
        return None if which is None else (which, self.tasks[which])

    @rule(data=st.data(), to=names, seconds=st.sampled_from([1.0, 300.0, 890.0, 1000.0, 7200.0, 25_000.0]))
    def offer_for_a_while(self, data: st.DataObject, to: str, seconds: float) -> None:
        """The clock stands while the task is offered, and goes on from when the giver withdraws or the offer ends."""
        found = self.held_by_somebody_free(data)
        if found is None or found[1].holder == to:
            return
        which, task = found
        giver = str(task.holder)
        reply = self.world.act(giver, HAND_OFF, task=which, fence=task.fence, to=to, note="yours")
        assert code(reply) == "ok"
        task.state, task.left = "offered", max(task.left, 0.0)
        self.let_pass(seconds)
        late = seconds - PATIENCE[to]
        if late >= 0:
            task.state = "claimed"
            self.moved(task, task.left - late)
        self.tick()
        withdrawn = self.world.act(giver, ANSWER_HAND_OFF, offer=reply.offer, accept=False)
        assert code(withdrawn) == ("ok" if late < 0 else "expired")
        if late < 0:
            task.state = "claimed"
            self.moved(task, task.left)

    @rule(data=st.data(), seconds=spans)
    def send_back(self, data: st.DataObject, seconds: float) -> None:
        """The clock stands in a review; what is sent back has a new lease."""
        found = self.held_by_somebody_free(data)
        if found is None or found[1].holder == "olga":
            return
        which, task = found
        assert code(self.world.act("olga", UPDATE_TASK, task=which, changes={"review": "olga"})) == "ok"
        given = {"fence": task.fence, "summary": "it stands", "evidence": []}
        assert code(self.world.act(str(task.holder), COMPLETE_TASK, task=which, **given)) == "ok"
        task.state = "in_review"
        self.let_pass(seconds)
        self.tick()
        assert code(self.world.act("olga", REVIEW_TASK, task=which, verdict="send_back", note="no")) == "ok"
        assert code(self.world.act("olga", UPDATE_TASK, task=which, changes={"review": "none"})) == "ok"
        task.state = "claimed"
        self.moved(task, LEASES[str(task.holder)])

    @rule(seconds=spans)
    def time_passes(self, seconds: float) -> None:
        self.let_pass(seconds)
        self.tick()

    @rule(by=st.sampled_from(["first", "second"]))
    def tick(self, by: str = "first") -> None:
        self.world.tick(by)
        ((leads,),) = self.world.look("select holder from supervisor")
        said = Counter(which for (which,) in self.world.look("select subject from log where act = 'overdue'"))
        new, self.said = said - self.said, said
        for which, times in new.items():
            task = self.tasks[which]
            assert task.state == "claimed", which
            assert times == 1, which
            assert which in self.may_say, f"{which}: it was said before"
            assert self.lost(task) >= 0, (which, task)
            self.may_say.remove(which)
        if leads == by:
            late = [which for which in self.may_say if self.lost(self.tasks[which]) > LATE]
            assert late == [], "nobody said it"

    @invariant()
    def holders_are_told(self) -> None:
        ((told,),) = self.world.look("select count(*) from wake where reason = 'reminder' and line like 'Your lease %'")
        assert told == sum(self.said.values())


@contextlib.contextmanager
def a_lease_that_is_over_when_it_was_to_be() -> Iterator[None]:
    """The twin: once the time has come that was noted, it is over, whatever happened since."""
    looked = overdue.find_current

    def believes(tx: Any, identifier: str) -> Any:
        task = looked(tx, identifier)
        task.pauses = []
        return task

    overdue.find_current = believes
    try:
        yield
    finally:
        overdue.find_current = looked


TWIN: Any = a_lease_that_is_over_when_it_was_to_be
