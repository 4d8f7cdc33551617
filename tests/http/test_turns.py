"""Calls use the event loop a few at a time, one of each member at once, and one of each in turn."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamroom.server.http import turns
from teamroom.server.http.turns import BEGUN_AT_ONCE, CROWDED_SWITCH_SECONDS, MEMBER_AT_ONCE, SWITCH_SECONDS, Turns
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, Legacy, message, modern_headers, posted, reply, request
from tests.support.room_in_thread import RoomInThread, room_in_thread

pytestmark = promise("CTL9", "SAF10")

MANY = 10 * BEGUN_AT_ONCE
STEPS = 3
"""Turns of the loop that a call takes until it waits for the store."""

TURNS_AT_MOST = 10 * MANY
MEMBERS = range(1, MANY + 1)


class Begun:
    """Which members' calls began, in their order, and in which turn of the loop."""

    def __init__(self) -> None:
        self.members: list[int] = []
        self.in_turn: Counter[int] = Counter()
        self.most_of_member = 0
        self.turn = 0
        self._now = Counter[int]()
        self._turns = Turns()
        self._calls: list[asyncio.Task[None]] = []

    def call(self, member: int, number: int = 1) -> list[asyncio.Task[None]]:
        """So many calls of a member arrive."""
        calls = [asyncio.create_task(self._begin(member)) for _ in range(number)]
        self._calls += calls
        return calls

    async def settle(self) -> None:
        """Run the loop, turn for turn, until every call has ended or left."""
        while not all(call.done() for call in self._calls):
            assert self.turn < TURNS_AT_MOST
            self.turn += 1
            await asyncio.sleep(0)

    async def _begin(self, member: int) -> None:
        with await self._turns.begin(member):
            self.members.append(member)
            self.in_turn[self.turn] += 1
            self._now[member] += 1
            self.most_of_member = max(self.most_of_member, self._now[member])
            for _ in range(STEPS):
                await asyncio.sleep(0)
            self._now[member] -= 1


