"""The room's clock: it measures the time that really passes, and follows the wall clock in dates alone."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from teamroom.server.acts.letters.notices import schedule_digests
from teamroom.server.clock import GAPS_KNOWN, Moment, RoomClock, WallTime, steady_clock
from teamroom.server.facts.timers import find_timer
from teamroom.server.health import WRITER
from teamroom.server.record.backups import BACKUPS, make_backup
from teamroom.server.restore import restore
from teamroom.server.settings import Settings
from teamroom.server.store.transaction import Reading
from tests.support.eventually import until
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, Time, running_room

pytestmark = promise("SAF12")

OLGA = 2
"""The number of the room's first owner."""

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

NOW = 1_795_000_000.0
STEP = 5.0
"""A larger step of the wall clock is one after which nobody is judged for a while."""


@dataclass
class Machine:
    """The clocks of a machine, in the test's hands."""

    wall: float = NOW
    steady: float = 1_000.0
    awake: float = 900.0

    def passes(self, seconds: float) -> None:
        self.wall, self.steady, self.awake = self.wall + seconds, self.steady + seconds, self.awake + seconds

    def sleeps(self, seconds: float) -> None:
        self.wall, self.steady = self.wall + seconds, self.steady + seconds

    def clock(self) -> RoomClock:
        return RoomClock(lambda: self.wall, lambda: self.steady, STEP, lambda: self.awake)


def test_a_room_begins_with_the_time_on_the_wall_and_then_goes_on_by_what_passes() -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.moment() == Moment(NOW, 0.0)
    for step in (HOUR, -90 * DAY, 365 * DAY, -1.0):
        machine.passes(10)
        machine.wall += step
        now, ahead = clock.moment()
        assert now == NOW + machine.steady - 1_000
        assert now + ahead == machine.wall == clock.wall()
    assert clock.steps == 4
    assert clock.gaps == (), "no time was missed"


@pytest.mark.parametrize("step", [0.04, -0.04])
def test_what_two_clocks_differ_by_when_they_are_read_is_no_step(step: float) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += step
    assert clock.moment() == Moment(NOW, 0.0)
    for _ in range(5):  # twin: what grows is followed
        machine.wall += step
    assert clock.moment().ahead == pytest.approx(6 * step, abs=0.001)


def test_the_clock_never_goes_back_although_a_steady_clock_does() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.passes(HOUR)
    before = clock()
    machine.steady -= DAY
    assert clock() == before
    machine.steady += 10
    assert clock() == before + 10


def test_time_that_the_machine_slept_has_passed_and_is_a_gap() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.passes(HOUR)
    assert (clock.since, clock()) == (NOW, NOW + HOUR)
    machine.sleeps(8 * HOUR)
    assert clock.moment() == Moment(NOW + 9 * HOUR, 0.0)
    assert clock.since == NOW + 9 * HOUR
    assert clock.gaps == ((NOW + HOUR, NOW + 9 * HOUR),)
    for _ in range(2 * GAPS_KNOWN):
        machine.passes(1)
        clock()
        machine.sleeps(HOUR)
        clock()
    assert len(clock.gaps) == GAPS_KNOWN


@promise("PRS6")
@pytest.mark.parametrize(("step", "judges"), [(-4.0, True), (4.0, True), (6.0, False), (-6.0, False)])
def test_after_a_step_the_room_has_seen_all_time_pass_since_it_last_looked(step: float, judges: bool) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.passes(HOUR)
    clock()
    machine.wall += step
    machine.passes(7)
    clock()
    assert clock.since == (NOW if judges else NOW + HOUR)


@pytest.mark.parametrize("ahead", [0.0, HOUR, -90 * DAY])
@pytest.mark.parametrize("step", [0.0, HOUR, 365 * DAY, -1.0, -365 * DAY])
def test_across_a_stop_a_step_forward_is_time_that_passed_and_one_backward_is_none(ahead: float, step: float) -> None:
    stopped = Moment(NOW - HOUR, ahead)
    machine = Machine(wall=NOW - HOUR + ahead + 60 + step, steady=3.0)
    clock = machine.clock()
    clock.resume(stopped)
    now, now_ahead = clock.moment()
    assert now == NOW - HOUR + max(60 + step, 0.0)
    assert now + now_ahead == machine.wall
    assert clock.since == now


def test_readings_that_are_not_of_one_moment_do_not_move_the_dates() -> None:
    machine = Machine()

    def slow_wall() -> float:
        machine.passes(1)  # the thread stood still while it read the clocks
        return machine.wall - 1

    clock = RoomClock(slow_wall, lambda: machine.steady, STEP, lambda: machine.awake)
    for _ in range(5):
        assert clock.moment().ahead == 0.0
    assert clock.steps == 0


