"""Spans and the clock on the wall: whatever is given for a while ends after that while, however the clock is set.

The oracle counts the seconds that pass, and knows what each kind of thing that falls due is given. While the room runs,
setting the clock is no time. While it is stopped, a step forward is time that passed, and a step backward is none. What
is shown of a span's end follows the clock on the wall, and so do due dates and the dates of entries.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from teamroom.server.acts.capabilities.capabilities import DECLARE_CAPABILITIES
from teamroom.server.acts.capabilities.plants import PLANT
from teamroom.server.acts.control.control import PAUSE
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.members.roster import WHO
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.overnight.overnight import OVERNIGHT
from teamroom.server.acts.presence.presence import CHECK_IN, HEARTBEAT
from teamroom.server.acts.receipts.receipts import READ_RECEIPT
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.hand_offs import HAND_OFF
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from teamroom.server.clock import Clock, RoomClock
from teamroom.server.door.door import UnauthorisedError
from teamroom.server.rules.proofs import answer
from tests.models import world as worlds
from tests.models.world import CLOCK_STEPS, Model, Plan, World, code

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

NEAR = 2.0
"""So close to an end nobody looks: dates are shown to the second."""

SECOND_SLOT = 90 * MINUTE
"""When the second reminder of a task is due, which is the first that is sent after a snooze up to then."""

MEMBERS = ("holder", "taker", "maker", "judge", "paused", "busy", "loud", "caller", "reach", "vouched", "heir", "shut")


@dataclass(frozen=True)
class Kind:
    """A kind of thing that falls due: how long it lasts, how it begins, and how a member sees that it is over.

    `until`: the end that is shown while it lasts. `once`: a look at what is over starts it again. `restarts`: whether a
    stop of the room leaves its end where it was.
    """

    seconds: float
    begin: Callable[[World, int], Any]
    is_over: Callable[[World, Any], bool]
    until: Callable[[World, Any], str | None] = lambda world, key: None
    once: bool = False
    restarts: bool = True


def _ok(reply: Any) -> Any:
    assert code(reply) == "ok", reply
    return reply


def _claimed(world: World, name: str, number: int, **given: Any) -> tuple[str, int]:
    task = _ok(world.act(name, CREATE_TASK, title=f"task {number}", **given)).task
    return task, _ok(world.act(name, CLAIM_TASK, task=task)).fence


def _board(world: World, task: str) -> Any:
    return _ok(world.read("olga", READ_BOARD, task=task)).task


def _member(world: World, name: str) -> Any:
    (found,) = _ok(world.read("olga", WHO, name=name)).members
    return found


def _offer(world: World, number: int) -> tuple[str, str]:
    task, fence = _claimed(world, "maker", number)
    offered = _ok(world.act("maker", HAND_OFF, task=task, fence=fence, to="heir", note="yours"))
    return task, offered.offer


def _review(world: World, number: int) -> str:
    task, fence = _claimed(world, "maker", number, review="judge")
    _ok(world.act("maker", COMPLETE_TASK, task=task, fence=fence, summary="it stands", evidence=[]))
    return task


def _is_for_its_owner(world: World, task: str) -> bool:
    waits = _ok(world.read("olga", OVERNIGHT, hours=1)).waits.shown
    return any(row.kind == "review" and row.subject == task and row.person == "olga" for row in waits)


def _reminded(world: World, task: str) -> bool:
    world.tick()
    return any(slot.outcome != "silent" for slot in _board(world, task).reminders)


def _snoozed(world: World, number: int) -> str:
    task, _ = _claimed(world, "taker", number)
    _ok(world.act("taker", UPDATE_TASK, task=task, fence=1, snooze_until=SECOND_SLOT - 1))
    return task


def _token(world: World, number: int) -> str:
    return str(_ok(world.act("olga", ENROLL, name="shut", label=f"l{number}", expires_seconds=HOUR)).token)


def _is_shut(world: World, token: str) -> bool:
    try:
        return world.identify(token).name != "shut"
    except UnauthorisedError:
        return True


def _pause(world: World, number: int) -> None:
    _ok(world.act("olga", PAUSE, target="paused", reason=f"look {number}", for_seconds=HOUR))


def _paused_until(world: World, key: None) -> Any:
    refusal = world.act("paused", CHECK_IN)
    assert code(refusal) == "paused", refusal
    return refusal.needs["until"]


def _alerts(world: World, number: int) -> int:
    for which in range(world.settings.alerts_per_hour):
        _ok(world.act("loud", POST_MESSAGE, text=f"alert {number} {which}", kind="alert"))
    return number


def _is_asked_by_id(world: World, number: int, id_: bool) -> Any:
    words = {"text": f"once {number}"}
    return _ok(world.act_once("caller", POST_MESSAGE, f"id-{number}" if id_ else None, **words)).replayed is None


def _asked(id_: bool) -> Kind:
    def begin(world: World, number: int) -> int:
        assert _is_asked_by_id(world, number, id_)
        return number

    seconds = DAY if id_ else MINUTE
    return Kind(seconds, begin, lambda world, number: bool(_is_asked_by_id(world, number, id_)), once=True)


def _refused(world: World, number: int) -> int:
    return int(world.act("caller", CLAIM_TASK, task=f"T-{10_000 + number}").receipt)


def _proven(world: World, number: int) -> str:
    thing = f"file:thing-{number}"
    value = _ok(world.act("olga", PLANT, capability=thing, file="it")).value
    _ok(world.act("reach", DECLARE_CAPABILITIES, capabilities=[thing]))
    ((nonce,),) = world.look(f"select nonce from probe where capability = '{thing}'")
    proof = {"capability": thing, "value": answer(nonce, "reach", value)}
    _ok(world.act("reach", DECLARE_CAPABILITIES, capabilities=[thing], proofs=[proof]))
    return thing


def _attested(world: World, number: int) -> str:
    thing = f"tool:thing-{number}"
    _ok(world.act("vouched", DECLARE_CAPABILITIES, capabilities=[thing]))
    _ok(world.act("olga", DECLARE_CAPABILITIES, capabilities=[thing], attest_for="vouched"))
    return thing


def _capability(world: World, thing: str) -> Any:
    name = "reach" if thing.startswith("file:") else "vouched"
    (found,) = (shown for shown in _member(world, name).capabilities if shown.capability == thing)
    return found


KINDS: Mapping[str, Kind] = {
    "lease": Kind(
        HOUR,
        lambda world, number: _claimed(world, "holder", number)[0],
        lambda world, task: bool(_board(world, task).overdue),
        lambda world, task: _board(world, task).lease_until,
    ),
    "timed pause": Kind(HOUR, _pause, lambda world, key: _member(world, "paused").standing == "active", _paused_until),
    "offer": Kind(15 * MINUTE, _offer, lambda world, key: _board(world, key[0]).state == "claimed"),
    "review": Kind(HOUR, _review, _is_for_its_owner),
    "reminder": Kind(30 * MINUTE, lambda world, number: _claimed(world, "taker", number)[0], _reminded),
    "snooze": Kind(SECOND_SLOT, _snoozed, _reminded),
    "token": Kind(HOUR, _token, _is_shut),
    "request id": _asked(True),
    "equal call": _asked(False),
    "refusal": Kind(
        10 * MINUTE,
        lambda world, number: (number, _refused(world, number)),
        lambda world, key: _refused(world, key[0]) != key[1],
        once=True,
    ),
    "budget": Kind(
        HOUR,
        _alerts,
        lambda world, number: code(world.act("loud", POST_MESSAGE, text=f"more {number}", kind="alert")) == "ok",
        once=True,
    ),
    "busy until": Kind(
        2 * HOUR,
        lambda world, number: _ok(world.act("busy", HEARTBEAT, note=f"note {number}", busy_until=2 * HOUR)),
        lambda world, key: _member(world, "busy").presence != "working",
        restarts=False,
    ),
    "proof": Kind(
        7 * DAY,
        _proven,
        lambda world, thing: _capability(world, thing).state == "expired",
        lambda world, thing: _capability(world, thing).until,
    ),
    "attestation": Kind(
        30 * DAY,
        _attested,
        lambda world, thing: _capability(world, thing).state == "expired",
        lambda world, thing: _capability(world, thing).until,
    ),
}
"""Every kind of thing that falls due after a while; challenges are in the model of presence."""


@dataclass
class Begun:
    """A thing that was begun."""

    kind: Kind
    key: Any
    ends: float


class Spans(Model):
    """Things that fall due, a clock that is set, and a room that stops."""

    PLAN = Plan({name: {"mode": "on_demand"} for name in MEMBERS}, {"wip_cap": 100, "trust": "declared"})

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        """The seconds that passed, as far as the room can know."""
        self.number = 0
        self.begun: dict[str, Begun] = {}
        self.due: tuple[str, float] | None = None

    # ---------------------------------------------------------------- what must hold

    def look(self, name: str) -> None:
        """A thing is over when its time has passed, and not before; while it lasts, its end is shown by the wall."""
        thing = self.begun[name]
        left = thing.ends - self.time
        if abs(left) <= NEAR:
            return
        if left > 0 and (until := thing.kind.until(self.world, thing.key)) is not None:
            assert abs(seconds(until) - self.world.wall - left) <= NEAR, (name, until, left)
        assert thing.kind.is_over(self.world, thing.key) == (left < 0), (name, left)
        if thing.kind.once and left < 0:
            del self.begun[name]

    @invariant()
    def all_is_over_in_time(self) -> None:
        for name in [name for name, thing in self.begun.items() if not thing.kind.once]:
            self.look(name)

    @invariant()
    def dates_stay(self) -> None:
        if self.due is not None:
            assert abs(seconds(_board(self.world, self.due[0]).due) - self.due[1]) <= NEAR

    # ---------------------------------------------------------------- what happens

    @rule(name=st.sampled_from(list(KINDS)))
    def begin(self, name: str) -> None:
        if name not in self.begun:
            self.number += 1
            kind = KINDS[name]
            self.begun[name] = Begun(kind, kind.begin(self.world, self.number), self.time + kind.seconds)

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def somebody_looks(self, data: st.DataObject) -> None:
        self.look(data.draw(st.sampled_from(sorted(self.begun))))

    @rule(ahead=st.sampled_from([HOUR, 30 * DAY]))
    def a_task_has_a_due_date(self, ahead: float) -> None:
        self.number += 1
        task = _ok(self.world.act("olga", CREATE_TASK, title=f"a date {self.number}", due=ahead)).task
        self.due = (task, self.world.wall + ahead)

    @rule()
    def an_entry_is_dated(self) -> None:
        self.number += 1
        receipt = _ok(self.world.act("olga", POST_MESSAGE, text=f"dated {self.number}", kind="note")).receipt
        entry = _ok(self.world.read("olga", READ_RECEIPT, seq=receipt))
        assert abs(seconds(entry.at) - self.world.wall) <= NEAR, entry

    @rule(span=st.sampled_from([7.25, 5 * MINUTE, 40 * MINUTE, 3 * HOUR, 2 * DAY, 31 * DAY]))
    def time_passes(self, span: float) -> None:
        self.world.now += span
        self.time += span

    @rule(step=st.sampled_from(CLOCK_STEPS))
    def somebody_sets_the_clock(self, step: float) -> None:
        self.world.step_clock(step)

    @rule(step=st.sampled_from((0.0, *CLOCK_STEPS)))
    def the_room_stops_while_somebody_sets_the_clock(self, step: float) -> None:
        self.world.restart(step)
        self.time += max(step, 0.0)
        self.forget_restarted()

    @rule()
    def crash(self) -> None:
        self.world.crash()
        self.forget_restarted()

    def forget_restarted(self) -> None:
        self.begun = {name: thing for name, thing in self.begun.items() if thing.kind.restarts}


def seconds(shown: str) -> float:
    """A date as it is shown, in seconds."""
    return datetime.fromisoformat(shown).timestamp()


When = Literal["before", "during", "after"]
WHEN: tuple[When, ...] = ("before", "during", "after")


def walk(name: str, step: float, when: When, stops: bool) -> None:
    """One thing of a kind, from its beginning past its end, with one step of the clock that is taken back later."""
    model, kind = Spans(), KINDS[name]
    set_clock = model.the_room_stops_while_somebody_sets_the_clock if stops else model.somebody_sets_the_clock
    try:
        if when == "before":
            set_clock(step)
        model.begin(name)
        if when == "during":
            model.time_passes(kind.seconds / 2)
            _look(model, name)
            set_clock(step)
        _look(model, name)
        left = 0.0 if name not in model.begun else model.begun[name].ends - model.time
        if left > 2 * NEAR:
            model.time_passes(left - 2 * NEAR)
            _look(model, name)
            model.time_passes(4 * NEAR)
        if when == "after":
            set_clock(step)
        _look(model, name)
        model.somebody_sets_the_clock(-step)
        _look(model, name)
    finally:
        model.teardown()


def _look(model: Spans, name: str) -> None:
    if name in model.begun:
        model.look(name)


class ByTheWall(RoomClock):
    """A room clock that runs on the wall clock."""

    def __init__(self, wall: Clock, steady: Clock, step_seconds: float) -> None:
        super().__init__(wall, wall, step_seconds)


@contextlib.contextmanager
def spans_by_the_wall() -> Iterator[None]:
    """The twin: a second on the wall is a second."""
    right = worlds.RoomClock
    worlds.RoomClock = ByTheWall  # type: ignore[misc]
    try:
        yield
    finally:
        worlds.RoomClock = right  # type: ignore[misc]


TWIN: Any = spans_by_the_wall
