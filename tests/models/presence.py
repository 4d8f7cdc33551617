"""Presence: who is suspect, asked, a zombie, gone, repaired and well again; and nobody for what it could not help.

The oracle restates when a finding is due from what members did: each tick of a supervisor that leads must make of each
agent what it says, no more and no less, and between ticks only evidence, or a call of who was gone, changes anything.
Once the clock was set back, findings may come late; they may never come early.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from teamroom.server.acts.capabilities.capabilities import DECLARE_CAPABILITIES
from teamroom.server.acts.control.control import KILL, PAUSE, RESUME
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence import trouble
from teamroom.server.acts.presence.presence import CHECK_IN, HEARTBEAT
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.rules.runs import Run
from tests.models.declared import Missed
from tests.models.runs import STILL, TIMES, Child, Runs
from tests.models.world import CLOCK_STEPS, Decided, Model, Plan, code, statement

LIVE, SLOW = 300.0, 1200.0
CONNECTED, SUSPECT, CHALLENGE, GONE, MISSES = 1.5, 2, 1.5, 3, 2
"""How many intervals: a connection outlives, a wake waits, a challenge waits, silence is; and how many challenges."""

WORK, LONGEST_WORK = 1800.5, 3600.0
"""So long ahead work is declared, and so long past its oldest unanswered wake a member's notes count."""

WATCHED = ["live", "slow"]
WRONG_ANSWERS = 3
"""So many wrong answers to one challenge, and no further one counts."""

AGENTS = [*WATCHED, "idle"]
BYSTANDERS = ["idle", "hans"]
"""An agent that wakes on demand and a person: nobody asks them whether they are there."""

names = st.sampled_from([*WATCHED, *BYSTANDERS])
agents = st.sampled_from(AGENTS)
watched = st.sampled_from(WATCHED)
holders = st.sampled_from(["first", "second"])
spans = st.sampled_from([1.5, 61.5, 150.5, 299.5, 301.5, 451.5, 601.5, 901.5, 1801.5, 3601.5])

TO_ACT_ON = ("assigned", "offer", "review", "repair", "reminder", "challenge")
Found = tuple[str | None, int, float | None]
"""What the room has found: the verdict, how many challenges were missed, and when the open one was asked."""

NOTHING: Found = (None, 0, None)


@dataclass
class Agent:
    """What a member did, and what was done to it."""

    interval: float | None
    called: float | None = None
    connected: float = 0.0
    progressed: float = 0.0
    ahead: float = 0.0
    """For how long it declared work with its newest note."""
    on_task: bool = False
    noted: float = 0.0
    """Whether its newest note was about its task, and when the newest such note was made."""
    free: float = 0.0
    evidence: int = 0
    evident: float = 0.0
    """The number and the time of its last evidence of work."""
    seen: int = 0
    note: str = ""
    posted: str = ""
    asks: dict[str, tuple[int, float]] = field(default_factory=dict)
    killed: bool = False
    runs: Runs = field(default_factory=Runs)
    looked_at_from: float = 0.0
    """Who was revived, resumed or gone, or changed its mode, is looked at an interval later at the latest."""


