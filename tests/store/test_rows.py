"""The columns of each statement are the fields of the row type that it is read as."""

import ast
import dataclasses
import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.stores import reading

pytestmark = house

READS = {"one", "only", "all"}
SINGLE = {"column", "value", "number"}


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call of the product that reads a statement by name."""
    for folder in ("server", "clients"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    of = node.func.value
                    if isinstance(of, ast.Name) and of.id == "tx" and node.func.attr in READS | SINGLE:
                        yield path, node, node.func.attr


def row_kind(path: Path, name: str) -> Any:
    """The type that a module knows under a name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return getattr(importlib.import_module(".".join(("teamroom", *parts))), name)


def statement(node: ast.Call, at: int) -> str | None:
    """The statement's name, where the call spells it out."""
    word = node.args[at]
    return word.value if isinstance(word, ast.Constant) else None


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """The columns of every statement that returns rows, as SQLite prepares it."""
    with closing(connect_writer(tmp_path_factory.mktemp("rows") / "room.db")) as connection:
        migrate(connection, 0.0)
        return {name: found for name, sql in sqlite_statements().items() if (found := columns_of(connection, sql))}


def columns_of(connection: sqlite3.Connection, sql: str) -> tuple[str, ...]:
    if not sql.lower().startswith(("select", "with")):
        return ()
    words = {part.split()[0].rstrip("),;") for part in sql.replace("(:", "( :").split(":")[1:]}
    cursor = connection.execute(sql, {"".join(c for c in word if c.isalnum() or c == "_"): 0 for word in words})
    return tuple(column[0] for column in cursor.description)


def fields_of(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else kind._fields


def test_the_columns_of_each_statement_are_the_fields_of_its_row_type(columns: dict[str, tuple[str, ...]]) -> None:
    found = 0
    for path, node, how in calls():
        if how not in READS or not isinstance(node.args[0], ast.Name) or (name := statement(node, 1)) is None:
            continue
        found += 1
        kind = row_kind(path, node.args[0].id)
        assert columns[name] == fields_of(kind), f"{name} is read as {kind.__name__} in {path.name}"
    assert found > 100, "the guard found no calls"


def test_a_statement_that_is_read_as_one_value_has_one_column(columns: dict[str, tuple[str, ...]]) -> None:
    found = 0
    for path, node, how in calls():
        if how not in SINGLE or (name := statement(node, 0 if how == "number" else 1)) is None:
            continue
        found += 1
        assert len(columns[name]) == 1, f"{name} is read as one value in {path.name}"
    assert found > 40, "the guard found no calls"


def test_a_row_type_that_does_not_fit_is_found_when_it_is_read(tmp_path: Path) -> None:
    """The twin: a type with other fields is refused, whatever order they are in."""
    with reading(tmp_path) as tx, pytest.raises(TypeError, match="supervisor returns"):
        tx.one(MemberName, "supervisor")
