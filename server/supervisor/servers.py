"""This server among those of its room: which duties it does, and who listens on the others.

Each server renews its row once a second, and with it its leases. A duty whose server has died is taken over when its
lease ends. What a holder writes for its duty checks the fence in the same transaction. A room with one server needs
none of this: that server does every duty.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from teamroom.server.clock import Clock
from teamroom.server.door.door import Door
from teamroom.server.refusals import Refusal
from teamroom.server.store.rows.servers import Lease, OtherServer
from teamroom.server.store.transaction import Writing

logger = logging.getLogger("teamroom.servers")

LETTERS_DUTY, SEAL_DUTY = "letters", "seal"

SIGN_SECONDS = 1.0
"""How often a server renews its row and its leases."""

LEASE_SECONDS = 3.5
"""How long a lease lasts: a dead server's duties are taken over within this time and one sign of another."""

SERVERS = 64
"""How many other servers a server looks at."""

NAME_BYTES = 60
"""How much of a server's name is the machine's: as much as names of machines mostly have."""

MARK_CHARACTERS = 8
"""How much of a server's random mark is in its name."""

FORGOTTEN_SECONDS = 3600.0
"""How long the row of a server stays that ended without a word."""


def name_of_server(host: str, port: int, mark: str) -> str:
    """The name of a server, as the doctor shows it: where it runs, and what tells it from earlier ones there."""
    return f"{host[:NAME_BYTES]}:{port}/{mark[:MARK_CHARACTERS]}"


class Sign(NamedTuple):
    """What a server found when it renewed its row: the leases that it holds, and the other servers."""

    held: dict[str, int]
    others: list[OtherServer]


class Servers:
    """One server of a room. `is_shared`: whether there may be others."""

    def __init__(self, door: Door, steady: Clock, mark: str, *, is_shared: bool) -> None:
        self._door, self._steady, self._mark = door, steady, mark
        self.is_shared = is_shared
        self.duties: tuple[str, ...] = (LETTERS_DUTY,)
        """The duties that this server may do."""
        self.listening: Callable[[], Iterable[int]] = tuple
        """The members that listen on this server."""
        self.connected: Callable[[], Iterable[int]] = tuple
        """The members that are connected to this server."""
        self._held: dict[str, int] = {}
        self._until = 0.0
        self._listen_elsewhere: frozenset[int] = frozenset()
        self._connected_elsewhere: frozenset[int] = frozenset()
        self.others = 0
        """How many other servers have the room open."""

    def does(self, duty: str) -> bool:
        """Whether this server does a duty now."""
        return not self.is_shared or (duty in self._held and self._steady() < self._until)

    @property
    def name(self) -> str:
        """The name under which this server holds its leases."""
        return self._mark

    def listens_elsewhere(self, member: int) -> bool:
        """Whether a member listens on another server, as of about a second ago."""
        return member in self._listen_elsewhere

    def is_connected_elsewhere(self, member: int) -> bool:
        """Whether a member is connected to another server, as of about a second ago."""
        return member in self._connected_elsewhere

    def fenced(self, duty: str, work: Callable[[Writing], Any]) -> Callable[[Writing], Any]:
        """A write for a duty that changes nothing once another server does that duty."""
        if not self.is_shared:
            return work
        fence = self._held.get(duty)

        def fenced(tx: Writing) -> Any:
            row = tx.one(Lease, "lease", duty=duty)
            return work(tx) if row is not None and (row.holder, row.fence) == (self._mark, fence) else None

        return fenced

    async def run(self) -> None:
        """Renew the row and the leases for as long as the server runs."""
        while self.is_shared:
            await self.sign()
            await asyncio.sleep(SIGN_SECONDS)

    async def sign(self) -> None:
        """Renew the row and the leases once. If that cannot be written, the leases end in time."""
        until = self._steady() + LEASE_SECONDS
        listens, connected = sorted(self.listening()), sorted(self.connected())
        work = partial(_sign, mark=self._mark, duties=self.duties, listens=listens, connected=connected)
        try:
            found = await self._door.act_as_room(work)
        except Refusal as refusal:
            logger.warning("this server's leases cannot be renewed now: %s", refusal)
            return
        self._held, self._until, self.others = found.held, until, len(found.others)
        self._listen_elsewhere = _numbers(other.listens for other in found.others)
        self._connected_elsewhere = _numbers(other.connected for other in found.others)

    async def leave(self) -> None:
        """Give every duty up, because this server stops."""
        if self.is_shared:
            self._held = {}
            with contextlib.suppress(Refusal):
                await self._door.act_as_room(partial(_leave, mark=self._mark))


def _sign(tx: Writing, mark: str, duties: Iterable[str], listens: list[int], connected: list[int]) -> Sign:
    about = {"listens": json.dumps(listens), "connected": json.dumps(connected)}
    tx.run("sign_of_server", id=mark, until=tx.now + LEASE_SECONDS, **about)
    tx.run("forget_servers", before=tx.now - FORGOTTEN_SECONDS)
    held = {duty: fence for duty in duties if (fence := _hold(tx, duty, mark)) is not None}
    return Sign(held, tx.all(OtherServer, "other_servers", id=mark, now=tx.now, limit=SERVERS))


def _hold(tx: Writing, duty: str, mark: str) -> int | None:
    """Take or renew a lease; returns its fence, or None if another server holds it."""
    row, until = tx.one(Lease, "lease", duty=duty), tx.now + LEASE_SECONDS
    if row is not None and row.holder == mark and tx.now < row.until:
        tx.run("keep_lease", duty=duty, until=until)
        return row.fence
    if row is not None and tx.now < row.until <= until:
        return None
    tx.run("take_lease", duty=duty, holder=mark, until=until)
    return 1 if row is None else row.fence + 1


def _leave(tx: Writing, mark: str) -> None:
    tx.run("end_server", id=mark)
    tx.run("end_leases", holder=mark)


def _numbers(lists: Iterable[str]) -> frozenset[int]:
    return frozenset(number for text in lists for number in json.loads(text))
