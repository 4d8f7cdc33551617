"""Days of a room of scripted agents: the room stays true, and the judges find the faults that are built into twins.

The full form is `make simulation`. This short form leaves to it teams of thirty, and more days than a forgotten task
needs to be judged.
"""

from collections.abc import Iterator

import pytest

from tests.models.world import clean_up
from tests.simulation.judges import FIGURES, Figure, lines_of_the_room
from tests.simulation.play import HEALTHY, ONE_OF_EACH, SMALL, play
from tests.simulation.twins import TWINS
from tests.support.promises import promise

pytestmark = promise("PRS3", "REM2")

SEED = 20_261_127
FIGURE = {figure.judge.__name__: figure for figure in FIGURES}

FOUND_BY = {
    "no_snooze": ("reminders_in_order", 4),
    "no_cap": ("reminders_in_order", 2),
    "beats_are_progress": ("zombies_in_time", 2),
    "impatient": ("honest_zombies", 1),
    "nobody_watches": ("crashes_noticed", 2),
    "hopeful": ("forecasts_kept", 4),
}
"""Each twin, the judge that must find it, and within how many days."""


@pytest.fixture(autouse=True)
def rooms_are_taken_away() -> Iterator[None]:
    with clean_up():
        yield


def test_a_failing_team_is_judged_correctly_for_days() -> None:
    cast = play(ONE_OF_EACH, 5.5, SEED, disturbed=True)
    assert cast.disturbed
    for figure in FIGURES:
        share = figure.judge(cast)
        assert share.of > 0, f"nothing to judge: {figure.name}"
        assert figure.holds(share), (figure.name, share.value, share.misses[:5])
    cast.room.end()


def test_a_healthy_team_hears_little_from_the_room() -> None:
    cast = play(HEALTHY, 3, SEED, disturbed=False)
    assert lines_of_the_room(cast) <= 2
    cast.room.end()


@pytest.mark.parametrize("twin", TWINS)
def test_a_judge_finds_the_fault_of_each_twin(twin: str) -> None:
    judge, days = FOUND_BY[twin]
    figure: Figure = FIGURE[judge]
    with TWINS[twin]():
        cast = play(SMALL, days, SEED, disturbed=False)
    share = figure.judge(cast)
    cast.room.end()
    assert not figure.holds(share), (share.hits, share.of)


def test_the_same_seed_gives_the_same_room() -> None:
    first, again = (play(ONE_OF_EACH, 0.5, SEED, disturbed=True) for _ in range(2))
    sql = "select seq, at, act, subject, summary from log order by seq"
    assert first.rows(sql) == again.rows(sql)
    first.room.end()
    again.room.end()
