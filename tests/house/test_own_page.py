"""The page about the tests names folders, helpers and commands that exist."""

import importlib
import re
from functools import reduce

from tests.support.promises import house
from tests.support.repository import ROOT, SERVER, TESTS

pytestmark = house

PAGE = (TESTS / "README.md").read_text(encoding="utf-8")


def test_every_folder_of_tests_is_on_the_page_or_named_after_acts() -> None:
    folders = {path.parent.name for path in TESTS.glob("*/*.py")}
    nouns = {path.parent.name for path in (SERVER / "acts").glob("*/__init__.py")}
    named = set(re.findall(r"`(\w+)/`", PAGE))
    assert folders - nouns - named == set()
    assert named - folders == set()


def test_every_helper_on_the_page_exists() -> None:
    helpers = re.findall(r"`(?:tests\.)?((?:campaigns|harness|models|support)\.[\w.]+)`", PAGE)
    assert len(helpers) > 10
    for helper in helpers:
        module, *names = helper.split(".")[:2], *helper.split(".")[2:]
        reduce(getattr, names, importlib.import_module(f"tests.{'.'.join(module)}"))


def test_every_target_on_the_page_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", PAGE, flags=re.MULTILINE)) <= targets