@pytest.mark.skipif(not os.path.exists("/proc/uptime"), reason="only Linux says so")
def test_the_steady_clock_counts_the_time_since_the_machine_started_suspended_or_not() -> None:
    up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    assert 0 <= steady_clock() - up < MINUTE


# ------------------------------------------------------------------ through the real server


def at(shown: str) -> float:
    return datetime.fromisoformat(shown).timestamp()


async def test_what_was_given_while_the_clock_was_ahead_ends_when_it_was_meant_to(tmp_path: Path) -> None:
    time = Time()
    time.step(90 * DAY)
    async with running_room(tmp_path / "room", time=time) as room:
        owner = await room.owner()
        alpha, beta, gamma = await room.enroll("alpha", "beta", "gamma")
        short = (await owner("enroll", name="delta", expires_seconds=HOUR))["token"]
        await owner("create_task", title="t1")
        await alpha("check_in", mode="live")
        await alpha("claim_task", task="T-1")
        for number in range(3):
            await gamma("post_message", text=f"alert {number}", kind="alert", to=["beta"])
        paused = await owner("pause", target="beta", reason="ten minutes", for_seconds=600)
        assert at(paused["until"]) == pytest.approx(time() + 600, abs=2), "the end is shown by the clock on the wall"
        time.step(-90 * DAY)
        refusal = await beta.refused("check_in")
        assert at(refusal["until"]) == pytest.approx(time() + 600, abs=2)
        await room.later(59 * MINUTE)
        assert (await gamma.refused("post_message", text="late", kind="alert"))["code"] == "rate_limited"
        assert (await gamma.refused("claim_task", task="T-1"))["code"] == "taken"
        assert (await room.raw(headers={"Authorization": f"Bearer {short}"}, json={})).status_code != 401
        await beta("check_in")
        await room.later(3 * MINUTE)
        assert (await room.raw(headers={"Authorization": f"Bearer {short}"}, json={})).status_code == 401
        await gamma("post_message", text="late", kind="alert")
        await gamma("claim_task", task="T-1")
        night = await owner("overnight", hours=12)
        assert at(night["until"]) == pytest.approx(time(), abs=2)
        assert 0 < at(night["until"]) - at(night["since"]) <= 62 * MINUTE + 30
        await room.later(72 * HOUR)
        assert (await owner("who", name="alpha"))["members"][0]["presence"] == "gone"


@pytest.mark.parametrize("step", [-1.0, -HOUR, HOUR, 90 * DAY])
async def test_dates_follow_the_clock_on_the_wall(room: RunningRoom, step: float) -> None:
    owner = await room.owner()
    due = (await owner("create_task", title="a date", due=DAY))["task"]
    date = (await owner("read_board", task=due))["task"]["due"]
    room.time.step(step)
    receipt = (await owner("post_message", text="now"))["receipt"]
    entry = (await owner("read_receipts", after=receipt - 1))["receipts"][0]
    message = (await owner("read_messages"))["messages"][-1]
    assert at(entry["at"]) == pytest.approx(room.time(), abs=2)
    assert message["at"] == entry["at"]
    assert (await owner("read_board", task=due))["task"]["due"] == date
    until = (await owner("create_task", title="until a date", due=room.time() + HOUR))["task"]
    shown = (await owner("read_board", task=until))["task"]["due"]
    assert at(shown) == pytest.approx(room.time() + HOUR, abs=2)


@pytest.mark.parametrize("step", [-DAY, -1.0, HOUR])
async def test_a_time_given_as_a_date_is_a_date_of_the_clock_on_the_wall(room: RunningRoom, step: float) -> None:
    room.time.step(step)
    (busy,) = await room.enroll("busy", mode="live")
    await busy("heartbeat", note="a build", busy_until=room.time() + HOUR)
    assert (await busy("who", name="busy"))["members"][0]["presence"] == "working"
    room.time.forward(HOUR - MINUTE)
    assert (await busy("who", name="busy"))["members"][0]["presence"] == "working"
    room.time.forward(2 * MINUTE)
    assert (await busy("who", name="busy"))["members"][0]["presence"] != "working"


@pytest.mark.parametrize(
    ("is_date", "step", "snoozed"),
    [
        (False, 0.0, [True, True, False]),
        (False, HOUR, [True, True, False]),
        (False, -4 * HOUR, [True, True, False]),
        (True, 0.0, [True, True, False]),
        (True, HOUR, [True, False, False]),
        (True, -4 * HOUR, [True, True, True]),
    ],
)
async def test_a_snooze_for_a_while_lasts_that_while_and_one_until_a_date_ends_at_that_date(
    room: RunningRoom, is_date: bool, step: float, snoozed: list[bool]
) -> None:
    """Reminders of a task are due after 30, 90 and 210 minutes; the clock is set when the snooze has begun."""
    owner = await room.owner()
    (holder,) = await room.enroll("holder")
    await owner("create_task", title="a wall")
    await holder("claim_task", task="T-1")
    until = room.time() + 100 * MINUTE if is_date else 100 * MINUTE
    await holder("update_task", task="T-1", fence=1, snooze_until=until)
    room.time.step(step)
    for minutes in (31, 60, 120):
        await room.later(minutes * MINUTE)
    slots = (await owner("read_board", task="T-1"))["task"]["reminders"]
    assert [slot["reason"] == "snoozed" for slot in reversed(slots)] == snoozed


