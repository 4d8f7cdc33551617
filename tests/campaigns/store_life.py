"""One life of a store in a process of its own, forked from a server that has everything loaded, and killed there.

`python -m tests.campaigns.store_life` reads commands, one in a line: a folder, when to kill, what is in doubt. For each
it forks a process that opens the room and lets its members act through the door without rest; that process says
before and after each act what it calls and what was acknowledged, in lines no longer than a pipe takes whole.
The server kills it with SIGKILL: after some milliseconds, or inside the n-th commit or checkpoint, and then says
where its writer stood.
"""

import asyncio
import json
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.server.app import Room, sqlite_engine
from teamroom.server.identity import Caller
from teamroom.server.settings import Settings
from teamroom.server.store import writer as writers
from teamroom.server.store.sqlite import commit as commits
from teamroom.server.store.sqlite.connect import connect_writer
from teamroom.server.store.statements import sqlite_statements
from tests.campaigns.stored_acts import Wanted, everybody_acts
from tests.campaigns.write_behind import write_behind

Life = Callable[[dict[str, Any], mmap.mmap, int], None]
"""Lives as it was ordered, with memory that the killer sees, and where to say what was done."""

PLACES = ("between commits", "in a commit", "in a checkpoint")
PIPE_TAKES_WHOLE = 4096
WAIT_SECONDS = 5.0
"""A life that does not come to its place by then is killed where it is."""

POLL_SECONDS = 0.00002
CHECKPOINT_COMMITS = 3
"""So few, so that kills fall into checkpoints, too."""

LIFE_SECONDS = 0.06
"""A life that is killed at a random moment closes its store after so long, so that kills fall into that, too."""

SEAL_SECONDS = 0.004


class Watched:
    """A writer's connection that says, in memory that the killer sees, when it is in a commit or a checkpoint."""

    def __init__(self, path: Path, seen: mmap.mmap) -> None:
        self._connection = connect_writer(path)
        self._seen = seen
        statements = sqlite_statements()
        self._places = {statements["commit"]: 1, statements["checkpoint"]: 2, statements["checkpoint_and_cut"]: 2}

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Run a statement, and say where."""
        place = self._places.get(sql, 0)
        if not place:
            return self._connection.execute(sql, *parameters)
        self._seen[place] = min(255, self._seen[place] + 1)
        self._seen[0] = place
        try:
            return self._connection.execute(sql, *parameters)
        finally:
            self._seen[0] = 0

    def set_progress_handler(self, handler: Any, steps: int) -> None:
        """Let SQLite report its steps."""
        self._connection.set_progress_handler(handler, steps)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        """How many rows were changed."""
        return self._connection.total_changes

    def close(self) -> None:
        """Close, which is a checkpoint, too."""
        self._seen[0] = 2
        self._connection.close()


def live(order: dict[str, Any], seen: mmap.mmap, out: int) -> None:
    """Open the room and let everybody act, until the kill, or until the life is over."""

    def tell(what: str, wanted: Wanted, reply: dict[str, Any]) -> None:
        kept = {name: reply[name] for name in ("receipt", "replayed", "message", "task", "code") if name in reply}
        line = json.dumps([what, asdict(wanted), kept]).encode() + b"\n"
        assert len(line) <= PIPE_TAKES_WHOLE
        os.write(out, line)

    async def acts() -> None:
        engine = write_behind if order["twin"] else sqlite_engine
        room = Room(Path(order["folder"]), Settings(readers=1), choose_engine=engine)
        await room.open("olga")
        callers = {name: Caller(**caller) for name, caller in order["callers"].items()}
        again = [Wanted(**wanted) for wanted in order["again"]]
        dice = random.Random(order["seed"])
        acting = asyncio.create_task(everybody_acts(room.door, callers, again, order["life"], dice, tell))
        end = time.monotonic() + (WAIT_SECONDS if order["place"] else LIFE_SECONDS)
        while time.monotonic() < end and not acting.done():
            await asyncio.sleep(SEAL_SECONDS)
            await asyncio.to_thread(room.seal)
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        await room.close()

    with (
        patch.object(commits, "connect_writer", lambda path: Watched(path, seen)),
        patch.object(writers, "CHECKPOINT_COMMITS", CHECKPOINT_COMMITS),
    ):
        asyncio.run(acts())


def kill(process: int, order: dict[str, Any], seen: mmap.mmap) -> None:
    """Wait for the moment that was ordered, and kill: at a place only while the process is seen to stand there."""
    place, times, after_seconds = order["place"], order["times"], order["after_seconds"]
    give_up = time.monotonic() + (WAIT_SECONDS if place else after_seconds)
    while time.monotonic() < give_up:
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        if place and seen[0] == place and seen[place] >= times:
            time.sleep(after_seconds)
            if _stands_still(process) and seen[0] == place:
                break
            os.kill(process, signal.SIGCONT)
            after_seconds /= 2
        time.sleep(POLL_SECONDS)
    os.kill(process, signal.SIGKILL)


def _stands_still(process: int) -> bool:
    """Stop the process where it is; whether it still runs."""
    os.kill(process, signal.SIGSTOP)
    stopped = os.waitid(os.P_PID, process, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return stopped is not None and stopped.si_code == os.CLD_STOPPED


def serve(read: Callable[[], str], out: int, live: Life = live, places: Sequence[str] = PLACES) -> None:
    """Fork a life for each command, kill it, and say how it ended."""
    while line := read():
        order = json.loads(line)
        with mmap.mmap(-1, mmap.PAGESIZE) as seen:
            process = os.fork()
            if process == 0:
                try:
                    live(order, seen, out)
                    os._exit(0)
                except BaseException as error:
                    os.write(2, f"{error!r}\n".encode())
                    os._exit(1)
            kill(process, order, seen)
            _, status = os.waitpid(process, 0)
            ended = {"place": places[seen[0]], "code": os.waitstatus_to_exitcode(status)}
        os.write(out, json.dumps(["ended", ended]).encode() + b"\n")


if __name__ == "__main__":
    serve(sys.stdin.readline, 1)
