"""Tasks: one holder, fences that rise, leases that run only while they may, and who may take a task over.

The oracle keeps how much of each lease is left and lets it run second by second with the clock; the room computes
it from when what began and which pauses there were.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from teamroom.server.acts.control.control import PAUSE, RESUME
from teamroom.server.acts.presence.presence import HEARTBEAT
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from teamroom.server.rules import leases
from tests.models.world import Model, Plan, code

HOUR, DAY, GRACE, CAP = 3600.0, 86_400.0, 60.0, 2
INTERVAL = 300.0
"""For so long no lease is over after the room slept or began."""

LEASES = {"fast": HOUR, "slow": 6 * HOUR, "hand": DAY, "olga": DAY}
AGENTS = ["fast", "slow", "hand"]
LEVELS = [*AGENTS, "owner:olga", "room"]

names = st.sampled_from(list(LEASES))
spans = st.sampled_from([1.0, 59.0, 61.0, 600.0, 3540.0, 3600.0, 7200.0, 20_000.0])


@dataclass
class Task:
    """A task as members should see it."""

    creator: str
    waits_for: list[str] = field(default_factory=list)
    state: str = "open"
    holder: str | None = None
    fence: int = 0
    left: float = 0.0
    claimed_at: float | None = None


class Tasks(Model):
    """Claims, progress, leases and pauses of a few tasks among a few members."""

    PLAN = Plan(
        {"fast": {"mode": "live"}, "slow": {"mode": "every:7200"}, "hand": {"mode": "manual"}},
        {"wip_cap": CAP},
    )

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Task] = {}
        self.pauses: dict[str, tuple[float, float | None]] = {}
        self.notes = 0
        self.watched_from = self.world.now

    # ---------------------------------------------------------------- what must hold

    def is_paused(self, name: str) -> bool:
        return name != "olga" and any(level in self.pauses for level in (name, "owner:olga", "room"))

    def overdue(self, task: Task) -> float:
        """Seconds since its lease ran out, or since its holder's own pause had lasted an hour."""
        over = -task.left
        if task.holder in self.pauses:
            over = max(over, self.world.now - self.pauses[task.holder][0] - HOUR)
        return over if task.state == "claimed" else -1.0

    def lost(self, task: Task) -> float:
        """Seconds since its holder may lose it: none in the first interval that the room sees."""
        return min(self.overdue(task), self.world.now - self.watched_from - INTERVAL)

    def waits(self, task: Task) -> bool:
        return any(self.tasks[name].state not in ("done", "cancelled") for name in task.waits_for)

    def is_free_for(self, name: str, task: Task) -> bool:
        if task.state == "open":
            return not self.waits(task)
        is_late = task.state == "claimed" and task.holder != name and self.lost(task) >= GRACE
        return is_late and not self.waits(task)

    def held(self, name: str) -> int:
        return sum(task.holder == name and task.state in ("claimed", "blocked") for task in self.tasks.values())

    def take(self, name: str, task: Task) -> None:
        task.state, task.holder, task.fence = "claimed", name, task.fence + 1
        task.left = LEASES[name]
        task.claimed_at = self.world.now

    def moved(self, task: Task, left: float) -> None:
        task.left = left
        task.claimed_at = None

    # ---------------------------------------------------------------- what members do

    @precondition(lambda self: len(self.tasks) < 6)
    @rule(creator=names, data=st.data())
    def create(self, creator: str, data: st.DataObject) -> None:
        before = data.draw(st.lists(st.sampled_from(list(self.tasks)), max_size=2, unique=True)) if self.tasks else []
        self.put(creator, before)

    def put(self, creator: str, before: list[str]) -> None:
        self.notes += 1
        reply = self.world.act(creator, CREATE_TASK, title=f"task {self.notes}", depends_on=before, review="none")
        if self.is_paused(creator):
            assert code(reply) == "paused"
            return
        assert reply.task == f"T-{len(self.tasks) + 1}"
        self.tasks[reply.task] = Task(creator, before)

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data())
    def claim(self, name: str, data: st.DataObject) -> None:
        self.claim_one(name, data.draw(st.sampled_from(list(self.tasks))))

    def claim_one(self, name: str, which: str) -> None:
        task, reply = self.tasks[which], self.world.act(name, CLAIM_TASK, task=which)
        if self.is_paused(name):
            assert code(reply) == "paused"
        elif task.holder == name and task.state in ("claimed", "blocked"):
            assert reply.replayed
            assert reply.fence == task.fence
        elif self.is_free_for(name, task) and self.held(name) < CAP:
            assert code(reply) == "ok", reply
            self.take(name, task)
            assert reply.fence == task.fence
        elif self.is_free_for(name, task):
            assert code(reply) == "wip_cap"
        else:
            assert code(reply) in ("taken", "conflict")
            if code(reply) == "taken" and task.state == "claimed":
                assert reply.needs["holder"] == task.holder

    @precondition(lambda self: self.tasks)
    @rule(name=names)
    def claim_whatever_fits(self, name: str) -> None:
        reply = self.world.act(name, CLAIM_TASK)
        if self.is_paused(name):
            assert code(reply) == "paused"
            return
        recent = [
            which
            for which, task in self.tasks.items()
            if task.holder == name
            and task.state == "claimed"
            and task.claimed_at is not None
            and self.world.now - task.claimed_at < 60
        ]
        fitting = [which for which, task in self.tasks.items() if self.is_free_for(name, task)]
        if recent:
            assert reply.replayed
            assert reply.task in recent
        elif fitting and self.held(name) < CAP:
            assert code(reply) == "ok", reply
            assert reply.task in fitting
            self.take(name, self.tasks[reply.task])
        else:
            assert code(reply) == ("wip_cap" if self.held(name) >= CAP else "not_found")

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data(), status=st.sampled_from(["working", "blocked", None]), stale=st.booleans())
    def report(self, name: str, data: st.DataObject, status: str | None, stale: bool) -> None:
        which = data.draw(st.sampled_from(list(self.tasks)))
        task = self.tasks[which]
        self.notes += 1
        fence = task.fence - stale
        if fence < 0:
            return
        reply = self.world.act(
            name, UPDATE_TASK, task=which, fence=fence, note=f"n{self.notes}", status=status, blocked_on="604800"
        )
        if self.is_paused(name):
            assert code(reply) == "paused"
        elif task.state in ("done", "cancelled"):
            assert code(reply) == "conflict"
        elif task.holder != name or stale:
            assert code(reply) == "stale_fence"
        else:
            assert code(reply) == "ok", reply
            task.state = {"working": "claimed", "blocked": "blocked", None: task.state}[status]
            self.moved(task, LEASES[name])

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data(), ahead=st.sampled_from([600.0, 7200.0, 14_400.0]), again=st.booleans())
    def beat(self, name: str, data: st.DataObject, ahead: float, again: bool) -> None:
        which = data.draw(st.sampled_from(list(self.tasks)))
        task = self.tasks[which]
        self.notes += 1
        note = f"b{self.notes}"
        reply = self.world.act(name, HEARTBEAT, task=which, note=note, busy_until=ahead)
        if self.is_paused(name):
            assert reply.standing == "paused"
        elif task.holder != name:
            assert code(reply) == "stale_fence"
        else:
            assert code(reply) == "ok"
            if task.state == "claimed":
                self.moved(task, max(LEASES[name], ahead))
            if again:  # the same note renews nothing
                self.let_pass(1)
                self.world.act(name, HEARTBEAT, task=which, note=note, busy_until=ahead)

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data(), status=st.sampled_from(["released", "cancelled"]))
    def let_go(self, name: str, data: st.DataObject, status: str) -> None:
        which = data.draw(st.sampled_from(list(self.tasks)))
        task = self.tasks[which]
        mine = {"fence": task.fence} if task.holder == name else {}
        reply = self.world.act(name, UPDATE_TASK, task=which, status=status, **mine)
        if self.is_paused(name):
            assert code(reply) == "paused"
        elif task.state in ("done", "cancelled"):
            assert code(reply) == "conflict"
        elif task.holder != name and name not in (task.creator, "olga"):
            assert code(reply) == "stale_fence"
        elif status == "released" and task.state == "open":
            assert code(reply) == "conflict"
        else:
            assert code(reply) == "ok", reply
            task.state, task.holder = "open" if status == "released" else "cancelled", None

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data(), stale=st.booleans())
    def complete(self, name: str, data: st.DataObject, stale: bool) -> None:
        which = data.draw(st.sampled_from(list(self.tasks)))
        task = self.tasks[which]
        fence = max(task.fence - stale, 0)
        reply = self.world.act(name, COMPLETE_TASK, task=which, fence=fence, summary="it stands", evidence=[])
        if self.is_paused(name):
            assert code(reply) == "paused"
        elif task.holder != name or fence != task.fence:
            assert code(reply) == "stale_fence"
        elif task.state == "done":
            assert reply.replayed
        else:
            assert code(reply) == "ok", reply
            task.state = "done"

    # ---------------------------------------------------------------- what happens to them

    @rule(level=st.sampled_from(LEVELS), seconds=st.none() | spans)
    def pause(self, level: str, seconds: float | None) -> None:
        if level not in self.pauses:
            assert code(self.world.act("olga", PAUSE, target=level, reason="a test", for_seconds=seconds)) == "ok"
            self.pauses[level] = (self.world.now, None if seconds is None else self.world.now + seconds)

    @rule(level=st.sampled_from(LEVELS))
    def resume(self, level: str) -> None:
        assert code(self.world.act("olga", RESUME, target=level, reason="a test")) == "ok"
        self.pauses.pop(level, None)

    @rule(seconds=spans)
    def time_passes(self, seconds: float) -> None:
        self.let_pass(seconds)

    def let_pass(self, seconds: float) -> None:
        """Leases run from one end of a pause to the next: whoever is paused then, keeps what is left."""
        end = self.world.now + seconds
        while self.world.now < end:
            ends = [until for _, until in self.pauses.values() if until is not None and until > self.world.now]
            step = min([end, *ends]) - self.world.now
            self.run_leases(step)
            self.world.now += step
            over = [level for level, (_, until) in self.pauses.items() if until is not None and until <= self.world.now]
            for level in over:
                del self.pauses[level]

    def run_leases(self, seconds: float) -> None:
        for task in self.tasks.values():
            if task.state == "claimed" and task.holder is not None and not self.is_paused(task.holder):
                task.left -= seconds

    @rule(seconds=spans)
    def the_server_sleeps(self, seconds: float) -> None:
        self.let_pass(seconds)
        self.world.watch.slept(seconds)
        self.watched_from = self.world.now

    @rule()
    def crash(self) -> None:
        self.world.crash()
        self.watched_from = self.world.now

    @invariant()
    def the_board_shows_each_task_as_it_is(self) -> None:
        for which, task in self.tasks.items():
            shown = self.world.read("olga", READ_BOARD, task=which).task
            seen = (shown.state, shown.holder, shown.fence)
            assert seen == (task.state, None if task.state in ("open", "cancelled") else task.holder, task.fence), which
            assert shown.overdue == (self.overdue(task) > 0), (which, task)
            if task.state == "claimed":
                until = datetime.fromisoformat(shown.lease_until).timestamp()
                assert abs(until - (self.world.now + task.left)) < 1, (which, task)
            else:
                assert shown.lease_until is None


@contextlib.contextmanager
def a_lease_that_runs_under_a_pause() -> Iterator[None]:
    """The twin: what was paused counts like any other time."""
    counted = leases.paused_seconds
    leases.paused_seconds = lambda pauses, since, now: 0.0
    try:
        yield
    finally:
        leases.paused_seconds = counted


TWIN: Any = a_lease_that_runs_under_a_pause
