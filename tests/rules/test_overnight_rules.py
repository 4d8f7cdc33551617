"""What one screen shows of a night, as a rule: never too long, fair to each section, nothing left out uncounted."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.rules.overnight import (
    DAY,
    HEAD_LINES,
    LINES,
    SECTION_LINES,
    STEPS,
    Look,
    allot_lines,
    distribute,
    find_named,
    next_look,
    step_seconds,
)
from tests.support.promises import promise

pytestmark = promise("QUI5")

counts = st.one_of(st.integers(0, 12), st.integers(0, 10**9))
sections = st.lists(st.lists(counts, min_size=1, max_size=12), min_size=5, max_size=5)

Allot = Callable[[Sequence[Sequence[int]]], list[list[int]]]

FAIR = (LINES - HEAD_LINES - 5 * SECTION_LINES) // 5
"""The lines that each of five sections has at least, if it needs them."""


def lines(section: Sequence[int], shown: Sequence[int]) -> int:
    """The lines of a section beside its heading: what is shown, and one that counts the rest."""
    return sum(shown) + (sum(shown) < sum(section))


def total(night: Sequence[Sequence[int]], shown: Sequence[Sequence[int]]) -> int:
    """The lines of the whole screen."""
    return HEAD_LINES + sum(SECTION_LINES + lines(*pair) for pair in zip(night, shown, strict=True))


# ------------------------------------------------------------------ folding


@given(sections)
def test_a_screen_is_never_longer_than_sixty_lines_and_no_line_is_wasted(night: list[list[int]]) -> None:
    shown = allot_lines(night)
    assert total(night, shown) <= LINES
    if shown != night:
        assert total(night, shown) == LINES


@given(sections)
def test_a_section_shows_no_more_than_exists_and_counts_what_it_leaves_out(night: list[list[int]]) -> None:
    for section, shown in zip(night, allot_lines(night), strict=True):
        assert len(section) == len(shown)
        assert all(0 <= some <= all_ for some, all_ in zip(shown, section, strict=True))
        assert lines(section, shown) >= min(sum(section), FAIR)


def starves(allot: Allot) -> bool:
    """Whether one loud section takes the lines of the others."""
    night = [[1000], [1000], [3], [1000], [5]]
    return [lines(*pair) < min(sum(pair[0]), FAIR) for pair in zip(night, allot(night), strict=True)] != [False] * 5


def first_come(night: Sequence[Sequence[int]]) -> list[list[int]]:
    """The twin: lines are given away in the order of the sections."""
    room, shown = LINES - HEAD_LINES - SECTION_LINES * len(night), []
    for section in night:
        shown.append([min(section[0], room)])
        room -= shown[-1][0]
    return shown


def test_a_long_section_takes_no_lines_that_another_needs() -> None:
    assert not starves(allot_lines)
    assert starves(first_come)


@given(sections)
def test_a_more_important_section_never_has_fewer_lines(night: list[list[int]]) -> None:
    shown = allot_lines(night)
    cut = [lines(*pair) for pair in zip(night, shown, strict=True) if sum(pair[0]) > sum(pair[1])]
    assert cut == sorted(cut, reverse=True)
    for section, some in zip(night, shown, strict=True):
        kinds = [given for given, wanted in zip(some, section, strict=True) if given < wanted]
        assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize(
    ("night", "shown"),
    [
        ([[0], [0], [0], [0], [0]], [[0], [0], [0], [0], [0]]),
        ([[48], [0], [0], [0], [0]], [[48], [0], [0], [0], [0]]),
        ([[49], [0], [0], [0], [0]], [[47], [0], [0], [0], [0]]),
        ([[9, 1], [10], [10], [9], [9]], [[9, 1], [10], [10], [9], [9]]),
        ([[9, 2], [11], [10], [9], [9]], [[7, 2], [9], [10], [9], [9]]),
        ([[100, 1, 100], [100], [100], [100], [100]], [[4, 1, 4], [9], [9], [8], [8]]),
        ([[2], [100], [3], [1], [0]], [[2], [41], [3], [1], [0]]),
    ],
)
def test_how_much_is_shown_in_figures(night: list[list[int]], shown: list[list[int]]) -> None:
    assert allot_lines(night) == shown


def test_lines_are_shared_equally_and_the_odd_one_goes_to_the_first() -> None:
    assert distribute([5, 5, 5], 7) == [3, 2, 2]
    assert distribute([1, 9, 9], 6) == [1, 3, 2]
    assert distribute([1, 1], 9) == [1, 1]
    assert distribute([3], 0) == [0]
    assert distribute([3], -2) == [0]
    assert distribute([], 4) == []


# ------------------------------------------------------------------ since when


def test_two_looks_in_short_succession_count_as_one() -> None:
    look = Look(at=1000.0, upto=50, since=0.0, after=10)
    assert next_look(look, 1000.0 + 1799, 60, 1800.0) == Look(2799.0, 60, 0.0, 10)
    assert next_look(look, 1000.0 + 1800, 60, 1800.0) == Look(2800.0, 60, 1000.0, 50)
    assert next_look(look, 900.0, 60, 1800.0) == Look(900.0, 60, 0.0, 10), "the clock was set back"


@given(st.lists(st.tuples(st.floats(1, 10_000), st.integers(0, 1000)), max_size=20))
def test_looks_at_any_times_skip_no_entry(steps: list[tuple[float, int]]) -> None:
    look, seen = Look(0.0, 0, -DAY, 0), 0
    for seconds, entries in steps:
        look = next_look(look, look.at + seconds, look.upto + entries, 1800.0)
        assert look.after <= seen, "what came since the last look is in this one"
        seen = look.upto


@pytest.mark.parametrize(
    ("span", "step"),
    [
        *((1, 60), (48 * 60, 60), (48 * 60 + 1, 300), (12 * 3600, 900), (12 * 3600 + 1, 3600), (48 * 3600, 3600)),
        *((48 * DAY, DAY), (48 * DAY + 1, 2 * DAY), (96 * DAY, 2 * DAY)),
    ],
)
def test_the_pace_is_drawn_in_the_shortest_steps_that_are_few_enough(span: float, step: float) -> None:
    assert step_seconds(span) == step


@given(st.floats(0, 4e9))
def test_the_chart_has_a_limited_number_of_steps(span: float) -> None:
    assert span <= STEPS * step_seconds(span)


# ------------------------------------------------------------------ who is named


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("@olga to approve", "olga"),
        ("a word of Olga.", "olga"),
        ("olga's password", "olga"),
        ("(olga)", "olga"),
        ("hanna, then olga", "hanna"),
        ("ask jo-ann-", "jo-ann"),
        ("olgas", None),
        ("@olga-2", None),
        ("the registry mirror", None),
        ("", None),
    ],
)
def test_a_person_is_named_by_a_whole_word(text: str, person: str | None) -> None:
    assert find_named(text, {"olga": "olga", "hanna": "hanna", "jo-ann": "jo-ann"}) == person
    assert find_named(text, {name: f"{name}.k" for name in ("olga", "hanna", "jo-ann")}) == (person and f"{person}.k")
