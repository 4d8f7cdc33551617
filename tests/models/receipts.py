"""Receipts of wakes: what was seen of each wake in three steps, what is said of a member's wakes, and who is told.

The oracle keeps what listeners and the member did, and restates what was seen of each wake. Three listeners follow each
other; two of them are started by one harness. What they were given is written later, and a crash forgets it. The member
is woken on demand, so that nobody asks whether it is there.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from teamroom.server.acts.control.control import PAUSE, RESUME
from teamroom.server.acts.members.roster import WHO
from teamroom.server.acts.messages.messages import POST_MESSAGE, READ_MESSAGES
from teamroom.server.acts.presence.presence import CHECK_IN, HEARTBEAT, WAKES_WAITING
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.door import admission
from teamroom.server.door.principal import Heard
from teamroom.server.facts import steps
from teamroom.server.rules.presence import ninetieth
from teamroom.server.store.transaction import Writing
from tests.models.world import Model, Plan, code, run_at_once, statement

LISTENERS = ["1764000000000-one", "1764000001000-one", "1764000002000-two"]
"""The first two are started by one harness, the second of them later."""

NEWEST, PATIENCE, TOLD_AGAIN, ANSWERS, LOOKED_AT = 3, 300.0, 86_400.0, 20, 90_002.0
"""So many of the newest wakes lead to no act, for so long; when an owner is told again; how many answers
count; and how much time passes here at most until the room looks again."""

listeners = st.sampled_from(LISTENERS)
spans = st.sampled_from([1.5, 61.5, 299.5, 301.5, 3_601.5, 90_001.5])


def root(listener: str) -> str:
    return listener.partition("-")[2]


@dataclass
class Wake:
    """What was seen of one wake."""

    seq: int
    message: str
    at: float
    notified: float | None = None
    woken: float | None = None
    acted: float | None = None
    listener: str = ""

    @property
    def steps(self) -> tuple[float | None, float | None, float | None]:
        return self.notified, self.woken, self.acted

    @property
    def is_whole(self) -> bool:
        """Whether it went through all three steps."""
        return None not in self.steps


@dataclass(frozen=True)
class Given:
    """Wakes that a listener was given at a time, which the room may still have to write down."""

    listener: str
    after: int
    upto: int
    at: float


class Receipts(Model):
    """An agent, somebody who wakes it, and listeners of it."""

    PLAN = Plan(
        {"builder": {"mode": "on_demand"}, "asker": {}},
        {
            "presence_write_seconds": 0,
            "repeat_seconds": 0,
            "notes_per_hour": 1000,
            "wakes_from_one": 1000,
            "forecast_answers": ANSWERS,
            "forecast_kept": ANSWERS,
            "exchange_rounds": 100,
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        ((self.member,),) = self.world.look("select id from member where name = 'builder'")
        self.world.listening.add(self.member)
        self.wakes: list[Wake] = []
        self.unwritten: list[Given] = []
        self.given: dict[str, int] = {}
        self.newest: str | None = None
        self.acknowledged = self.seen = self.woken = self.acted_upto = 0
        self.verified = ""
        self.unacted_at: float | None = None
        self.known_at = 0.0
        """When the room came to know of that: it looks some time after."""
        self.paused_since: float | None = None
        self.pauses: list[tuple[float, float]] = []
        self.watched_from = self.world.now
        self.told: list[float] = []
        self.answered: dict[int, float] = {}
        """How long each wake waited that an act answered, by number."""
        self.measured_upto = 0

    # ---------------------------------------------------------------- what must be known

    def newest_given(self) -> list[Wake]:
        """The newest wakes that a listener was given."""
        return [wake for wake in reversed(self.wakes) if wake.notified is not None][:NEWEST]

    def is_verified(self) -> bool:
        return self.newest is not None and root(self.newest) == root(self.verified)

    def unacted_seconds(self) -> float:
        """For how long the newest wakes have led to no act, without pauses and without what the room did not see."""
        return 0.0 if self.unacted_at is None else self.waited_since(max(self.unacted_at, self.watched_from))

    def waited_since(self, since: float) -> float:
        """How long it is since a time, without pauses."""
        now = self.world.now
        paused = [*self.pauses, *([(self.paused_since, now)] if self.paused_since is not None else [])]
        return now - since - sum(max(min(until, now) - max(begin, since), 0.0) for begin, until in paused)

    def patience(self) -> float:
        """How long a wake may wait: as long as answers usually take, once enough of them are known."""
        newest = sorted(self.answered)[-ANSWERS:]
        usual = ninetieth([self.answered[seq] for seq in newest]) if len(newest) == ANSWERS else 0.0
        return usual + PATIENCE

    def fault(self) -> str:
        if self.unacted_seconds() > self.patience():
            return "unacted"
        return "" if self.is_verified() else "unseen"

    # ---------------------------------------------------------------- what follows from each step

    def notify(self, given: Given) -> None:
        """The room writes down what a listener was given. The first time stays."""
        changed = False
        for wake in self.wakes:
            if not given.after < wake.seq <= given.upto:
                continue
            if wake.notified is None or (wake.acted is None and wake.listener != given.listener):
                wake.notified = given.at if wake.notified is None else wake.notified
                wake.listener, changed = given.listener, True
        found = self.newest_given()
        if changed and self.unacted_at is None and len(found) == NEWEST and not any(wake.acted for wake in found):
            self.unacted_at = max(wake.notified or 0.0 for wake in found)
            self.known_at = self.world.now

    def wake_up(self, listener: str, upto: int) -> None:
        """A listener handed its wakes to a harness that started."""
        new = [
            wake
            for wake in self.wakes
            if wake.seq <= upto
            and wake.notified is not None
            and wake.woken is None
            and root(wake.listener) == root(listener)
        ]
        for wake in new:
            wake.woken = self.world.now
        if new:
            self.woken = max([wake.seq for wake in new if wake.acted is None], default=self.woken)
            self.verify(new)

    def act_on(self, after: int, upto: int) -> None:
        """The member itself did something about its wakes in a range."""
        new = [wake for wake in self.wakes if after < wake.seq <= upto and wake.acted is None]
        for wake in new:
            wake.acted = self.world.now
        if new:
            self.woken = 0 if self.woken <= upto else self.woken
            self.unacted_at = None
            self.verify(new)

    def verify(self, new: list[Wake]) -> None:
        whole = [wake for wake in new if wake.is_whole and wake.listener]
        self.verified = whole[-1].listener if whole else self.verified

    # ---------------------------------------------------------------- what happens

    @rule(count=st.integers(1, 4), dies=st.booleans())
    def wakes_come(self, count: int, dies: bool = False) -> None:
        """Somebody writes to the member; the server may be killed right after."""
        for _ in range(count):
            self.number += 1
            reply = self.world.act("asker", POST_MESSAGE, text=f"look at {self.number}", to=["builder"])
            assert code(reply) == "ok"
            self.wakes.append(Wake(reply.receipt, reply.message, self.world.now))
        if dies:
            self.crash()

    @rule(listener=listeners)
    def a_listener_takes_over(self, listener: str) -> None:
        if self.newest is not None and listener < self.newest:
            return  # an older one does not
        self.newest = listener
        kept = {"member": self.member, "mechanism": "long poll", "listener": listener, "server": "x", "began_at": 0.0}
        run_at_once(self.world.door.act_as_room(lambda tx: tx.run("take_listener", **kept)))

    @rule()
    def the_listener_is_given_wakes(self) -> None:
        found = self.world.read("builder", WAKES_WAITING)
        assert (code(found) == "paused") == (self.paused_since is not None)
        if self.newest is None or code(found) != "ok" or not found.wakes:
            return
        self.world.door.note_delivery(self.world.callers["builder"], self.newest, found.after, found.cursor)
        self.unwritten.append(Given(self.newest, found.after, found.cursor, self.world.now))
        self.given[self.newest] = found.cursor

    @rule(dies=st.booleans())
    def what_was_given_is_written(self, dies: bool = False) -> None:
        """What was written outlives the server."""
        run_at_once(self.world.door.write_deliveries())
        self.write()
        if dies:
            self.crash()

    def write(self) -> None:
        for given in self.unwritten:
            self.notify(given)
        self.unwritten = []

    @rule(listener=listeners, ahead=st.sampled_from([0, 1_000_000]))
    def a_harness_starts(self, listener: str, ahead: int) -> None:
        """Its listener says so, also of more than it was given. What it was given is written first."""
        upto = self.given.get(listener, 0) + ahead
        is_newest = listener == self.newest
        given = self.world.door.deliveries.of(self.member)
        self.world.say("builder", HEARTBEAT, Heard(None, listener, is_newest, upto, None, given))
        if is_newest and self.paused_since is None:
            for one in self.unwritten:
                self.notify(one)
            self.wake_up(listener, upto)

    @rule(acknowledges=st.booleans())
    def the_member_checks_in(self, acknowledges: bool) -> None:
        before = self.acknowledged
        given = {"after": self.seen} if acknowledges and self.seen > before else {}
        reply = self.world.act("builder", CHECK_IN, **given)
        assert (code(reply) == "paused") == (self.paused_since is not None)
        if code(reply) != "ok":
            return
        if given:
            self.acknowledged = self.seen
            self.act_on(before, self.acknowledged)
        self.seen = max(self.seen, reply.cursor)

    @rule()
    def the_listener_checks_in(self) -> None:
        """It is shown wakes, and is given them thereby. That is no act of the member."""
        if self.newest is None:
            return
        reply = self.world.say("builder", CHECK_IN, Heard(None, self.newest, True))
        if code(reply) == "ok":
            self.seen = max(self.seen, reply.cursor)
            if reply.wakes:
                self.notify(Given(self.newest, self.acknowledged, reply.cursor, self.world.now))
                self.given[self.newest] = reply.cursor

    @rule(listens=st.booleans())
    def something_is_done(self, listens: bool) -> None:
        """The member acts, or its listener does so in its name, which is no act of the member."""
        self.number += 1
        heard = Heard(None, self.newest, True) if listens and self.newest is not None else None
        reply = self.world.say("builder", CREATE_TASK, heard, title=f"task {self.number}")
        assert (code(reply) == "paused") == (self.paused_since is not None)
        if code(reply) == "ok" and heard is None:
            self.act_on(0, max(self.seen, self.woken))
            self.measure()

    def measure(self) -> None:
        """How long the wakes waited that the member was shown, until this act."""
        newest = [wake for wake in self.wakes if self.measured_upto < wake.seq <= self.seen][-ANSWERS:]
        for wake in newest:
            self.answered[wake.seq] = self.waited_since(wake.at)
        self.measured_upto = max(self.measured_upto, self.seen)

    @rule()
    def a_pause_begins_or_ends(self) -> None:
        act = PAUSE if self.paused_since is None else RESUME
        assert code(self.world.act("olga", act, target="builder", reason="so")) == "ok"
        if self.paused_since is None:
            self.paused_since = self.world.now
        else:
            self.pauses.append((self.paused_since, self.world.now))
            self.paused_since = None
        self.learn()

    def learn(self) -> None:
        """The room's own acts wake the member too."""
        known = {wake.seq for wake in self.wakes}
        for (seq,) in self.world.look(f"select distinct seq from wake where member = {self.member} order by seq"):
            if seq not in known:
                self.wakes.append(Wake(seq, "", self.world.now))

    @rule(seconds=spans)
    def time_passes(self, seconds: float) -> None:
        """The room's supervisor writes what was given, and looks at the member's wakes."""
        self.world.now += seconds
        self.world.tick()
        self.write()
        self.look_at_told()

    @rule(seconds=st.sampled_from([301.5, 3_601.5]), count=st.integers(1, 4), acts_before=st.booleans())
    def wakes_lead_to_nothing(self, seconds: float, count: int, acts_before: bool) -> None:
        """The listener hands on one wake after the other, and nothing comes of it for a while."""
        if acts_before:
            self.a_listener_takes_over(LISTENERS[0])
            self.wakes_come(1)
            self.the_member_checks_in(acknowledges=False)
            self.something_is_done(listens=False)
        for _ in range(count):
            self.wakes_come(1)
            self.the_listener_is_given_wakes()
            if self.newest is not None:
                self.a_harness_starts(self.newest, 0)
        for _ in range(4):
            self.time_passes(seconds)

    @rule()
    def the_harness_of_another_listener_starts(self) -> None:
        """It was not given the wakes that the listener before it was given."""
        self.wakes_come(1)
        self.the_listener_is_given_wakes()
        self.what_was_given_is_written()
        self.a_listener_takes_over(LISTENERS[-1])
        self.a_harness_starts(LISTENERS[-1], 1_000_000)

    @rule(is_given=st.booleans())
    def the_server_dies_with_what_it_had_not_written(self, is_given: bool) -> None:
        self.wakes_come(1)
        if is_given:
            self.the_listener_is_given_wakes()
        self.crash()

    @rule()
    def crash(self) -> None:
        """What was not written is not seen."""
        self.world.crash()
        self.unwritten, self.watched_from = [], self.world.now

    # ---------------------------------------------------------------- what must hold

    @invariant()
    def a_moment_passes(self) -> None:
        self.world.now += 0.001

    @invariant()
    def each_step_is_recorded_when_it_was_seen(self) -> None:
        found = self.world.look(
            f"select distinct seq, notified_at, woken_at, acted_at from wake where member = {self.member} order by seq"
        )
        assert found == [(wake.seq, *wake.steps) for wake in self.wakes]
        for wake in [wake for wake in self.wakes if wake.message][-1:]:
            (message,) = self.world.read("olga", READ_MESSAGES, ids=[wake.message]).messages
            (shown,) = message.wakes
            steps_shown = (shown.notified, shown.woken, shown.acted)
            assert [step is not None for step in steps_shown] == [step is not None for step in wake.steps]

    @invariant()
    def the_roster_and_forecasts_say_what_is_known_of_its_wakes(self) -> None:
        (shown,) = self.world.read("olga", WHO, name="builder").members
        fault = self.fault()
        assert shown.wake_verified == (None if self.paused_since is not None else not fault)
        if self.paused_since is None:
            is_said = fault == "unacted" or (fault == "unseen" and self.newest is not None)
            assert ("wake not verified" in shown.answers) == is_said, shown.answers

    def look_at_told(self) -> None:
        """An owner is told of wakes that lead to nothing, once a day, and of nothing else."""
        found = [at for (at,) in self.world.look("select entry_age.at from entry_age join log using (seq) where act = "
                                                  "'unanswered_wakes' order by seq")]  # fmt: skip
        new = found[len(self.told) :]
        assert found[: len(self.told)] == self.told
        assert len(new) <= 1
        for at in new:
            assert self.fault() == "unacted"
            assert self.paused_since is None
            assert not self.told or at - self.told[-1] >= TOLD_AGAIN
        self.told = found
        known_for = self.waited_since(max(self.known_at, self.watched_from))
        is_known = self.unacted_at is not None and self.paused_since is None
        is_late = is_known and known_for > 2 * self.patience() + LOOKED_AT
        assert not is_late or (self.told and self.world.now - self.told[-1] < 2 * TOLD_AGAIN) or self.was_told_since()

    def was_told_since(self) -> bool:
        """Whether the owner was told within a day before these wakes led to nothing, or since."""
        return bool(self.told) and self.told[-1] > (self.unacted_at or 0.0) - TOLD_AGAIN


