"""The line in front of the writer: fair to members, and empty for the switch (SAF10, CTL9)."""

from collections import Counter, defaultdict
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.store.engine import Turn
from teamroom.server.store.line import Line
from tests.support.promises import promise

pytestmark = promise("SAF10", "CTL9")

MEMBER_ACTS = 3


class Act(NamedTuple):
    """An act that waits, with its place in the order of arrival."""

    number: int
    turn: Turn


TURNS = st.builds(Turn, st.integers(1, 4), st.sampled_from((False, False, False, True)))


def line_of(turns: list[Turn]) -> Line[Act]:
    line: Line[Act] = Line(MEMBER_ACTS)
    line.add(Act(number, turn) for number, turn in enumerate(turns))
    return line


def batches(line: Line[Act]) -> list[list[Act]]:
    """Everything that waits, batch by batch."""
    taken: list[list[Act]] = []
    while (act := line.first()) is not None:
        taken.append([act])
        while (act := line.next()) is not None:
            taken[-1].append(act)
    assert not line
    return taken


@given(st.lists(TURNS, max_size=40))
def test_every_act_is_served_once_and_those_of_one_member_in_order(turns: list[Turn]) -> None:
    served = [act for batch in batches(line_of(turns)) for act in batch]
    assert sorted(act.number for act in served) == list(range(len(turns)))
    by_turn: dict[Turn, list[int]] = defaultdict(list)
    for act in served:
        by_turn[act.turn].append(act.number)
    assert all(numbers == sorted(numbers) for numbers in by_turn.values())


@given(st.lists(TURNS, max_size=40))
def test_a_batch_holds_few_acts_of_one_member_and_ends_after_those_that_overtake(turns: list[Turn]) -> None:
    for batch in batches(line_of(turns)):
        counts = Counter(act.turn.member for act in batch if not act.turn.overtakes)
        assert not counts or max(counts.values()) <= MEMBER_ACTS
        overtaking = [act.turn.overtakes for act in batch]
        assert overtaking == sorted(overtaking)


@given(st.lists(st.builds(Turn, st.integers(1, 4), st.just(False)), max_size=40))
def test_no_member_is_served_twice_while_another_waits(turns: list[Turn]) -> None:
    left = Counter(turn.member for turn in turns)
    for batch in batches(line_of(turns)):
        since: dict[int, set[int]] = {}
        for act in batch:
            member = act.turn.member
            passed = since.get(member, set(left))
            assert {other for other in left if left[other] and other != member} <= passed | {member}
            for others in since.values():
                others.add(member)
            since[member] = {other for other in left if not left[other]}
            left[member] -= 1


@pytest.mark.parametrize("waiting", [1, 100])
def test_an_act_that_overtakes_is_next_whatever_waits_and_whatever_was_begun(waiting: int) -> None:
    line = line_of([Turn(1)] * waiting)
    assert line.first() is not None
    line.add([Act(1000, Turn(2, overtakes=True))])
    stop = line.next()
    assert stop is not None
    assert stop.number == 1000
    assert line.next() is None, "the batch is committed now"


@given(st.lists(st.builds(Turn, st.integers(1, 4), st.just(False)), min_size=1, max_size=20), st.integers(0, 19))
def test_an_act_that_was_undone_for_another_one_is_next_after_it_and_nobody_loses_a_place(
    turns: list[Turn], undone: int
) -> None:
    expected = [act.number for batch in batches(line_of(turns)) for act in batch]
    line, served = line_of(turns), []
    act = line.first()
    while act is not None:
        if len(served) == undone:
            line.put_back(act)
            stop = Act(1000, Turn(9, overtakes=True))
            assert not line.is_overtaken
            line.add([stop])
            assert line.is_overtaken
            assert line.next() == stop
            assert line.next() is None
            act, undone = line.first(), -1
            continue
        served.append(act.number)
        act = line.next() or line.first()
    if undone == -1:
        assert sorted(served) == sorted(expected)
        in_order = {member: [n for n in served if turns[n].member == member] for member in range(1, 5)}
        assert all(numbers == sorted(numbers) for numbers in in_order.values())


def test_an_act_that_was_undone_counts_once_among_those_of_its_member_in_a_batch() -> None:
    line = line_of([Turn(1)] * (MEMBER_ACTS + 1))
    first = line.first()
    assert first is not None
    line.put_back(first)
    assert [act.number for batch in batches(line) for act in batch] == list(range(MEMBER_ACTS + 1))
    line.add([Act(0, Turn(1)), Act(1, Turn(2))])
    undone = line.first()
    assert undone is not None
    line.put_back(undone)
    assert line.next() == undone, "it waits for no other member again"