@pytest.mark.parametrize("step", [-90 * DAY, -HOUR, HOUR, 90 * DAY])
async def test_declared_work_lasts_what_was_left_of_it_when_it_was_declared(room: RunningRoom, step: float) -> None:
    (busy,) = await room.enroll("busy", mode="live")
    await busy("heartbeat", note="a build", busy_until=room.time() + HOUR)
    room.time.step(step)
    for minutes, is_working in ((59, True), (2, False)):
        room.time.forward(minutes * MINUTE)
        presence = (await busy("who", name="busy"))["members"][0]["presence"]
        assert (presence == "working") == is_working


@pytest.mark.parametrize("step", [-90 * DAY, -HOUR, 0.0, HOUR])
async def test_across_a_stop_only_the_clock_on_the_wall_knows_how_much_time_passed(tmp_path: Path, step: float) -> None:
    time = Time()
    async with running_room(tmp_path / "room", time=time) as room:
        owner = await room.owner()
        await room.enroll("agent")
        await owner("pause", target="agent", reason="a while", for_seconds=30 * MINUTE)
        time.step(DAY)
        time.forward(10 * MINUTE)
        await owner("heartbeat")
    time.step(step)
    async with running_room(tmp_path / "room", time=time) as again:
        agent = await again.connect("agent", room.tokens["agent"])
        is_over = step > 20 * MINUTE
        body, _, refused = await agent.said("check_in")
        assert refused != is_over
        if refused:
            assert at(body["until"]) == pytest.approx(time() + 20 * MINUTE, abs=30)
        time.forward(21 * MINUTE)
        await agent("check_in")


async def test_a_step_while_nothing_happens_is_saved_at_once(room: RunningRoom) -> None:
    """A room that is killed then knows how much time had passed when it was seen last."""

    def saved() -> Moment:
        return room.look_up(lambda tx: tx.only(Moment, "clock_state"))

    await until(lambda: room.room.health.states()[WRITER] == "ok")  # the first look at the writer is an act too
    room.time.forward(HOUR)
    room.time.step(DAY)
    assert saved().now < room.room.clock() - HOUR + MINUTE
    await room.room.supervisor.tick()
    assert saved().ahead == DAY
    assert saved().now == pytest.approx(room.room.clock(), abs=30)


async def test_a_digest_comes_at_its_time_on_the_wall_whenever_the_clock_is_set(tmp_path: Path) -> None:
    settings = {"notify": {"olga": ["json://127.0.0.1:9/"]}, "notify_digest": "07:00"}
    async with running_room(tmp_path / "room", **settings) as room:
        for step in (0.0, HOUR, -HOUR, 90 * DAY, -90 * DAY, -1.0, DAY, -DAY):
            room.time.step(step)
            await room.room.supervisor.tick()
            await room.room.door.act_as_room(schedule_digests)
            due = room.look_up(digest_due)
            assert round(due) % DAY == 7 * HOUR
            assert 0 < due - room.time() <= DAY + 30, step


def digest_due(tx: Reading) -> float:
    """When the owner's digest is due, by the wall clock."""
    timer = find_timer(tx, "digest", OLGA, OLGA)
    assert timer is not None
    return tx.date_of(timer.at)


@pytest.mark.parametrize("step", [DAY, -DAY])
async def test_a_restored_pause_ends_at_its_date_although_the_backup_knows_another_clock(
    tmp_path: Path, step: float
) -> None:
    time, folder = Time(), tmp_path / "room"
    async with running_room(folder, time=time) as room:
        owner = await room.owner()
        await room.enroll("agent")
        backup = make_backup(folder, folder / BACKUPS, WallTime(time()), 1, said_nothing, said_nothing)
        time.step(step)
        until = at((await owner("pause", target="agent", reason="a while", for_seconds=HOUR))["until"])
    restore(folder, backup.path, WallTime(time()), without_journal=False, settings=Settings(), progress=said_nothing)
    async with running_room(folder, time=time) as again:
        agent = await again.connect("agent", room.tokens["agent"])
        assert at((await agent.refused("check_in"))["until"]) == pytest.approx(until, abs=2)
        time.forward(HOUR + MINUTE)
        await agent("check_in")


def said_nothing(done: int, total: int) -> None:
    """Say nothing of how far something is."""
