"""No test reads or patches a private name of another file: a twin that needs a way in gets a public name made for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.promises import house
from tests.support.repository import TESTS

pytestmark = house

PATCHING = {"delattr", "getattr", "hasattr", "object", "setattr"}
"""Functions that take a name as a text, by their last word: `patch.object`, `monkeypatch.setattr`."""

ALLOWED: dict[str, str] = {}
"""A private name that may be used, and why there is no other way."""


def private_names(path: Path) -> Iterator[str]:
    """The private names in a file that other files own, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = set(_defined(tree))
    for line, name in _used(tree):
        if name.startswith("_") and not name.endswith("__") and name not in own and name not in ALLOWED:
            yield f"{path.name}:{line} {name}"


def _used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in PATCHING:
            named = (part for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str))
            yield from ((node.lineno, str(part.value).rpartition(".")[2]) for part in named)


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that the file itself gives: functions, classes, variables, fields and attributes of `self`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


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
