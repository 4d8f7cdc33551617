"""Reminders: each slot decided once, for a reason, and none left out, whichever supervisor ticks and whatever stalls.

The oracle keeps since when each thing is owed and goes through the ledger in the order in which it was written. Each
line must be the next slot of something that is owed, with what spoke for or against it at that moment; and once a
supervisor that leads has ticked, no slot is left that had passed. Only a full hour of the room excuses one.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from teamroom.server.acts.control.control import KILL, PAUSE, RESUME
from teamroom.server.acts.decisions.decisions import DECIDE, REQUEST_DECISION
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.members.roster import WHO
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence.presence import CHECK_IN, HEARTBEAT
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from teamroom.server.facts.owed import RULES
from tests.models.declared import Missed
from tests.models.world import CLOCK_STEPS, Decided, Model, Plan, code, own_statement

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
FIRST = {"task": 30 * MINUTE, "blocked": DAY, "ask": 15 * MINUTE, "decision": 15 * MINUTE}
LETTERS = {"task": "T", "ask": "M", "decision": "D"}
CAP, A_DAY, AN_HOUR = 3, 4, 5
LIVE = 5 * MINUTE
LEASE_OF_LEAD = 60.0
NAMES = ["fast", "hand", "olga"]
LEDGER = """
    select rule, subject, member.name, since, slot, at, outcome, reason, missed
    from reminder join member on member.id = reminder.member order by reminder.rowid