class Presence(Model):
    """Two agents with an interval, one without and a person; a watchdog; two supervisors."""

    PLAN = Plan(
        {
            "live": {"mode": "live"},
            "slow": {"mode": f"every:{SLOW:.0f}"},
            "idle": {},
            "hans": {"kind": "human"},
            "dog": {"role": "watchdog"},
        },
        {
            "presence_write_seconds": 0,
            "repeat_seconds": 0,
            "asks_per_hour": 1000,
            "notes_per_hour": 1000,
            "run_still_seconds": STILL,
            "run_still_times": TIMES,
            "busy_max_seconds": LONGEST_WORK,
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        intervals: dict[str, float | None] = {"live": LIVE, "slow": SLOW}
        self.agents = {name: Agent(intervals.get(name)) for name in [*WATCHED, *BYSTANDERS]}
        self.ids = {name: id_ for id_, name in self.world.look("select id, name from member")}
        self.paused: dict[str, float] = {}
        self.missed = Missed(self.world)
        self.watched_from = self.world.now
        self.found = dict.fromkeys(self.agents, NOTHING)
        self.said: list[tuple[str, str]] = []
        self.zombies = 0
        self.wrong: dict[str, int] = {}
        self.stalled: list[Decided] = []
        self.stalled_fence = 0

    @initialize()
    def begin(self) -> None:
        reaches = [f"runtime:{name}" for name in WATCHED]
        assert code(self.world.act("dog", DECLARE_CAPABILITIES, capabilities=reaches)) == "ok"
        for name in WATCHED:
            assert code(self.call(name, CLAIM_TASK, task=self.call(name, CREATE_TASK, title="build").task)) == "ok"
            self.is_evidence(name)

    # ---------------------------------------------------------------- what must hold

    def is_paused(self, name: str) -> bool:
        levels = [name] if name == "hans" else [name, "room"]
        return any(self.paused.get(level, 0.0) > self.world.now for level in levels)

    def there_since(self, name: str) -> float:
        """Since when it could see what waits for it: it called without a gap, the room watched, no pause bound it."""
        return max(self.watched_from, self.free_since(name))

    def free_since(self, name: str) -> float:
        """When the last pause ended that bound it."""
        ended = [until for level in (name, "room") if (until := self.paused.get(level, 0.0)) <= self.world.now]
        return max([self.agents[name].free, *ended])

    def waits_since(self, name: str) -> float | None:
        """Since when the oldest wake waits that it was not shown, or had to act on, and that nothing came after."""
        agent = self.agents[name]
        wakes = self.world.look(f"select at, seq, reason from wake where member = {self.ids[name]}")
        waiting = [
            at for at, seq, reason in wakes if seq > agent.evidence and (seq > agent.seen or reason in TO_ACT_ON)
        ]
        waiting += [at for seq, at in agent.asks.values() if seq > agent.evidence]
        return min(waiting, default=None)

    def holds(self, name: str) -> str | None:
        """The task that it holds."""
        tasks = self.world.look(f"select id from task where holder = {self.ids[name]} and title = 'build'")
        return f"T-{tasks[0][0]}" if tasks else None

    def notes_count_until(self, name: str) -> float:
        """From when on notes about its task excuse it no longer: a wake waits for too long."""
        since = self.waits_since(name)
        return math.inf if since is None else max(since, self.there_since(name)) + LONGEST_WORK

    def excused_until(self, name: str) -> float:
        """Until when its run, or what it declared on its task, excuses it."""
        agent = self.agents[name]
        busy = self.missed.busy_until((name, "room"), agent.progressed, agent.ahead)
        counts = agent.on_task and self.holds(name) is not None
        run = agent.runs.excuse_until(self.world.now, max(agent.evident, self.there_since(name)))
        return max(run, min(busy, self.notes_count_until(name)) if counts else 0.0)

    def judged(self, name: str) -> Found:
        """What a supervisor that leads must make of an agent now."""
        agent, now, before = self.agents[name], self.world.now, self.found[name]
        verdict, misses, asked = before
        if agent.interval is None or agent.called is None or agent.killed or self.is_paused(name) or verdict == "gone":
            return before
        there = max(agent.connected, self.there_since(name))
        is_connected = now - agent.called <= CONNECTED * agent.interval
        busy = self.missed.busy_until((name, "room"), agent.progressed, agent.ahead)
        if now >= max(agent.called, self.there_since(name), busy) + GONE * agent.interval:
            return "gone", 0, asked
        if verdict == "zombie" or self.excused_until(name) > now:
            return before
        if asked is not None:
            if now < asked + CHALLENGE * agent.interval:
                return before
            if max(there, agent.runs.end_of_that_at(asked)) > asked or not is_connected:
                return "suspect", misses, now
            return ("suspect" if misses + 1 < MISSES else "zombie"), misses + 1, now if misses + 1 < MISSES else asked
        if agent.runs.is_on(now):
            return "suspect", 0, now
        since = self.waits_since(name)
        if since is None or not is_connected:
            return before
        to_answer = SUSPECT * agent.interval
        noted_until = min(agent.noted + to_answer, self.notes_count_until(name))
        if now < max(max(since, there, agent.runs.end_of_that_at(since)) + to_answer, noted_until):
            return before
        return "suspect", 0, now

    def look(self) -> dict[str, Found]:
        rows = self.world.look("select name, verdict, misses, asked_at from trouble join member on id = member")
        return {**dict.fromkeys(self.agents, NOTHING), **{name: tuple(found) for name, *found in rows}}

    def nothing_changed(self, but: str | None = None) -> None:
        found = self.look()
        for name in self.agents:
            assert name == but or found[name] == self.found[name], (name, found[name], self.found[name])

    def is_evidence(self, name: str) -> None:
        """It did something: what waited for it is over, and so is all suspicion, at once."""
        self.agents[name].evidence, self.agents[name].evident = self.end_of_log(), self.world.now
        self.is_well(name)

    def is_well(self, name: str) -> None:
        """All suspicion is over at once."""
        assert self.look()[name] == NOTHING
        if self.found[name][0] is not None:
            self.said.append((name, "recovered"))
        self.found[name] = NOTHING

    def end_of_log(self) -> int:
        return int(self.world.look("select seq from head")[0][0])

    def call(self, name: str, act: Any, **arguments: Any) -> Any:
        """A member calls, whatever comes of it: then it is connected, and without a pause no longer gone."""
        return self.after_call(name, act, self.world.act(name, act, **arguments))

    def after_call(self, name: str, act: Any, reply: Any) -> Any:
        """What follows from a call alone."""
        agent, now = self.agents[name], self.world.now
        if agent.called is None or now - agent.called > CONNECTED * (agent.interval or 0.0):
            agent.connected = now
        agent.called = now
        if self.found[name][0] == "gone" and not self.is_paused(name):
            self.found[name] = NOTHING
            self.said.append((name, "recovered"))
            agent.looked_at_from = now + (agent.interval or 0.0)
        assert (code(reply) == "paused") == (self.is_paused(name) and act is not HEARTBEAT), reply
        return reply

    # ---------------------------------------------------------------- what members do

    @rule(
        name=names,
        note=st.sampled_from([None, "the same", "new"]),
        ahead=st.none() | st.just(WORK),
        on_task=st.booleans(),
    )
    def beat(self, name: str, note: str | None, ahead: float | None, on_task: bool) -> None:
        """A bare beat proves a connection, and so does a note again, or about no task; a new one on a task excuses."""
        self.number += 1
        note = f"note {self.number}" if note == "new" else note
        task = self.holds(name) if on_task else None
        given = {"note": note, "busy_until": ahead, "task": task}
        still_counts = self.world.now < self.notes_count_until(name)
        assert code(self.call(name, HEARTBEAT, **{key: value for key, value in given.items() if value})) == "ok"
        agent = self.agents[name]
        if not self.is_paused(name) and note is not None and note != agent.note:
            agent.note, agent.progressed, agent.ahead = note, self.world.now, ahead or 0.0
            agent.on_task = task is not None
            if agent.on_task:
                agent.noted = self.world.now
                if still_counts and self.found[name][0] in ("suspect", "zombie"):
                    self.is_well(name)
        self.nothing_changed()

    @rule(name=watched)
    def declare(self, name: str) -> None:
        """What it says of itself is no evidence of work."""
        self.number += 1
        self.call(name, DECLARE_CAPABILITIES, capabilities=[f"tool:{self.number}"])
        self.nothing_changed()

    # ---------------------------------------------------------------- what listeners run

    @rule(name=watched, moves=st.booleans())
    def a_listener_reports(self, name: str, moves: bool) -> None:
        """Its run began, moves, or does not; it also reports that of a run that the room cannot see yet."""
        agent, now = self.agents[name], self.world.now
        agent.runs.child = agent.runs.child or Child(now, now)
        if moves:
            agent.runs.child.moves(now)
        report = agent.runs.child.report(now)
        assert code(self.after_call(name, HEARTBEAT, self.world.hear(name, HEARTBEAT, report))) == "ok"
        if not self.is_paused(name):
            agent.runs.hear(report, now)
        self.nothing_changed()

    @rule(name=watched)
    def a_run_ends(self, name: str) -> None:
        """The listener waits again, and says so with its next call."""
        agent, since = self.agents[name], self.waits_since(name)
        assert code(self.after_call(name, HEARTBEAT, self.world.hear(name, HEARTBEAT, None))) == "ok"
        agent.runs.child = None
        if not self.is_paused(name):
            agent.runs.hear_of_none(since, self.world.now)
        self.nothing_changed()

    @rule(name=watched, moves=st.booleans(), beats=st.integers(1, 12), is_asked=st.booleans(), by=holders)
    def a_run_goes_on(self, name: str, moves: bool, beats: int, is_asked: bool, by: str) -> None:
        """The command of a listener works, or hangs; meanwhile somebody may ask something."""
        for number in range(beats):
            self.a_listener_reports(name, moves)
            if is_asked and number == 1:
                self.is_told(name, "ask")
            self.time_passes(299.5, by)

    @rule(name=watched, seconds=spans, by=holders)
    def a_laptop_sleeps(self, name: str, seconds: float, by: str) -> None:
        """The machine of a member sleeps, with what its listener runs; the room goes on."""
        child = self.agents[name].runs.child
        if child is not None:
            child.sleeps(seconds)
        self.time_passes(seconds, by)

    @rule(name=names)
    def check_in(self, name: str) -> None:
        reply = self.call(name, CHECK_IN)
        if code(reply) == "ok":
            self.agents[name].seen = max(self.agents[name].seen, reply.cursor)
            assert (reply.challenge is not None) == (self.found[name][2] is not None)
        self.nothing_changed()

    @rule(name=agents, mode=st.sampled_from(["live", f"every:{SLOW:.0f}", "on_demand"]))
    def change_mode(self, name: str, mode: str) -> None:
        reply = self.call(name, CHECK_IN, mode=mode)
        if code(reply) == "ok":
            self.agents[name].seen = max(self.agents[name].seen, reply.cursor)
            self.agents[name].interval = {"live": LIVE, "on_demand": None}.get(mode, SLOW)
            if reply.receipt is not None:
                self.agents[name].looked_at_from = self.world.now + (self.agents[name].interval or 0.0)
        self.nothing_changed()

    @rule(name=names, to_nobody=st.booleans())
    def post(self, name: str, to_nobody: bool) -> None:
        """What it does is evidence; what it is refused proves a connection."""
        self.number += 1
        given = {"to": ["nobody"]} if to_nobody else {}
        reply = self.call(name, POST_MESSAGE, text=f"here {self.number}", **given)
        if code(reply) == "ok":
            self.agents[name].posted = reply.message
            self.is_evidence(name)
        self.nothing_changed()

    @rule(name=names, kind=st.sampled_from(["note", "ask"]))
    def is_told(self, name: str, kind: str) -> None:
        self.number += 1
        reply = self.world.act("olga", POST_MESSAGE, text=f"listen {self.number}", to=[name], kind=kind)
        if kind == "ask":
            self.agents[name].asks[reply.message] = reply.receipt, self.world.now
        self.nothing_changed()

    @rule(name=names, data=st.data())
    def answer_an_ask(self, name: str, data: st.DataObject) -> None:
        agent = self.agents[name]
        if agent.asks:
            self.number += 1
            which = data.draw(st.sampled_from(list(agent.asks)))
            reply = self.call(name, POST_MESSAGE, text=f"so {self.number}", reply_to=which)
            if code(reply) == "ok":
                del agent.asks[which]
                agent.posted = reply.message
                self.is_evidence(name)
        self.nothing_changed()

    @rule(name=watched, how=st.sampled_from(["right", "wrong", "all of them", "without the code"]))
    def answer_a_challenge(self, name: str, how: str) -> None:
        """Only what reads the inbox can, with the code of the open one, about what the member did itself."""
        agent = self.agents[name]
        reply = self.call(name, CHECK_IN)
        if code(reply) != "ok":
            return
        agent.seen = max(agent.seen, reply.cursor)
        if reply.challenge is None:
            return
        nonce = reply.challenge.split('"')[1].split()[0]
        right = self.holds(name) or agent.posted or name
        words = {
            "right": f"{nonce} {right}",
            "wrong": f"{nonce} M-999",
            "all of them": f"{nonce} {name} {right} " + " ".join(f"T-{number} M-{number}" for number in range(90, 99)),
            "without the code": right,
        }
        answer = self.call(name, HEARTBEAT, answer=words[how])
        is_right = how == "right" and self.wrong.get(nonce, 0) < WRONG_ANSWERS
        assert code(answer) == ("ok" if is_right else "bad_proof")
        if is_right:
            self.is_evidence(name)
        else:
            self.wrong[nonce] = self.wrong.get(nonce, 0) + 1
        self.nothing_changed()

    # ---------------------------------------------------------------- watchdogs

    def repairs(self, name: str) -> list[tuple[Any, ...]]:
        return self.world.look(f"select id, state, fence from task where title like 'Repair @{name},%'")

    @rule(name=watched, done=st.booleans())
    def repair(self, name: str, done: bool) -> None:
        for number, state, fence in self.repairs(name) if self.paused.get("room", 0.0) <= self.world.now else ():
            if state == "open":
                assert code(self.world.act("dog", CLAIM_TASK, task=f"T-{number}")) == "ok"
            elif state == "claimed" and done:
                given = {"fence": fence, "summary": "restarted", "evidence": []}
                assert code(self.world.act("dog", COMPLETE_TASK, task=f"T-{number}", **given)) == "ok"
        self.nothing_changed()

    @invariant()
    def repairs_are_one_at_a_time_and_open_for_who_needs_one(self) -> None:
        for name in WATCHED:
            going = [state for _, state, _ in self.repairs(name) if state not in ("done", "cancelled")]
            assert len(going) <= 1, going
            if "open" in going:
                assert self.found[name][0] in ("zombie", "gone"), name

    # ---------------------------------------------------------------- what happens to them

    @rule(level=st.sampled_from([*WATCHED, "room"]), seconds=st.none() | spans)
    def pause(self, level: str, seconds: float | None) -> None:
        if self.paused.get(level, 0.0) <= self.world.now:
            assert code(self.world.act("olga", PAUSE, target=level, reason="a test", for_seconds=seconds)) == "ok"
            self.paused[level] = math.inf if seconds is None else self.world.now + seconds
            self.missed.begin_pause(level, self.paused[level])
        self.nothing_changed()

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        level = data.draw(st.sampled_from(list(self.paused)))
        assert code(self.world.act("olga", RESUME, target=level, reason="a test")) == "ok"
        if self.paused[level] > self.world.now:
            del self.paused[level]
            self.missed.end_pause(level)
            for name in AGENTS if level == "room" else [level]:
                self.agents[name].free = self.world.now
                self.agents[name].looked_at_from = self.world.now + (self.agents[name].interval or 0.0)
        self.nothing_changed()

    @rule(name=watched, seconds=spans)
    def kill_and_revive(self, name: str, seconds: float) -> None:
        agent = self.agents[name]
        self.paused.pop(name, None)
        self.missed.end_pause(name)
        assert code(self.world.act("olga", KILL, target=name, reason="a test")) == "ok"
        agent.killed, agent.runs.told, agent.runs.child = True, None, None
        self.found[name] = NOTHING
        self.nothing_changed()
        self.time_passes(seconds, "first")
        agent.killed = False
        self.world.callers[name] = self.world.identify(self.world.act("olga", ENROLL, name=name, revive=True).token)
        agent.free = self.world.now
        agent.looked_at_from = agent.free + (agent.interval or 0.0)
        self.nothing_changed()

    @rule(seconds=spans, by=holders)
    def time_passes(self, seconds: float, by: str) -> None:
        self.world.now += seconds
        self.tick(by)

    @rule(name=watched, intervals=st.integers(1, 8), is_asked=st.booleans(), by=holders)
    def somebody_only_beats(self, name: str, intervals: int, is_asked: bool, by: str) -> None:
        """A listener goes on while nobody behind it thinks."""
        if is_asked:
            self.is_told(name, "ask")
        interval = self.agents[name].interval
        for _ in range(intervals if interval is not None else 0):
            assert code(self.call(name, HEARTBEAT)) == "ok"
            self.time_passes(interval or 0.0, by)

    @rule(name=watched, how=st.sampled_from(["sleep", "step", "pause"]), seconds=spans, by=holders)
    def work_that_the_room_misses_a_part_of(self, name: str, how: str, seconds: float, by: str) -> None:
        """A member that declared work is asked something; its notes do not move for a while, and then not yet."""
        self.beat(name, "new", WORK, True)
        self.a_moment_passes()
        self.is_told(name, "ask")
        self.a_moment_passes()
        if how == "pause":
            self.pause(name, seconds)
            self.time_passes(seconds, by)
        elif how == "sleep":
            self.the_server_sleeps(seconds)
        else:
            self.somebody_sets_the_clock(seconds)
        self.somebody_only_beats(name, 8, False, by)

    @rule(seconds=st.sampled_from(CLOCK_STEPS))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        """No time passes; the room judges nobody for a while."""
        self.world.step_clock(seconds)
        if abs(seconds) > 5:
            self.watched_from = self.world.now

    @rule(seconds=spans)
    def the_server_sleeps(self, seconds: float) -> None:
        self.world.sleep(seconds)
        self.watched_from = self.world.now
        self.missed.gap(self.world.now - seconds)

    @rule()
    def crash(self) -> None:
        self.missed.crash()
        self.watched_from = self.world.now

    @rule(by=holders)
    def tick(self, by: str) -> None:
        expected = {name: self.judged(name) for name in self.agents}
        self.world.tick(by)
        ((leads,),) = self.world.look("select holder from supervisor")
        self.follow(expected, leads == by)

    @rule(by=holders, seconds=spans, other=st.none() | holders)
    def stall(self, by: str, seconds: float, other: str | None) -> None:
        """A supervisor decides what to do, and does not come to do it, while another may."""
        self.world.now += seconds
        self.stalled = self.world.tick_and_stall(by)
        ((self.stalled_fence,),) = self.world.look("select fence from supervisor")
        if other is not None:
            self.time_passes(seconds, other)

    @precondition(lambda self: self.stalled)
    @rule()
    def go_on(self) -> None:
        """A supervisor that stalled does what it decided; where another leads by now, none of it counts."""
        expected = {name: self.judged(name) for name in self.agents}
        ((fence,),) = self.world.look("select fence from supervisor")
        done, self.stalled = self.world.go_on(self.stalled), []
        if fence != self.stalled_fence:
            assert not any(done)
            self.nothing_changed()
        self.follow(expected, exactly=False)

    def follow(self, expected: dict[str, Found], exactly: bool) -> None:
        """What a supervisor made of the agents: all that was due, or, where it may be late, nothing else."""
        found = self.look()
        for name, now in found.items():
            before = self.found[name]
            agent = self.agents[name]
            looked_at_from = max(agent.looked_at_from, self.free_since(name) + (agent.interval or 0.0))
            may_wait = not exactly or self.world.now < looked_at_from
            assert now == expected[name] or (may_wait and now == before), (name, before, expected[name], now)
            if now[0] != before[0] or now[1] != before[1]:
                self.said.append((name, str(now[0])))
            self.zombies += now[0] == "zombie" != before[0]
        self.found = found

    @invariant()
    def a_moment_passes(self) -> None:
        """No two things happen at the same time."""
        self.world.now += 0.001

    @invariant()
    def each_finding_is_said_once(self) -> None:
        said = self.world.look(
            "select substr(subject, 2), detail ->> 'verdict' from log where act = 'presence' order by seq"
        )
        assert sorted(said) == sorted(self.said)
        ((alerts,),) = self.world.look("select count(*) from wake where reason = 'alert' and line like '% is zombie:%'")
        assert alerts == self.zombies


@contextlib.contextmanager
def a_beat_that_is_evidence() -> Iterator[None]:
    """The twin: whoever calls has answered what waits for it."""
    looked = trouble.unanswered_since

    def believes(tx: Any, row: Any) -> float | None:
        since = looked(tx, row)
        return None if since is not None and row.last_call_at > since + LIVE else since

    with patch.object(trouble, "unanswered_since", believes):
        yield


@contextlib.contextmanager
def a_note_that_is_evidence() -> Iterator[None]:
    """The twin: a new note answers what waits for its author, no matter what it is about."""
    evidence_of = trouble.evidence_of

    def believes(tx: Any, row: Any) -> trouble.Evidence:
        last = evidence_of(tx, row)
        return trouble.Evidence(max(last.at, row.declared_at or 0.0), last.seq)

    with patch.object(trouble, "evidence_of", believes):
        yield


def a_capability_that_is_evidence() -> contextlib.AbstractContextManager[None]:
    """Whoever declares a new capability has answered what waits for it."""
    return statement("last_act", lambda sql: sql.replace("('accept')", "('accept'), ('declare_capabilities')"))


def work_that_is_declared_for_ever() -> contextlib.AbstractContextManager[None]:
    """Notes about a task excuse its holder, however long something waits."""
    watched_facts = trouble.watched_facts

    def believes(tx: Any, row: Any, waits_since: float | None) -> Any:
        return watched_facts(tx, row, None)

    return patch.object(trouble, "watched_facts", believes)


def a_run_that_never_counts() -> contextlib.AbstractContextManager[None]:
    """Whatever a listener reports, its member must answer in time."""
    return patch.object(Run, "is_on", lambda run, now, settings: False)


def a_run_that_counts_for_ever() -> contextlib.AbstractContextManager[None]:
    """A run that hangs is taken for work."""
    return patch.object(Run, "counts_until", lambda run, watched_from, settings: math.inf)


def a_guess_that_is_an_answer() -> contextlib.AbstractContextManager[None]:
    """An answer that names everything is right if one of it is."""
    return patch.object(trouble, "is_right_answer", lambda answer, nonce, expected: set(answer.split()) & set(expected))


def walk(steps: Iterable[Callable[[Presence], None]]) -> None:
    """Let the room and the model take these steps, and end."""
    model = Presence()
    try:
        model.begin()
        for step in steps:
            model.a_moment_passes()
            step(model)
            model.each_finding_is_said_once()
    finally:
        model.world.close()


def _is_asked(model: Presence) -> None:
    model.is_told("live", "ask")


def _lives_on(does: Callable[[Presence], None]) -> list[Callable[[Presence], None]]:
    """It does the same every five minutes for two and a half hours."""
    return [_is_asked, *([does, lambda model: model.time_passes(LIVE, "first")] * 30)]


TWIN: Any = a_beat_that_is_evidence
TWINS: Any = {
    a_note_that_is_evidence: _lives_on(lambda model: model.beat("live", "new", None, False)),
    a_capability_that_is_evidence: _lives_on(lambda model: model.declare("live")),
    work_that_is_declared_for_ever: _lives_on(lambda model: model.beat("live", "new", WORK, True)),
    a_run_that_never_counts: _lives_on(lambda model: model.a_listener_reports("live", True)),
    a_run_that_counts_for_ever: _lives_on(lambda model: model.a_listener_reports("live", False)),
    a_guess_that_is_an_answer: _lives_on(lambda model: model.answer_a_challenge("live", "all of them")),
}
"""More faults, each with steps on which the model finds it."""
