"""Each promise is held by tests or planned, and each test holds a promise or the house."""

import ast

from tests.house.promises import HELD, HOUSE, PLANNED, PROMISES
from tests.support.repository import TESTS


def found() -> dict[str, set[str]]:
    """The tests of each file, by their sentences."""
    return {
        path.stem: {
            node.name.removeprefix("test_")
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }
        for path in TESTS.rglob("test_*.py")
    }


def test_every_promise_is_held_or_planned() -> None:
    assert set(PROMISES) - set(HELD) - set(PLANNED) == set()
    assert set(HELD) | set(PLANNED) <= set(PROMISES)
    assert [promise for promise, files in HELD.items() if not any(files.values())] == []


def test_every_test_that_holds_a_promise_exists() -> None:
    tests = found()
    missing = [
        f"{promise}: {file}.{name}"
        for promise, files in HELD.items()
        for file, names in files.items()
        for name in names
        if name not in tests.get(file, set()) and not (name == "*" and file in tests)
    ]
    assert missing == []


def test_every_test_names_a_promise_or_holds_the_house() -> None:
    named = {(file, name) for files in HELD.values() for file, names in files.items() for name in names}
    nameless = [
        f"{file}.{name}"
        for file, names in found().items()
        for name in sorted(names)
        if file not in HOUSE and (file, name) not in named and (file, "*") not in named
    ]
    assert nameless == []
