"""The tests of this repository as their files say them, read without running any of them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from tests.support.repository import TESTS


@dataclass(frozen=True, slots=True)
class OwnTest:
    """One test function: its file without ending, its name without `test_`, and its marks and those of its file."""

    file: str
    name: str
    promises: tuple[str, ...]
    is_house: bool

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def own_tests(folder: Path = TESTS) -> list[OwnTest]:
    """Every test below a folder. Raises ValueError for marks that cannot be read or are replaced."""
    return [test for path in sorted(folder.rglob("test_*.py")) for test in _tests_of(path)]


def names_by_file() -> dict[str, set[str]]:
    """The names of all tests, by file."""
    names: dict[str, set[str]] = {}
    for test in own_tests():
        names.setdefault(test.file, set()).add(test.name)
    return names


def _tests_of(path: Path) -> Iterator[OwnTest]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    marked = [node.value for node in tree.body if _is_marks_of_file(node)]
    if len(marked) > 1:
        raise ValueError(f"{path}, line {marked[1].lineno}: the second pytestmark replaces the first")
    of_the_file = [mark for value in marked for mark in (value.elts if isinstance(value, ast.List) else [value])]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = [*of_the_file, *node.decorator_list]
            promises = tuple(id_ for mark in marks for id_ in _promises(mark, path))
            is_house = any(isinstance(mark, ast.Name) and mark.id == "house" for mark in marks)
            yield OwnTest(path.stem, node.name.removeprefix("test_"), promises, is_house)


def _is_marks_of_file(node: ast.stmt) -> TypeGuard[ast.Assign]:
    """Whether a statement gives marks to every test of a file."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def _promises(mark: ast.expr, path: Path) -> list[str]:
    if not isinstance(mark, ast.Call) or ast.unparse(mark.func) != "promise":
        return []
    ids = [argument.value for argument in mark.args if isinstance(argument, ast.Constant)]
    if len(ids) != len(mark.args) or not ids or not all(isinstance(id_, str) for id_ in ids):
        raise ValueError(f"{path}, line {mark.lineno}: a promise is named by its id, as a plain text")
    return [str(id_) for id_ in ids]
