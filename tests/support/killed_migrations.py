"""Migrations of one room, each in a process of its own that is killed at a later step than the one before.

    python -m tests.support.killed_migrations TEMPLATE FOLDER STRIDE [--without-transactions]

TEMPLATE is a room's database of an earlier release; FOLDER gets one copy for each process. A step is a
statement that begins, or some work of the engine inside of one; STRIDE 10 kills at every tenth, and always where a
migration is recorded. Prints as JSON at which steps it killed.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements

WORK = 200
"""Instructions of SQLite that are a step."""


def main(template: Path, folder: Path, stride: int, with_transactions: bool) -> None:
    """Kill one process after another, each at a step before the end."""
    folder.mkdir()
    if not with_transactions:
        sqlite_statements().update(begin_write="select 1", commit="select 1")
    last, recorded = _steps_of(shutil.copyfile(template, folder / "whole.db"))
    steps = sorted({*range(1, last + 1, stride), *recorded})
    for step in steps:
        database = folder / f"{step}.db"
        shutil.copyfile(template, database)
        child = os.fork()
        if child == 0:
            _migrate_until(database, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"step {step}: the migration was not killed")
    print(json.dumps(steps))


def _steps_of(database: Path) -> tuple[int, list[int]]:
    """How many steps the migrations have, and at which ones a migration is recorded."""
    steps, recorded = 0, []

    def count(statement: str = "") -> None:
        nonlocal steps
        steps += 1
        if statement.lower().startswith("insert into migration "):
            recorded.append(steps)

    with closing(_counted(database, count)) as connection:
        migrate(connection, 0.0)
    return steps, recorded


def _migrate_until(database: Path, step: int) -> None:
    steps = 0

    def count(statement: str = "") -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    migrate(_counted(database, count), 0.0)


def _counted(database: Path, count: Callable[..., None]) -> sqlite3.Connection:
    connection = connect_writer(database)
    connection.set_trace_callback(count)
    connection.set_progress_handler(count, WORK)
    return connection


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), "--without-transactions" not in sys.argv)
