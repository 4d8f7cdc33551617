"""Migrations of one room, each in a process of its own that is killed one step later than the one before.

    python -m tests.support.killed_migrations TEMPLATE FOLDER STRIDE [--without-transactions]

TEMPLATE is a room's database of an earlier release; FOLDER gets one copy for each process. A step is a
statement that begins, or some work of the engine inside of one; STRIDE 10 kills at every tenth. Prints how many steps
there are.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements

WORK = 200
"""Instructions of SQLite that are a step."""

MOST_STEPS = 2000
"""More than all migrations together have."""


def main(template: Path, folder: Path, stride: int, with_transactions: bool) -> None:
    """Kill one process after another, until one gets to the end."""
    folder.mkdir()
    for step in range(1, MOST_STEPS, stride):
        database = folder / f"{step}.db"
        shutil.copyfile(template, database)
        child = os.fork()
        if child == 0:
            _migrate_until(database, step, with_transactions)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            if status:
                raise SystemExit(f"step {step}: the migration failed")
            print(step - 1)
            return
    raise SystemExit("the migrations never ended")


def _migrate_until(database: Path, step: int, with_transactions: bool) -> None:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if not with_transactions:
        sqlite_statements().update(begin_write="select 1", commit="select 1")
    connection = connect_writer(database)
    connection.set_trace_callback(lambda statement: count())
    connection.set_progress_handler(count, WORK)
    migrate(connection, 0.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), "--without-transactions" not in sys.argv)
