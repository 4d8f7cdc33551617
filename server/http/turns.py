"""The order in which calls begin: a few in each turn of the event loop, one of each member in turn.

The loop runs everything that is ready before it looks at what has arrived. So if a thousand calls began at once, a
pause that arrives behind them would wait at each of its own steps until all of them had taken one.
"""

import asyncio
from collections import deque

BEGUN_AT_ONCE = 16
"""Calls that begin in one turn of the loop; each costs about a millisecond in all."""


class Turns:
    """Who calls next. One event loop uses it."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}
        self._left = BEGUN_AT_ONCE

    async def begin(self, member: int) -> None:
        """Return once a call of this member may begin: at once, unless the loop is busy with others."""
        if self._left:
            self._take()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(member, deque()).append(turn)
        await turn

    def _take(self) -> None:
        if self._left == BEGUN_AT_ONCE:  # the first one of this turn
            asyncio.get_running_loop().call_soon(self._renew)
        self._left -= 1

    def _renew(self) -> None:
        """A new turn of the loop."""
        self._left = BEGUN_AT_ONCE
        while self._left and self._waiting:
            turn = self._next()
            if not turn.done():  # its caller has left
                turn.set_result(None)
                self._take()

    def _next(self) -> asyncio.Future[None]:
        """The turn of the member that waits longest, which then waits behind all others."""
        member, own = next(iter(self._waiting.items()))
        del self._waiting[member]
        turn = own.popleft()
        if own:
            self._waiting[member] = own
        return turn
