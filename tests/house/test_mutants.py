"""The run that changes each rule fails where its list of changes that nobody can tell is not true any more."""

from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest
from rich.console import Console

from tests.campaigns import mutants
from tests.support.promises import house

pytestmark = house

EQUIVALENT = tuple(mutants.EQUIVALENT)
KEY = "teamroom.server.rules.text.x_cut__mutmut_{}"
CHANGED = {KEY.format(1): ["-    return a", "+    return b"], KEY.format(2): ["-    return a", "+    return c"]}


@pytest.fixture(autouse=True)
def two_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "difference", lambda key, folder: CHANGED[key])
    monkeypatch.setattr(mutants, "EQUIVALENT", {("text.x_cut", "return b"): "the same letter"})


@pytest.mark.parametrize("function", sorted({function for function, _ in EQUIVALENT}))
def test_each_rule_with_an_equivalent_change_is_there(function: str) -> None:
    file, _, name = function.partition(".x_")
    assert isinstance(getattr(import_module(f"teamroom.server.rules.{file}"), name), FunctionType)


@pytest.mark.parametrize(
    ("one", "other", "share", "stale"),
    [
        ("survived", "killed", 1.0, set()),
        ("survived", "survived", 0.0, set()),
        ("killed", "killed", 1.0, {("text.x_cut", "return b")}),
        ("killed", "no tests", 0.5, {("text.x_cut", "return b")}),
    ],
)
def test_an_equivalent_change_is_not_counted_and_one_that_is_found_is_named(
    capsys: pytest.CaptureFixture[str], one: str, other: str, share: float, stale: set[tuple[str, str]]
) -> None:
    found = mutants.report(Console(), {KEY.format(1): one, KEY.format(2): other}, Path())
    assert found == (share, stale)
    shown = capsys.readouterr().out
    assert ("equivalent: the same letter" in shown) == (not stale)
    assert ("x_cut__mutmut_2" in shown) == (other != "killed")