@contextlib.contextmanager
def changed(**constants: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(turns, name, value)
        yield


async def test_a_call_begins_at_once_while_nobody_else_calls() -> None:
    begin = Turns().begin(1)
    try:
        begin.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def test_a_few_calls_begin_in_one_turn_of_the_loop() -> None:
    begun = Begun()
    for member in MEMBERS:
        begun.call(member)
    await begun.settle()
    assert sorted(begun.members) == list(MEMBERS)
    assert max(begun.in_turn.values()) == BEGUN_AT_ONCE


async def test_few_calls_of_one_member_have_their_turn_at_once_and_all_have_one_in_the_end() -> None:
    begun = Begun()
    begun.call(1, MANY)
    await begun.settle()
    assert begun.members == [1] * MANY
    assert begun.most_of_member == MEMBER_AT_ONCE


async def test_a_member_whose_calls_all_had_their_turn_would_be_found() -> None:
    with changed(MEMBER_AT_ONCE=MANY):
        begun = Begun()
        begun.call(1, MANY)
        await begun.settle()
    assert begun.most_of_member > MEMBER_AT_ONCE


async def test_a_call_waits_for_one_of_each_other_member_and_not_for_all_of_one() -> None:
    begun = Begun()
    begun.call(1, MANY)
    begun.call(2, MANY)
    begun.call(3)
    await begun.settle()
    assert begun.members.index(3) <= 2 * MEMBER_AT_ONCE
    after = begun.members[begun.members.index(3) + 1 :]
    assert abs(after[:MANY].count(1) - after[:MANY].count(2)) <= MEMBER_AT_ONCE


async def test_who_leaves_while_it_waits_takes_no_turn_from_others() -> None:
    begun = Begun()
    begun.call(1, MEMBER_AT_ONCE)
    leaving = begun.call(2, MANY)
    staying = begun.call(3, MEMBER_AT_ONCE)
    await asyncio.sleep(0)
    for call in leaving:
        call.cancel()
    await begun.settle()
    assert all(call.cancelled() for call in leaving)
    assert not any(call.cancelled() for call in staying)
    assert [member for member in begun.members if member != 2] == [1] * MEMBER_AT_ONCE + [3] * MEMBER_AT_ONCE
    again = begun.call(2, MANY)
    await begun.settle()
    assert all(not call.cancelled() for call in again)


async def test_who_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    shared = Turns()
    held = [await shared.begin(1) for _ in range(MEMBER_AT_ONCE)]
    leaving, staying = (asyncio.create_task(_call(shared)) for _ in range(2))
    await asyncio.sleep(0)
    held.pop().end()  # in the next turn of the loop, the first that waits gets this turn, and then it leaves
    asyncio.get_running_loop().call_soon(leaving.cancel)
    async with asyncio.timeout(10):
        await staying
        assert leaving.cancelled()
        for turn in held:
            turn.end()
        for _ in range(MEMBER_AT_ONCE):
            await shared.begin(1)


async def test_a_turn_that_nobody_ends_ends_by_itself() -> None:
    with changed(TURN_SECONDS=0):
        shared = Turns()
        for _ in range(3 * MEMBER_AT_ONCE):
            async with asyncio.timeout(10):
                await shared.begin(1)


async def test_the_interpreter_is_shared_sooner_while_calls_wait_and_as_usual_afterwards() -> None:
    crowded: list[bool] = []
    quiet = asyncio.Event()

    def note(is_crowded: bool) -> None:
        turns.share_interpreter(is_crowded)
        crowded.append(is_crowded)
        assert sys.getswitchinterval() == pytest.approx(CROWDED_SWITCH_SECONDS if is_crowded else SWITCH_SECONDS)
        if not is_crowded:
            quiet.set()

    with changed(CROWDED_SECONDS=0):
        shared = Turns(note)
        with await shared.begin(1):
            assert crowded == []
        waiting = [asyncio.create_task(_call(shared)) for _ in range(MANY)]
        await asyncio.gather(*waiting)
        async with asyncio.timeout(10):
            await quiet.wait()
    assert crowded == [True, False]


async def _call(shared: Turns) -> None:
    with await shared.begin(1):
        await asyncio.sleep(0)


# ------------------------------------------------------------------ in a room


WAIT = {"name": "wait_for_wake", "arguments": {"timeout_seconds": 50}}


def waiting_calls(room: RoomInThread, session: Legacy) -> list[bytes]:
    """Every way in which a member's calls stay open, without and with a session."""
    token, older = room.token("bot"), session.session
    listen = {"notifications": {"resourceSubscriptions": ["teamroom://board"]}, "_meta": ENVELOPE}
    owned = [("host", f"127.0.0.1:{room.port}"), ("authorization", f"Bearer {token}"), *older]
    modern = message("tools/call", {**WAIT, "_meta": ENVELOPE})
    return [
        posted(room.port, token, modern, modern_headers("tools/call", "wait_for_wake")),
        posted(room.port, token, message("subscriptions/listen", listen), modern_headers("subscriptions/listen")),
        posted(room.port, token, message("tools/call", WAIT, 100), older),
        request("GET", "/mcp", [*owned, ("accept", "text/event-stream")]),
    ]


@pytest.mark.parametrize("way", range(4))
def test_calls_that_wait_have_no_turn_so_the_member_is_still_answered(tmp_path: Path, way: int) -> None:
    with room_in_thread(tmp_path / "room") as room:
        room.enroll("bot")
        with contextlib.ExitStack() as opened:
            for _ in range(MEMBER_AT_ONCE + 1):
                session = opened.enter_context(room.legacy("bot"))
                wire = opened.enter_context(room.wire())
                wire.send(waiting_calls(room, session)[way])
            for client in (room.modern("bot"), room.legacy("bot")):
                with client:
                    assert reply(client.call("post_message", {"text": "still here"}))["receipt"]
