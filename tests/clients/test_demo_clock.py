"""The clock of a demo: an hour behind at first, never going back, and the machine's own in the end."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from teamroom.clients.local.demo.clock import STORY_SECONDS, StoryClock
from teamroom.server.clock import RoomClock, wall_clock
from teamroom.server.settings import Settings
from tests.support.promises import house

pytestmark = house

NOON = 1_795_000_000.0
STEPS = st.lists(
    st.tuples(st.sampled_from(["passes", "forward", "sleeps"]), st.floats(-100, 10_000, allow_nan=False)), max_size=40
)


@dataclass
class Machine:
    """The clocks of a machine on which a test lets time pass."""

    passed: float = 0.0
    asleep: float = 0.0

    def wall(self) -> float:
        return NOON + self.passed

    def steady(self) -> float:
        return 1000.0 + self.passed

    def awake(self) -> float:
        return 500.0 + self.passed - self.asleep

    def do(self, step: str, seconds: float, clock: StoryClock) -> None:
        if step == "forward":
            clock.forward(seconds)
            return
        self.passed += max(seconds, 0.0)
        self.asleep += max(seconds, 0.0) if step == "sleeps" else 0.0


def story_clock(machine: Machine) -> StoryClock:
    return StoryClock(STORY_SECONDS, machine.wall, machine.steady, machine.awake)


@given(STEPS)
def test_it_never_goes_back_and_never_passes_the_machines_clock(steps: list[tuple[str, float]]) -> None:
    machine = Machine()
    clock = story_clock(machine)
    assert clock.wall() == NOON - STORY_SECONDS
    before = clock.wall(), clock.steady()
    for step, seconds in steps:
        machine.do(step, seconds, clock)
        now = clock.wall(), clock.steady()
        assert now[0] >= before[0]
        assert now[1] >= before[1]
        assert now[0] <= machine.wall()
        before = now


@given(STEPS, st.floats(0, 10_000))
def test_once_it_has_met_the_machines_clocks_it_is_those(steps: list[tuple[str, float]], more: float) -> None:
    machine = Machine()
    clock = story_clock(machine)
    clock.forward(STORY_SECONDS + more)
    assert clock.behind == 0.0
    for step, seconds in steps:
        machine.do(step, seconds, clock)
        assert (clock.wall(), clock.steady(), clock.awake()) == (machine.wall(), machine.steady(), machine.awake())


@given(STEPS)
def test_the_room_sees_time_pass_and_no_step_of_the_clock(steps: list[tuple[str, float]]) -> None:
    machine = Machine()
    clock = story_clock(machine)
    room = RoomClock(clock.wall, clock.steady, Settings().clock_step_seconds, clock.awake)
    began, slept = room(), False
    for step, seconds in steps:
        machine.do(step, seconds, clock)
        slept = slept or (step == "sleeps" and seconds > 0)
        assert abs(room() - began - (STORY_SECONDS - clock.behind + machine.passed)) < 0.01
        assert abs(room.wall() - clock.wall()) < 0.2
        assert room.steps == 0
        assert slept or room.gaps == ()


def test_by_default_it_is_an_hour_behind_the_machine() -> None:
    clock = StoryClock()
    assert abs(clock.wall() - (wall_clock() - STORY_SECONDS)) < 60
    clock.forward(clock.behind)
    before, between, after = wall_clock(), clock.wall(), wall_clock()
    assert before <= between <= after
