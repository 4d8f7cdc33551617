"""Looks at the parts of a room from the outside: asks those that give no signs of life themselves, and names bad ones.

`teamroom up` runs it on the event loop of the room's own socket, so it also sees the first event loop hang.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from teamroom.server.door.door import Door
from teamroom.server.facts.task import ROOM_AUTHOR
from teamroom.server.health import BACKUPS, DISK, LOOP, STORE, WRITER, Health, PartHealth, sentence
from teamroom.server.record import backups as copies
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import one_line
from teamroom.server.store.engine import DiskFullError, QueueFullError, StorageError, Transactions
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Reading, Writing

logger = logging.getLogger("teamroom.health")

LOOK_SECONDS = 5.0
"""How often the parts are looked at."""

STOOD_SECONDS = 10.0
"""If a look is later than this, the whole server stood still, and no part is to blame."""

BEAT_SECONDS = 1.0
"""How often an event loop gives a sign of life."""


async def beat(health: Health) -> None:
    """Give signs of life of the event loop that runs this."""
    while True:
        health.alive(LOOP)
        await asyncio.sleep(BEAT_SECONDS)


class Watcher:
    """Watches the parts of one room, on the event loop of its caller."""

    def __init__(self, folder: Path, health: Health, store: Transactions, door: Door) -> None:
        self._folder, self._health, self._store, self._door = folder, health, store, door
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._full = ""
        """Why the disk is full, as the writer met it last; empty if it is not."""

    async def run(self) -> None:
        """Look for as long as the room runs. A part that hangs delays no other look."""
        try:
            while True:
                self.look()
                before = asyncio.get_running_loop().time()
                await asyncio.sleep(LOOK_SECONDS)
                if asyncio.get_running_loop().time() - before > LOOK_SECONDS + STOOD_SECONDS:
                    self._health.forgive()
        finally:
            for task in self._asking.values():
                task.cancel()
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def look(self) -> None:
        """Ask each part that does not still owe an answer, and name what is bad."""
        asks: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            (STORE, self._ask_store),
            (WRITER, self._ask_writer),
            (DISK, self._ask_disk),
            (BACKUPS, self._ask_backups),
            *((f"naming {part.name}", partial(self._name, part)) for part in self._health.news()),
        )
        for name, ask in asks:
            if (task := self._asking.get(name)) is None or task.done():
                self._asking[name] = asyncio.ensure_future(_logged(name, ask))

    async def settled(self) -> None:
        """Wait until everything that was asked has been answered."""
        await asyncio.gather(*self._asking.values())

    async def _ask_store(self) -> None:
        try:
            await self._store.look_up(_read_head)
            self._health.alive(STORE)
        except StorageError as error:
            self._health.alive(STORE, fault=f"it cannot be read: {error}")

    async def _ask_writer(self) -> None:
        """Have the writer carry out nothing. It also knows whether the disk is full."""
        fault = full = ""
        try:
            await self._store.write(_nothing, _reraise)
        except QueueFullError:
            pass  # it works, and has much to do
        except DiskFullError as error:
            full = f"it is full: {error}"
        except StorageError as error:
            fault = f"it cannot write: {error}"
        self._full = full
        self._health.alive(WRITER, fault=fault)

    async def _ask_disk(self) -> None:
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
            self._health.alive(DISK, fault=self._full, detail=f"{free / 1e6:.0f} MB are free")
        except OSError as error:
            self._health.alive(DISK, fault=f"it cannot be used: {error.strerror}")

    async def _ask_backups(self) -> None:
        found = await asyncio.to_thread(copies.backups, self._folder / copies.BACKUPS)
        words = f"{len(found)} kept" if found else "there are none; make one with `teamroom backup`"
        self._health.looked_at(BACKUPS, found[0].at if found else None, words)

    async def _name(self, part: PartHealth) -> None:
        """Name a bad part in the stream, once."""
        logger.error("%s", sentence(part))
        try:
            await self._door.act_as_room(partial(name_part, part=part))
        except Refusal:
            return  # it is named once the room can write again, if it is still bad then
        self._health.note_named(part.name)


async def _logged(name: str, ask: Callable[[], Awaitable[None]]) -> None:
    try:
        await ask()
    except Exception:
        logger.exception("looking at the room's health failed (%s)", name)


def name_part(tx: Writing, part: PartHealth) -> None:
    """Write that a part of the room is dead, hangs or fails."""
    detail = {"part": part.name, "state": part.state}
    log.append(tx, ROOM_AUTHOR, act="health", subject="room", summary=one_line(sentence(part)), detail=detail)


def _read_head(tx: Reading) -> ReadHead | None:
    return tx.one(ReadHead, "read_head")


def _nothing(tx: Writing) -> None:
    return None


def _reraise(tx: Writing, error: Exception) -> None:
    raise error
