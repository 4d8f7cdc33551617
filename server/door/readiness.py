"""Whether the room can carry out acts now: it tries what an act writes, durably, and undoes it.

Anybody may ask, so one look at a time is made, and its result counts for some seconds.
"""

import asyncio
import logging
import time
from typing import NoReturn

from teamroom.server.clock import Clock
from teamroom.server.record import chain as log
from teamroom.server.store.engine import QueueFullError, StorageError, Transactions
from teamroom.server.store.transaction import Writing

logger = logging.getLogger("teamroom.door")

READY_SECONDS, NOT_READY_SECONDS = 5.0, 1.0
"""How long a look counts that found the room ready, and one that did not."""

LOOK_SECONDS = 5.0
"""A look that takes longer counts as not ready."""

TOUCHED_ENTRIES = 32
"""How many entries, from all over the log, a look touches, and fewer than twice as many: the pages of a claim."""

REMEMBERED_CHARACTERS = 10_000
"""How long the reply is that a look remembers."""


class _UndoneError(Exception):
    """A look got to its end, and is undone."""


class Readiness:
    """Looks whether acts can be carried out, on one event loop."""

    def __init__(self, store: Transactions, steady: Clock = time.monotonic) -> None:
        self._store = store
        self._steady = steady
        self._is_ready = False
        self._until = 0.0
        self._look: asyncio.Task[None] | None = None

    async def is_ready(self) -> bool:
        """Whether acts are carried out, as of the last look, which is some seconds old at most."""
        if not self._store.is_writing:
            return False
        if self._look is None and self._steady() >= self._until:
            self._look = asyncio.create_task(self._look_again())
        if self._look is not None:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await asyncio.shield(self._look)
            except TimeoutError:
                return False
        return self._is_ready

    async def _look_again(self) -> None:
        try:
            await self._store.write(_try_an_act, _undo)
        except _UndoneError:
            self._is_ready = True
        except (StorageError, QueueFullError) as error:
            self._is_ready = False
            logger.warning("the room is not ready: %s", error)
        except Exception:
            self._is_ready = False
            logger.exception("the look whether the room is ready failed")
        finally:
            self._until = self._steady() + (READY_SECONDS if self._is_ready else NOT_READY_SECONDS)
            self._look = None


def _try_an_act(tx: Writing) -> NoReturn:
    """Write an entry, a timer and a reply to remember, and touch as many pages as a claim. Then undo all of it."""
    step = max(tx.head.seq // TOUCHED_ENTRIES, 1)
    tx.run("touch_entries", step=step, last=tx.head.seq)
    log.append(tx, log.ROOM_AUTHOR, act="ready", subject="", summary="The room looks whether it can act")
    tx.run("schedule", rule="ready", subject=0, member=log.ROOM_MEMBER, at=tx.now, since=tx.now, span=0)
    reply = "x" * REMEMBERED_CHARACTERS
    about = {"member": log.ROOM_MEMBER, "key": "ready", "act": "ready", "arguments": "", "reply": reply}
    tx.run("remember_request", **about, at=tx.now, until=tx.now)
    raise _UndoneError


def _undo(tx: Writing, error: Exception) -> NoReturn:
    raise error
