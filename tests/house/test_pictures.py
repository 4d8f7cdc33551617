"""The two pictures of `docs/how-it-works.md` show the packages as they import each other, and an act as it runs."""

import re
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.support.pages import blocks, parts, read
from tests.support.pictures import STEPS, code_of, noun_arrows, package_arrows, root_modules
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.rooms import running_room

pytestmark = house

PAGE = read(ROOT / "docs" / "how-it-works.md")
REGENERATE = "python -m tests.support.generated draws the pictures"


def test_the_arrows_of_the_first_picture_are_imports_and_lead_to_every_import() -> None:
    assert wrong_arrows(parts(PAGE)["packages"]) == set(), REGENERATE


@pytest.mark.parametrize("fault", ["rules --> store", "acts_tasks --> acts_control"])
def test_an_arrow_that_no_import_makes_would_be_found(fault: str) -> None:
    picture = parts(PAGE)["packages"].replace("flowchart TD\n", f"flowchart TD\n    {fault}\n")
    assert tuple(fault.split(" --> ")) in wrong_arrows(picture)


@pytest.mark.parametrize("fault", ["app --> store", "acts_control --> acts_tasks"])
def test_an_arrow_that_a_longer_path_replaces_would_be_found(fault: str) -> None:
    assert tuple(fault.split(" --> ")) in package_arrows() | named_noun_arrows()
    picture = parts(PAGE)["packages"].replace("flowchart TD\n", f"flowchart TD\n    {fault}\n")
    assert tuple(fault.split(" --> ")) in wrong_arrows(picture)


def test_an_import_without_an_arrow_would_be_found() -> None:
    picture, removed = re.subn(r"(app --> .*) & supervisor", r"\1", parts(PAGE)["packages"])
    assert removed == 1
    assert ("app", "supervisor") in wrong_arrows(picture)


def test_the_first_picture_leaves_no_package_out() -> None:
    names = {name.removeprefix("acts_") for arrow in drawn_arrows(parts(PAGE)["packages"]) for name in arrow}
    names |= set(re.findall(r"acts_\w+\[(\w+)\]", parts(PAGE)["packages"]))
    for folder in (ROOT / "server", ROOT / "server" / "acts"):
        packages = {path.parent.name for path in folder.glob("*/__init__.py")}
        assert packages <= names, f"{folder.name}: {REGENERATE}"
    shown = re.findall(r"`(\w+)`", parts(PAGE)["packages"].rpartition("`server/`")[2])
    assert shown == root_modules(), REGENERATE


def test_the_second_picture_names_functions_that_exist() -> None:
    (picture,) = blocks(parts(PAGE)["steps"], "mermaid")
    named = re.findall(r'"([\w.]+)<br/>', picture)
    assert named == [step.name for step in STEPS], REGENERATE
    assert len({code_of(name) for name in named}) == len(named)


async def test_an_act_takes_the_steps_of_the_second_picture_in_their_order(tmp_path: Path) -> None:
    steps = {code_of(step.name): step.name for step in STEPS}
    taken: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = steps.get(frame.f_code) if event == "call" else None
        if name is not None and name not in taken:
            taken.append(name)

    threading.setprofile(note)
    try:
        async with running_room(tmp_path / "room") as room:
            builder, _ = await room.enroll("builder", "tester")
            taken.clear()
            sys.setprofile(note)
            await builder("post_message", text="@tester the limiter is written", to=["tester"])
            sys.setprofile(None)
    finally:
        threading.setprofile(None)
        sys.setprofile(None)
    assert taken == [step.name for step in STEPS]


def wrong_arrows(picture: str) -> set[tuple[str, str]]:
    """The arrows that are no import, those that a longer path replaces, and the imports that no path shows."""
    real = named_noun_arrows() | package_arrows()
    drawn = drawn_arrows(picture)
    unneeded = {arrow for arrow in drawn if leads(drawn - {arrow}, *arrow)}
    unshown = {arrow for arrow in real if not leads(drawn, *arrow)}
    return (drawn - real) | unneeded | unshown


def named_noun_arrows() -> set[tuple[str, str]]:
    """The imports between the nouns of `acts`, by the names that the picture gives them."""
    return {(f"acts_{one}", f"acts_{other}") for one, other in noun_arrows()}


def leads(arrows: set[tuple[str, str]], one: str, other: str) -> bool:
    """Whether a path of arrows leads from one package to the other."""
    reached, before = {one}, set[str]()
    while reached != before:
        before = reached
        reached = reached | {end for start, end in arrows if start in reached}
    return other in reached


def drawn_arrows(picture: str) -> set[tuple[str, str]]:
    """The arrows of a picture, one by one."""
    lines = re.findall(r"^ *(\w+) --> (.+)$", picture, flags=re.MULTILINE)
    return {(one, other) for one, others in lines for other in others.split(" & ")}
