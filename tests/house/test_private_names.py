"""No test reads or patches a private name of the product: a twin that needs a way in gets a public name for it."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.promises import house
from tests.support.repository import TESTS

pytestmark = house

PATCHING = {"delattr", "getattr", "hasattr", "object", "setattr"}
"""Functions that take a name as a text, by their last word: `patch.object`, `monkeypatch.setattr`."""

ALLOWED: dict[str, str] = {
    "_exit": "os._exit ends a process as a crash does, and has no public name",
    "_asdict": "a method of every named tuple, public by its documentation",
    "_fields": "the same",
    "_replace": "the same",
    "_transport": "asyncio gives no other way to close one pipe of a process",
}
"""A private name that may be used, and why there is no other way."""


def private_names(path: Path) -> Iterator[str]:
    """The private names in a file that other files own, each with its line.

    What a class of the tests inherits from another file of the tests is its own.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = set(_defined(tree))
    inherited = {name for file in _imported_tests(tree) for name in _defined_in(file)}
    for line, name, of_self in _used(tree):
        is_private = name.startswith("_") and not name.endswith("__")
        if is_private and name not in own and not (of_self and name in inherited) and name not in ALLOWED:
            yield f"{path.name}:{line} {name}"


def _used(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Every name that could be another file's: its line, the name, and whether it is asked of `self`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr, _is_self(node.value)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name, False) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in PATCHING:
            named = (part for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str))
            yield from ((node.lineno, str(part.value).rpartition(".")[2], False) for part in named)


def _imported_tests(tree: ast.AST) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests."):
            file = TESTS.parent / Path(*node.module.split(".")).with_suffix(".py")
            if file.exists():
                yield file


@functools.cache
def _defined_in(file: Path) -> frozenset[str]:
    return frozenset(_defined(ast.parse(file.read_text(encoding="utf-8"))))


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that the file itself gives: functions, classes, variables, fields and attributes of `self`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            yield node.attr


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def test_no_test_reads_or_patches_a_private_name() -> None:
    files = list(TESTS.rglob("*.py"))
    assert len(files) > 100
    assert [name for path in files for name in private_names(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "assert room.bus._waiting == 1",
        "from teamroom.server.door.door import _principal",
        'monkeypatch.setattr(door, "_principal", cached)',
        'with patch.object(door, "_principal", cached): pass',
        'monkeypatch.setattr("teamroom.server.door.door._principal", cached)',
    ],
)
def test_each_way_to_a_private_name_is_found(tmp_path: Path, line: str) -> None:
    file = tmp_path / "test_one.py"
    file.write_text(f"class Own:\n    def __init__(self):\n        self._own = 1\n\n\nown._own\n{line}\n")
    (found,) = private_names(file)
    assert found.startswith("test_one.py:7 _")