@contextlib.contextmanager
def an_act_that_was_surely_notified() -> Iterator[None]:
    """The twin: who acts was surely woken, and notified before that."""
    note_acted = steps.note_acted

    def assumes(tx: Writing, member: int, after: int, upto: int) -> None:
        note_acted(tx, member, after, upto)
        tx.run("note_notified", member=member, listener="", at=tx.now, from_seq=after, upto=upto)

    with patch.object(admission, "note_acted", assumes):
        yield


def a_harness_of_any_listener() -> contextlib.AbstractContextManager[None]:
    """A listener says what became of wakes that another harness's listener was given."""
    of_this_harness = "substr(listener, 15) = substr(cast(:listener as text), 15)"
    return statement("note_woken", lambda sql: sql.replace(of_this_harness, ":listener <> ''"))


def a_second_notice_that_replaces_the_first() -> contextlib.AbstractContextManager[None]:
    """What is given again to a newer listener counts from then on."""
    return statement("note_notified", lambda sql: sql.replace("coalesce(notified_at, :at)", ":at"))


def wakes_that_are_forgiven() -> contextlib.AbstractContextManager[None]:
    """An owner is told of no wakes, because one that led to an act once forgives all later ones."""
    return statement("count_unacted", lambda sql: sql.replace("unacted_at is null", "unacted_at is null and acted = 0"))


def an_owner_who_is_told_again_and_again() -> contextlib.AbstractContextManager[None]:
    """Each look tells the owner."""
    return patch("teamroom.server.acts.presence.wakes.TOLD_SECONDS", 0.0)


TWIN: Any = an_act_that_was_surely_notified
TWINS: tuple[Any, ...] = (
    a_harness_of_any_listener,
    a_second_notice_that_replaces_the_first,
    wakes_that_are_forgiven,
    an_owner_who_is_told_again_and_again,
)
"""Further faults, each of which the model must find."""
