"""Whose read is next: of one member's reads one runs at a time, and the next ones wait in that member's own line."""

import asyncio
from collections import deque

from teamroom.server.store.engine import QueueFullError

WAITING_READS = 64
"""How many reads of one member wait; another one is refused."""


class ReadTurns:
    """The turns of members that read, on one event loop."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[asyncio.Future[None]]] = {}
        """For each member that reads, the reads that wait for its turn."""

    async def take(self, member: int | None) -> None:
        """Wait for a member's turn; the room itself, None, does not wait. Raises QueueFullError."""
        if member is None:
            return
        if (line := self._lines.get(member)) is None:
            self._lines[member] = deque()
            return
        if len(line) >= WAITING_READS:
            raise QueueFullError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except BaseException:
            if turn in line:
                line.remove(turn)
            elif not turn.cancelled():  # it had its turn already
                self.give(member)
            raise

    def give(self, member: int | None) -> None:
        """Give the turn to the member's next read."""
        if member is None:
            return
        line = self._lines[member]
        while line:
            if not (turn := line.popleft()).done():
                turn.set_result(None)
                return
        del self._lines[member]
