"""The power cut under a room's store, again and again, and no acknowledged act lost (LOG4).

Members act through the room's own door and writer, on a disk in memory (`power`); at a random operation of that disk
its power goes. What was synced is there; what was not is there whole, torn, or not at all. The room is then opened
from those files as a server would open it: each act that was acknowledged must stand, whole, once, and the chain
must verify. Acts in doubt are called again in the next life.

The twin syncs as `pragma synchronous = normal` does, so that a commit is answered before it is sure.
"""

import asyncio
import logging
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.server.clock import wall_clock
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.metrics import Metrics
from teamroom.server.settings import Settings
from teamroom.server.store import writer as writers
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite import commit as commits
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context
from tests.campaigns.campaign import Advance, Outcome, command, over_time, silently
from tests.campaigns.power import Connection, Disk
from tests.campaigns.stored_acts import Told, Wanted, everybody_acts, fresh_copy, make_room
from tests.support.rates import without_limits

CUTS_OF_A_ROOM = 25
OPERATIONS, SYNCS = 400, 25
"""The power goes within so many operations of the disk, or syncs."""

CHECKPOINT_COMMITS = 3
NAMES = (DATABASE, f"{DATABASE}-wal")


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` power cuts."""
    outcome, dice = Outcome(), random.Random(seed)
    template = folder.with_name("template")
    callers = await make_room(template)
    cut_in: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    per_cut: list[int] = []
    lost = doubtful = replayed = cuts_with_loss = 0
    expected, told = fresh_copy(template, folder), Told()
    for turn in range(number):
        if turn and turn % CUTS_OF_A_ROOM == 0:
            expected, told = fresh_copy(template, folder), Told()
        again, told = list(told.doubtful.values()), Told()
        is_at_sync = dice.random() < 0.5
        disk = Disk(folder, NAMES, dice.randint(1, SYNCS if is_at_sync else OPERATIONS), is_at_sync, dice)
        await _until_the_cut(folder, disk, callers, again, str(turn), dice, told, "durable" if twin else "")
        _put_down(folder, disk)
        missing, faults = expected.missing(told), expected.faults()
        outcome.faults += [f"cut {turn}: {what}" for what in (*missing, *faults)]
        lost, cuts_with_loss = lost + len(missing), cuts_with_loss + bool(missing)
        if missing or faults:  # what is lost stays lost: go on in a new room
            expected, told = fresh_copy(template, folder), Told()
        cut_in[disk.cut_in] += 1
        per_cut.append(len(told.acknowledged))
        doubtful, replayed = doubtful + len(told.doubtful), replayed + told.replayed
        refused.update(told.refused)
        advance()
    outcome.figures |= {
        "power went in": dict(cut_in.most_common()),
        "acknowledged acts": sum(per_cut),
        "of these lost": lost,
        "cuts that lost some": cuts_with_loss,
        "acts in doubt at a cut": doubtful,
        "of these found to have happened": replayed,
        "refusals": dict(refused),
        "acknowledged acts over time": over_time(per_cut),
    }
    return outcome


async def _until_the_cut(
    folder: Path,
    disk: Disk,
    callers: dict[str, Caller],
    again: list[Wanted],
    life: str,
    dice: random.Random,
    told: Told,
    without: str,
) -> None:
    """One life of the store, until its disk has no power."""
    context = Context(sqlite_statements(), Settings(), random.Random(dice.random()).randbytes)
    with _on(disk, without):
        writer = SqliteStore(folder, context, lambda effects: None).writer
        try:
            writer.start()
        except sqlite3.OperationalError:
            return  # the power went while the room was opened
        try:
            store = Acting(writer)
            door = Door(store, wall_clock, Metrics(), str, without_limits())
            await everybody_acts(door, callers, again, life, dice, told)
        finally:
            await asyncio.to_thread(writer.stop)


class Acting:
    """A store that only takes acts."""

    is_writing, committed = True, None

    def __init__(self, writer: writers.Writer) -> None:
        self.write = writer.run

    async def read(self, work: Any, is_small: bool, member: int | None = None, **more: Any) -> Any:
        """Nobody reads here."""
        raise NotImplementedError

    def end_reads(self, members: Any) -> None:
        """Nobody reads here."""

    async def look_up(self, work: Any) -> Any:
        """Nobody reads here."""
        raise NotImplementedError


@contextmanager
def _on(disk: Disk, without: str) -> Iterator[None]:
    """The writer's connection on this disk; what it logs of the cut is no news."""
    logging.disable(logging.CRITICAL)
    try:
        with (
            patch.object(
                commits, "connect_writer", lambda path: Connection(disk, path.name, sqlite_statements(), without)
            ),
            patch.object(writers, "CHECKPOINT_COMMITS", CHECKPOINT_COMMITS),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _put_down(folder: Path, disk: Disk) -> None:
    """What survived, as files that a server opens."""
    for name in (*NAMES, f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    for name in NAMES:
        if name in disk.survived:
            (folder / name).write_bytes(disk.survived[name])


if __name__ == "__main__":
    command("power_cuts", __doc__, 10_000, campaign)
