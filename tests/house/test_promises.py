"""Every promise is held by tests or planned, and every test names a promise or keeps the house in order."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.support.own_tests import OwnTest, own_tests
from tests.support.promises import ALL, PLANNED, PROMISES, house

pytestmark = house


def faults(tests: Iterable[OwnTest], promises: Iterable[str], planned: Mapping[str, str]) -> list[str]:
    """What is wrong between the promises, what is planned of them, and the tests that name them."""
    tests, known = list(tests), set(promises)
    held = {id_ for test in tests for id_ in test.promises}
    wholly = {id_ for id_, missing in planned.items() if missing == ALL}
    return [
        *(f"{id_} is neither held nor planned" for id_ in sorted(known - held - wholly)),
        *(f"{id_} is held, and planned as if it were not" for id_ in sorted(held & wholly)),
        *(f"{id_} is planned, and no promise" for id_ in sorted(set(planned) - known)),
        *(f"{test} names {id_}, which is no promise" for test in tests for id_ in test.promises if id_ not in known),
        *(f"{test} names neither a promise nor the house" for test in tests if not test.promises and not test.is_house),
    ]


def test_every_promise_is_held_or_planned_and_every_test_names_one_or_keeps_the_house() -> None:
    tests = own_tests()
    assert len(tests) > 500
    assert faults(tests, PROMISES, PLANNED) == []


HOLDS_ONE = 'from marks import promise\n\n\n@promise("TSK1")\nasync def test_one_winner() -> None: ...\n'
"""A file whose only test holds TSK1."""


def read(folder: Path, text: str) -> list[OwnTest]:
    """The tests of a folder with one file."""
    (folder / "test_one.py").write_text(text)
    return own_tests(folder)


def test_a_test_says_its_own_promises_and_those_of_its_file(tmp_path: Path) -> None:
    both = read(tmp_path, HOLDS_ONE.replace("\n\n\n", '\n\npytestmark = [promise("LOG4"), house]\n\n\n', 1))
    assert both == [OwnTest("test_one", "one_winner", ("LOG4", "TSK1"), is_house=True)]
    assert faults(both, ("LOG4", "TSK1"), {}) == []


@pytest.mark.parametrize(
    ("text", "promises", "planned", "fault"),
    [
        (HOLDS_ONE, {"TSK1", "TSK2"}, {}, "TSK2 is neither held nor planned"),
        (HOLDS_ONE, {"TSK1", "TSK2"}, {"TSK2": "a part of it"}, "TSK2 is neither held nor planned"),
        (HOLDS_ONE, {"TSK1"}, {"TSK1": ALL}, "TSK1 is held, and planned as if it were not"),
        (HOLDS_ONE, {"TSK1"}, {"TSK9": ALL}, "TSK9 is planned, and no promise"),
        (HOLDS_ONE, set(), {}, "test_one: one_winner names TSK1, which is no promise"),
        ("def test_it() -> None: ...\n", set(), {}, "test_one: it names neither a promise nor the house"),
    ],
)
def test_each_fault_that_is_built_in_is_found(
    tmp_path: Path, text: str, promises: set[str], planned: dict[str, str], fault: str
) -> None:
    assert faults(read(tmp_path, text), promises, planned) == [fault]


def test_a_promise_that_could_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 4"):
        read(tmp_path, HOLDS_ONE.replace('"TSK1"', "WHICH"))


def test_marks_of_a_file_that_later_ones_replace_are_an_error(tmp_path: Path) -> None:
    twice = "\n\npytestmark = house\n\npytestmark = slow\n\n\n"
    with pytest.raises(ValueError, match="line 5"):
        read(tmp_path, HOLDS_ONE.replace("\n\n\n", twice, 1))