"""

names = st.sampled_from(NAMES)
agents = st.sampled_from(["fast", "hand"])
holders = st.sampled_from(["first", "second"])
spans = st.sampled_from([1.5, 61.5, 300.5, 899.5, 1800.5, 3600.5, 7200.5, DAY / 2, 2.5 * DAY])
steps = st.sampled_from(CLOCK_STEPS)

Key = tuple[str, int, str]


@dataclass
class Owed:
    """Something owed: since when, and what became of its slots."""

    since: float
    first: float
    slot: int = 0
    counted: int = 0
    told: bool = False
    ended: bool = False
    """Who owed it was killed when a slot came: it is due again once that member is revived."""


@dataclass
class Task:
    """A task as far as reminders go."""

    assigned: str | None
    moved: float
    state: str = "open"
    holder: str | None = None
    fence: int = 0
    snoozed: float = 0.0


class Reminders(Model):
    """Two agents and a person who hold tasks and are asked things, and two supervisors that remind them."""

    PLAN = Plan(
        {"fast": {"mode": "live"}, "hand": {"mode": "on_demand"}, "eye": {"kind": "human", "role": "observer"}},
        {
            "reminders_per_task": CAP,
            "reminders_per_day": A_DAY,
            "reminders_per_hour": AN_HOUR,
            "presence_write_seconds": 0,
            "repeat_seconds": 0,
            "asks_per_hour": 1000,
            "notes_per_hour": 1000,
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.tasks: dict[int, Task] = {}
        self.asks: dict[int, tuple[str, str]] = {}
        self.decisions: dict[int, float] = {}
        """Until when each open decision may be made."""
        self.owed: dict[Key, Owed] = {}
        self.called = dict.fromkeys(NAMES, 0.0)
        self.declared = dict.fromkeys(NAMES, (0.0, 0.0))
        """When each wrote its newest note, and for how long it declared work with it."""
        self.missed = Missed(self.world)
        self.paused: dict[str, float] = {}
        self.killed: set[str] = set()
        self.written = 0
        self.sent: list[tuple[float, str]] = []
        self.told: list[tuple[str, str]] = []
        self.told_of_day: dict[str, list[float]] = {name: [] for name in NAMES}
        self.stalled: list[Decided] = []
        self.stalled_fence = 0

    # ---------------------------------------------------------------- what must hold

    def is_open(self, key: Key) -> bool:
        """Whether a member still owes something."""
        kind, number, name = key
        if kind == "ask":
            return number in self.asks
        if kind == "decision":
            return self.decisions.get(number, 0.0) > self.world.now
        task = self.tasks[number]
        if task.state == "open":
            return task.assigned == name
        return task.holder == name and task.state in ("claimed", "blocked")

    def has_moved(self, key: Key) -> bool:
        return key[0] == "task" and self.tasks[key[1]].moved > self.owed[key].since

    def owes(self, kind: str, number: int, name: str) -> None:
        first = FIRST["blocked" if kind == "task" and self.tasks[number].state == "blocked" else kind]
        self.owed[kind, number, name] = Owed(self.world.now, first)

    def slots(self, owed: Owed, upto: float) -> int:
        """How many slots have passed: after the first span, then each time after twice as long, up to a day."""
        passed, gap, at = 0, owed.first, owed.since + owed.first
        while at <= upto:
            passed, gap = passed + 1, min(2 * gap, DAY)
            at += gap
        return passed

    def is_full(self) -> bool:
        """Whether the room has sent what it may in an hour."""
        return sum(at > self.world.now - HOUR for at, _ in self.sent) >= AN_HOUR

    def standing(self, name: str) -> str:
        levels = [name] if name == "olga" else [name, "room"]
        return "paused" if any(level in self.paused for level in levels) else "active"

    def verdict(self, name: str) -> str:
        if self.missed.busy_until((name, "room"), *self.declared[name]) > self.world.now:
            return "working"
        return "live" if self.world.now - self.called[name] <= LIVE else "asleep"

    def outcomes(self, key: Key, verdicts: set[str]) -> set[tuple[str, str, int]]:
        """What may become of a slot now, why, and whether it counts."""
        name = key[2]
        if self.standing(name) != "active":
            return {("silent", "the member is paused", 0)}
        if key[0] == "task" and self.tasks[key[1]].snoozed > self.world.now:
            return {("silent", "snoozed", 0)}
        full = sum(at > self.world.now - DAY and who == name for at, who in self.sent) >= A_DAY
        found = set()
        for verdict in verdicts if name == "fast" else {self.verdict(name)}:
            if verdict in ("suspect", "zombie", "gone"):
                found.add(("silent", f"the member is {verdict}, and its owner knows", 1))
            elif full:
                found.add(("silent", "the member has reached its daily reminder limit", 1))
            elif verdict == "asleep":
                found.add(("held", "the member is asleep; the reminder comes with its next wake", 1))
            else:
                found.add(("sent", "", 1))
        return found

    def read_on(self, before: str) -> None:
        """Go through what a supervisor wrote into the ledger since, in order. `before`: the verdict on @fast then."""
        verdicts = {before, self.verdict_on_fast()}
        lines = self.world.look(LEDGER)
        for line in lines[self.written :]:
            self.follow(line, verdicts)
        self.written = len(lines)

    def follow(self, line: tuple[Any, ...], verdicts: set[str]) -> None:
        kind, number, name, since, slot, at, outcome, reason, missed = line
        key, now = (kind, number, name), self.world.now
        assert self.is_open(key), f"{line}: nothing is owed"
        owed = self.owed[key]
        assert (since, at) == (owed.since, now), (line, owed)
        assert not owed.ended, f"{line}: it was over with the kill"
        if name in self.killed:
            assert (outcome, reason, missed, slot) == ("silent", "the member is killed", 0, owed.slot + 1), line
            assert self.slots(owed, now) > owed.slot, f"{line}: too early"
            owed.slot, owed.ended = slot, True
            return
        if self.has_moved(key):
            assert (outcome, reason, missed, slot) == ("silent", "it moved", 0, owed.slot + 1), line
            assert self.slots(owed, now) > owed.slot, f"{line}: too early"
            first = FIRST["blocked" if self.tasks[number].state == "blocked" else "task"]
            self.owed[key] = Owed(self.tasks[number].moved, first)
            return
        passed = self.slots(owed, now)
        assert owed.slot < slot == passed, (line, owed)
        assert missed == passed - owed.slot - 1, (line, owed)
        assert not owed.told, f"{line}: its owner was told"
        assert not self.is_full(), f"{line}: the hour is full"
        expected = {found for found in self.outcomes(key, verdicts) if found[:2] == (outcome, reason)}
        assert expected, (line, self.outcomes(key, verdicts))
        owed.slot, owed.counted = slot, owed.counted + max(counts for _, _, counts in expected)
        if outcome == "sent":
            self.sent.append((now, name))
        if owed.counted >= CAP:
            owed.told = True
            self.told.append((kind, self.written_as(key)))

    def written_as(self, key: Key) -> str:
        return f"{LETTERS[key[0]]}-{key[1]}"

    def nothing_is_left_out(self) -> None:
        """What a tick leaves: no slot that passed undecided, unless the room may send nothing more this hour."""
        for key, owed in self.owed.items():
            if not self.is_open(key) or owed.ended or self.slots(owed, self.world.now) <= owed.slot:
                continue
            if owed.told and not self.has_moved(key) and key[2] not in self.killed:
                owed.slot = self.slots(owed, self.world.now)
            else:
                assert self.is_full(), f"{key} was left out: {owed}"

    def verdict_on_fast(self) -> str:
        return str(self.world.read("eye", WHO, name="fast").members[0].presence)

    # ---------------------------------------------------------------- what members do

    def call(self, name: str, act: Any, **arguments: Any) -> Any:
        """A member calls, which is a sign of it, whatever comes of it."""
        reply = self.world.act(name, act, **arguments)
        self.called[name] = self.world.now
        assert (code(reply) == "paused") == (self.standing(name) == "paused" and act is not HEARTBEAT), reply
        return reply

    @initialize()
    def begin(self) -> None:
        """Everybody holds a task, and one more is open."""
        for _ in range(4):
            self.create(None)
        for number, name in enumerate(NAMES, start=1):
            self.take(name, number)

    @precondition(lambda self: len(self.tasks) < 7)
    @rule(assigned=st.none() | names)
    def create(self, assigned: str | None) -> None:
        self.number += 1
        given = {} if assigned is None else {"assign": assigned}
        reply = self.call("olga", CREATE_TASK, title=f"task {self.number}", review="none", **given)
        if code(reply) == "ok":
            number = int(reply.task[2:])
            self.tasks[number] = Task(assigned, self.world.now)
            if assigned is not None:
                self.owes("task", number, assigned)
        else:
            assert code(reply) in ("paused", "not_allowed"), "a zombie gets no new work"

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data())
    def claim(self, name: str, data: st.DataObject) -> None:
        self.take(name, data.draw(st.sampled_from(list(self.tasks))))

    def take(self, name: str, number: int) -> None:
        task = self.tasks[number]
        reply = self.call(name, CLAIM_TASK, task=f"T-{number}")
        if code(reply) == "ok" and reply.replayed is None:
            task.state, task.holder, task.fence, task.moved = "claimed", name, reply.fence, self.world.now
            self.owes("task", number, name)

    def held(self, data: st.DataObject) -> tuple[int, Task] | None:
        """A task that somebody holds, and may write about now."""
        held = [
            number
            for number, task in self.tasks.items()
            if task.state in ("claimed", "blocked") and self.standing(str(task.holder)) == "active"
        ]
        if not held:
            return None
        number = data.draw(st.sampled_from(held))
        return number, self.tasks[number]

    @rule(data=st.data(), status=st.sampled_from(["working", "blocked"]))
    def report(self, data: st.DataObject, status: str) -> None:
        if (found := self.held(data)) is None:
            return
        number, task = found
        self.number += 1
        given = {"fence": task.fence, "note": f"n{self.number}", "status": status, "blocked_on": "604800"}
        assert code(self.call(str(task.holder), UPDATE_TASK, task=f"T-{number}", **given)) == "ok"
        task.state, task.moved = "claimed" if status == "working" else "blocked", self.world.now
        self.declared[str(task.holder)] = self.world.now, 0.0
        self.owes("task", number, str(task.holder))

    @rule(data=st.data(), accepted=st.booleans())
    def hand_over(self, data: st.DataObject, accepted: bool) -> None:
        if (found := self.held(data)) is None:
            return
        number, task = found
        giver = str(task.holder)
        receiver = data.draw(st.sampled_from([name for name in NAMES if name != giver]))
        reply = self.call(giver, HAND_OFF, task=f"T-{number}", fence=task.fence, to=receiver, note="yours")
        if code(reply) != "ok":
            assert code(reply) == "not_allowed"
            return
        answer = self.call(receiver, ANSWER_HAND_OFF, offer=reply.offer, accept=accepted)
        task.state, task.moved = "claimed", self.world.now
        if code(answer) == "ok" and accepted:
            task.holder, task.fence = receiver, answer.fence
        elif code(answer) != "ok":
            assert code(answer) in ("paused", "wip_cap")
            assert code(self.call(giver, ANSWER_HAND_OFF, offer=reply.offer, accept=False)) == "ok"
        self.owes("task", number, str(task.holder))

    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        if (found := self.held(data)) is None:
            return
        number, task = found
        given = {"fence": task.fence, "summary": "it stands", "evidence": []}
        assert code(self.call(str(task.holder), COMPLETE_TASK, task=f"T-{number}", **given)) == "ok"
        task.state = "done"

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), how=st.sampled_from(["edit", "released", "cancelled"]))
    def run_a_task(self, data: st.DataObject, how: str) -> None:
        """Its creator, without a fence."""
        self.change(data.draw(st.sampled_from(list(self.tasks))), how, 0.0)

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), span=spans)
    def snooze(self, data: st.DataObject, span: float) -> None:
        self.change(data.draw(st.sampled_from(list(self.tasks))), "snooze", span)

    def change(self, number: int, how: str, span: float) -> None:
        task = self.tasks[number]
        self.number += 1
        given: dict[str, Any] = {"status": how}
        if how in ("edit", "snooze"):
            given = {"changes": {"title": f"t{self.number}"}} if how == "edit" else {"snooze_until": span}
        reply = self.call("olga", UPDATE_TASK, task=f"T-{number}", **given)
        if code(reply) != "ok":
            assert code(reply) in ("paused", "conflict")
            return
        task.moved = self.world.now
        if how == "snooze":
            task.snoozed = self.world.now + span
        if how in ("released", "cancelled"):
            task.state, task.holder = ("open" if how == "released" else "cancelled"), None
            if how == "released" and task.assigned is not None:
                self.owes("task", number, task.assigned)

    @precondition(lambda self: len(self.asks) < 4)
    @rule(whom=names)
    def ask(self, whom: str) -> None:
        author = "fast" if whom == "olga" else "olga"
        self.number += 1
        reply = self.call(author, POST_MESSAGE, text=f"why {self.number}?", kind="ask", to=[whom])
        if code(reply) == "ok":
            number = int(reply.message[2:])
            self.asks[number] = author, whom
            self.owes("ask", number, whom)

    @precondition(lambda self: self.asks)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(list(self.asks)))
        self.number += 1
        reply = self.call(self.asks[number][1], POST_MESSAGE, text=f"so {self.number}", reply_to=f"M-{number}")
        if code(reply) == "ok":
            del self.asks[number]

    @precondition(lambda self: len(self.decisions) < 3)
    @rule(asker=agents, until=st.sampled_from([2 * HOUR, 2 * DAY]))
    def ask_to_decide(self, asker: str, until: float) -> None:
        self.number += 1
        reply = self.call(asker, REQUEST_DECISION, question=f"which {self.number}?", until=until)
        if code(reply) == "ok":
            number = int(reply.decision[2:])
            self.decisions[number] = self.world.now + until
            self.owes("decision", number, "olga")

    @precondition(lambda self: self.decisions)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(list(self.decisions)))
        reply = self.call("olga", DECIDE, decision=f"D-{number}", option="yes")
        assert code(reply) == ("ok" if self.decisions.pop(number) > self.world.now else "expired")

    @precondition(lambda self: self.tasks)
    @rule(name=names, data=st.data())
    def say_on_it(self, name: str, data: st.DataObject) -> None:
        """Which ends nothing."""
        number = data.draw(st.sampled_from(list(self.tasks)))
        self.number += 1
        self.call(name, POST_MESSAGE, text=f"on it {self.number}", task=f"T-{number}")

    @rule(name=agents, ahead=st.none() | st.sampled_from([600.5, 7200.5]))
    def beat(self, name: str, ahead: float | None) -> None:
        self.number += 1
        given = {} if ahead is None else {"note": f"b{self.number}", "busy_until": ahead}
        assert code(self.call(name, HEARTBEAT, **given)) == "ok"
        if ahead is not None and self.standing(name) == "active":
            self.declared[name] = self.world.now, ahead

    @rule(name=names)
    def check_in(self, name: str) -> None:
        """What it was reminded of, or would have been had it been awake, and still owes."""
        reply = self.call(name, CHECK_IN)
        if code(reply) == "ok":
            shown = {(reminder.rule, reminder.subject, reminder.times) for reminder in reply.reminders}
            lines = self.world.look(LEDGER)
            expected = set()
            for key, owed in self.owed.items():
                if key[2] == name and self.is_open(key) and not self.has_moved(key):
                    times = sum(line[:4] == (*key, owed.since) and line[6] in ("sent", "held") for line in lines)
                    if times:
                        expected.add((key[0], self.written_as(key), times))
            assert shown == expected

    # ---------------------------------------------------------------- what happens to them

    @rule(level=st.sampled_from(["fast", "hand", "room"]))
    def pause(self, level: str) -> None:
        if level not in self.paused:
            assert code(self.call("olga", PAUSE, target=level, reason="a test")) == "ok"
            self.paused[level] = self.world.now
            self.missed.begin_pause(level, math.inf)

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        level = data.draw(st.sampled_from(list(self.paused)))
        assert code(self.call("olga", RESUME, target=level, reason="a test")) == "ok"
        del self.paused[level]
        self.missed.end_pause(level)

    @rule(name=agents, seconds=spans, by=holders)
    def kill_and_revive(self, name: str, seconds: float, by: str) -> None:
        """What it held is free, and what was assigned to it is anyone's: that is settled before any later slot.

        What it still owes once it is revived continues from the last slot, and its count begins again.
        """
        for holder in ("first", "second"):
            self.tick(holder)
        assert code(self.call("olga", KILL, target=name, reason="a test")) == "ok"
        self.paused.pop(name, None)
        self.missed.end_pause(name)
        self.killed.add(name)
        for number, task in self.tasks.items():
            if task.holder == name and task.state in ("claimed", "blocked"):
                task.state, task.holder, task.moved = "open", None, self.world.now
                if task.assigned not in (None, name):
                    self.owes("task", number, str(task.assigned))
        self.world.now += seconds
        for task in self.tasks.values():
            if task.assigned == name and task.state not in ("done", "cancelled"):
                task.assigned, task.moved = None, self.world.now
        for holder in (by, "first", "second"):
            self.tick(holder)
        token = self.world.act("olga", ENROLL, name=name, revive=True).token
        self.world.callers[name] = self.world.identify(token)
        self.called["olga"] = self.world.now
        self.killed.remove(name)
        for key, owed in self.owed.items():
            if key[2] == name and owed.ended:
                owed.ended, owed.told, owed.counted = False, False, 0

    @rule(seconds=spans, by=holders, awake=st.booleans())
    def time_passes(self, seconds: float, by: str, awake: bool) -> None:
        self.world.now += seconds
        for name in NAMES if awake else ():
            self.call(name, HEARTBEAT)
        self.tick(by)

    @rule(seconds=spans, sleeping=st.booleans())
    def time_passes_and_nobody_looks(self, seconds: float, sleeping: bool) -> None:
        if sleeping:
            self.world.sleep(seconds)
            self.missed.gap(self.world.now - seconds)
        else:
            self.world.now += seconds

    @rule(seconds=steps)
    def somebody_sets_the_clock(self, seconds: float) -> None:
        """No time passes, so nothing that is owed changes."""
        self.world.step_clock(seconds)

    @rule(by=holders)
    def tick(self, by: str) -> None:
        """A supervisor ticks. It leads where nobody did in the last minute, with a new fence, or goes on to lead."""
        before, ((leader, fence, until),) = self.verdict_on_fast(), self.lead()
        self.world.tick(by)
        ((leads, its_fence, _),) = self.lead()
        is_free = self.world.now >= until or until > self.world.now + LEASE_OF_LEAD
        assert (leads, its_fence) == (leader, fence) or (leads == by and is_free and its_fence == fence + 1)
        self.read_on(before)
        if leads == by:
            self.nothing_is_left_out()

    @rule(by=holders, seconds=spans, other=st.none() | holders)
    def stall(self, by: str, seconds: float, other: str | None) -> None:
        """A supervisor decides what to do, and does not come to do it, while another may."""
        self.world.now += seconds
        self.stalled = self.world.tick_and_stall(by)
        ((_, self.stalled_fence, _),) = self.lead()
        if other is not None:
            self.time_passes(seconds, other, awake=True)

    @precondition(lambda self: self.stalled)
    @rule()
    def go_on(self) -> None:
        """A supervisor that stalled does what it decided; where another leads by now, none of it counts."""
        before, ((_, fence, _),) = self.verdict_on_fast(), self.lead()
        done, self.stalled = self.world.go_on(self.stalled), []
        if fence != self.stalled_fence:
            assert not any(done)
            assert len(self.world.look(LEDGER)) == self.written
        self.read_on(before)

    def lead(self) -> list[tuple[Any, ...]]:
        return self.world.look("select holder, fence, until from supervisor")

    @rule()
    def crash(self) -> None:
        self.missed.crash()

    @invariant()
    def a_moment_passes(self) -> None:
        """No two things happen at the same time."""
        self.world.now += 0.001

    @invariant()
    def each_reminder_is_one_wake_and_each_owner_is_told_once(self) -> None:
        ((wakes, said, overdue),) = self.world.look(
            "select (select count(*) from wake where reason = 'reminder'), "
            "(select count(*) from log where act = 'remind'), (select count(*) from log where act = 'overdue')"
        )
        assert said == len(self.sent)
        assert wakes == said + overdue
        told = self.world.look("select detail ->> 'rule', subject, at from log where act = 'escalate' order by seq")
        assert sorted(told[:2] for told in told if told[0] != "day") == sorted(self.told)
        for name in NAMES:
            days = [at for what, subject, at in told if what == "day" and subject == f"@{name}"]
            assert all(later - before > DAY for before, later in pairwise(days)), days


@contextlib.contextmanager
def a_message_that_ends_a_reminder() -> Iterator[None]:
    """The twin: to say "on it" is enough."""
    rule = RULES["task"]

    def believes(tx: Any, subject: int, member: int, since: float) -> Any:
        found = rule.owed(tx, subject, member, since)
        said = tx.value(float, "said_of_task", task=subject, member=member)
        return None if said is not None and said > since else found

    with (
        own_statement("said_of_task", "select max(at) as at from message where task = :task and author = :member"),
        patch.dict(RULES, {"task": replace(rule, owed=believes)}),
    ):
        yield


TWIN: Any = a_message_that_ends_a_reminder
