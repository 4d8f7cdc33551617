"""The order in which calls use the event loop: one of each member at once, and the members in turn.

The loop runs everything that is ready before it looks at what has arrived. So if a thousand calls were under way, a
pause that arrives behind them would wait at each of its own steps until all of them had taken one. A call has its turn
until it first waits for the store. From then on the store serves the members in turn.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Self

BEGUN_AT_ONCE = 16
"""Calls that begin in one turn of the loop; each costs about a millisecond in all."""

MEMBER_AT_ONCE = 1
"""Calls of one member that have their turn at once."""

TURN_SECONDS = 0.25
"""How long a turn lasts at most while another call of its member waits: a client can make calls that never end."""

SWITCH_SECONDS, CROWDED_SWITCH_SECONDS = 0.005, 0.0001
"""How soon another thread gets the interpreter, usually and while calls wait for their turn.

The loop never rests then, and an act needs the interpreter again after each of its statements. The shorter time takes
more CPU for each call.
"""

CROWDED_SECONDS = 0.5
"""For how long no call may have waited until the loop counts as quiet again."""


def share_interpreter(is_crowded: bool) -> None:
    """Let other threads have the interpreter sooner while calls wait for their turn."""
    sys.setswitchinterval(CROWDED_SWITCH_SECONDS if is_crowded else SWITCH_SECONDS)


class Turn:
    """The turn of one call: a block at whose end it ends, if it was not ended before."""

    __slots__ = ("_end", "_member", "_turns")

    def __init__(self, turns: "Turns", member: int) -> None:
        self._turns: Turns | None = turns
        self._member = member
        self._end: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def limit(self) -> None:
        """End it in `TURN_SECONDS`, because another call waits for it."""
        if self._end is None:
            self._end = asyncio.get_running_loop().call_later(TURN_SECONDS, self.end)

    def end(self) -> None:
        """Let the member's next call begin; once is enough."""
        turns, self._turns = self._turns, None
        if turns is not None:
            if self._end is not None:
                self._end.cancel()
            turns.let_go(self, self._member)


OWN_TURN: ContextVar[Turn | None] = ContextVar("own_turn", default=None)
"""The turn of the call that is being answered."""


def end_turn() -> None:
    """End the turn of the call that is being answered, because it waits for something else than the event loop."""
    if (turn := OWN_TURN.get()) is not None:
        turn.end()


class Turns:
    """Who uses the event loop next. One event loop uses it.

    `on_crowded` is told when calls begin to wait for their turn, and when none has waited for a while.
    """

    def __init__(self, on_crowded: Callable[[bool], object] = lambda is_crowded: None) -> None:
        self._on_crowded = on_crowded
        self._waited = self._is_crowded = False
        self._waiting: dict[int, deque[asyncio.Future[Turn]]] = {}
        self._next: dict[int, None] = {}
        """Members that wait and may begin a call, the one that waits longest first."""
        self._of_member: dict[int, set[Turn]] = {}
        self._left = BEGUN_AT_ONCE
        self._is_renewing = False

    async def begin(self, member: int) -> Turn:
        """Return once a call of this member may begin; its turn then lasts until it is ended."""
        if self._left and self._may_begin(member):
            return self._take(member)
        return await self._wait(member)

    def let_go(self, turn: Turn, member: int) -> None:
        """A turn of this member is over."""
        own = self._of_member[member]
        own.discard(turn)
        if not own:
            del self._of_member[member]
        if member in self._waiting:
            self._next[member] = None
            self._renew_soon()

    def _may_begin(self, member: int) -> bool:
        return len(self._of_member.get(member, ())) < MEMBER_AT_ONCE

    async def _wait(self, member: int) -> Turn:
        """Wait behind the member's other calls."""
        begun: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._note_crowd()
        self._waiting.setdefault(member, deque()).append(begun)
        for turn in self._of_member.get(member, ()):
            turn.limit()
        if self._may_begin(member):
            self._next[member] = None
        try:
            return await begun
        except asyncio.CancelledError:
            if not begun.cancelled():
                begun.result().end()  # it had begun, and its client left in that moment
            raise

    def _note_crowd(self) -> None:
        """A call waits."""
        self._waited = True
        if not self._is_crowded:
            self._is_crowded = True
            self._on_crowded(True)
            asyncio.get_running_loop().call_later(CROWDED_SECONDS, self._look_at_crowd)

    def _look_at_crowd(self) -> None:
        """Find out whether a call waited since this was done last."""
        if self._waited or self._waiting:
            self._waited = False
            asyncio.get_running_loop().call_later(CROWDED_SECONDS, self._look_at_crowd)
        else:
            self._is_crowded = False
            self._on_crowded(False)

    def _take(self, member: int) -> Turn:
        self._renew_soon()
        self._left -= 1
        turn = Turn(self, member)
        self._of_member.setdefault(member, set()).add(turn)
        if member in self._waiting:
            turn.limit()
        return turn

    def _renew_soon(self) -> None:
        if not self._is_renewing:
            self._is_renewing = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        """A new turn of the loop."""
        self._left, self._is_renewing = BEGUN_AT_ONCE, False
        while self._left and self._next:
            member = next(iter(self._next))
            del self._next[member]
            self._begin_one(member)

    def _begin_one(self, member: int) -> None:
        """Begin the oldest call of a member, which then waits behind all others."""
        own = self._waiting[member]
        begun = own.popleft()
        if not own:
            del self._waiting[member]
        if not begun.done():  # its client is still there
            begun.set_result(self._take(member))
        if own and self._may_begin(member):
            self._next[member] = None
