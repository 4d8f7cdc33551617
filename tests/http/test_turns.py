"""Calls begin a few at a time, one of each member in turn."""

import asyncio
from collections import Counter

from teamroom.server.http.turns import BEGUN_AT_ONCE, Turns
from tests.support.promises import promise

pytestmark = promise("CTL9", "SAF10")

MANY = 10 * BEGUN_AT_ONCE
TURNS_AT_MOST = 2 * MANY


class Begun:
    """Which members' calls began, in their order, and in which turn of the loop."""

    def __init__(self) -> None:
        self.members: list[int] = []
        self.in_turn: Counter[int] = Counter()
        self.turn = 0
        self._turns = Turns()
        self._calls: list[asyncio.Task[None]] = []

    def call(self, member: int, number: int = 1) -> list[asyncio.Task[None]]:
        """So many calls of a member arrive."""
        calls = [asyncio.create_task(self._begin(member)) for _ in range(number)]
        self._calls += calls
        return calls

    async def settle(self) -> None:
        """Run the loop, turn for turn, until every call has begun or left."""
        while not all(call.done() for call in self._calls):
            assert self.turn < TURNS_AT_MOST
            self.turn += 1
            await asyncio.sleep(0)

    async def _begin(self, member: int) -> None:
        await self._turns.begin(member)
        self.members.append(member)
        self.in_turn[self.turn] += 1


async def test_a_call_begins_at_once_while_nobody_else_calls() -> None:
    begin = Turns().begin(1)
    try:
        begin.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def test_a_few_calls_begin_in_one_turn_of_the_loop() -> None:
    begun = Begun()
    begun.call(1, MANY)
    await begun.settle()
    assert len(begun.members) == MANY
    assert max(begun.in_turn.values()) == BEGUN_AT_ONCE


async def test_a_call_waits_for_one_of_each_other_member_and_not_for_all_of_one() -> None:
    begun = Begun()
    begun.call(1, MANY)
    begun.call(2, MANY)
    begun.call(3)
    await begun.settle()
    assert begun.members.index(3) <= BEGUN_AT_ONCE + 2
    after = begun.members[begun.members.index(3) + 1 :]
    assert after[:10] in ([1, 2] * 5, [2, 1] * 5)


async def test_who_leaves_while_it_waits_takes_no_turn_from_others() -> None:
    begun = Begun()
    begun.call(1, BEGUN_AT_ONCE)
    leaving = begun.call(2, MANY)
    staying = begun.call(3, BEGUN_AT_ONCE)
    await asyncio.sleep(0)
    for call in leaving:
        call.cancel()
    await begun.settle()
    assert all(call.cancelled() for call in leaving)
    assert not any(call.cancelled() for call in staying)
    assert begun.members == [1] * BEGUN_AT_ONCE + [3] * BEGUN_AT_ONCE
    assert begun.turn <= 6
