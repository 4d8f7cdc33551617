"""Calls with one token that wait together share the look-up of its member, and none gets an older answer (CTL9)."""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.lowlevel
import pytest

from teamroom.server.door.identities import TOKENS_AT_ONCE, Identities
from teamroom.server.identity import token_hash
from teamroom.server.store.engine import BusyError
from teamroom.server.store.logged import TABLES
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import IDENTITY
from tests.support.promises import promise
from tests.support.rooms import running_room

pytestmark = promise("CTL9", "SAF10")

TOKEN, OTHER = "tr_one", "tr_other"


class Line:
    """A store whose look-ups wait for a connection, and begin when they are told to."""

    identity_version: int | None = None

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.ran = 0
        self.row: Any = "the row"
        self.unknown: set[str] = set()

    async def look_up(self, work: Callable[[Any], Any]) -> Any:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await turn
        found = work(self)
        await anyio.lowlevel.checkpoint()  # the way back
        return found

    def one(self, kind: Any, name: str, **parameters: Any) -> Any:
        self.ran += 1
        return self.row

    def all(self, kind: Any, name: str, **parameters: Any) -> list[Any]:
        self.ran += 1
        return [SimpleNamespace(hash=hash_) for hash_ in json.loads(parameters["hashes"]) if hash_ not in self.unknown]

    async def until_waiting(self, count: int) -> None:
        while len(self.waiting) < count:
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def identities(line: Line) -> Identities:
    store: Any = line
    return Identities(store)


async def begun(*calls: Any) -> list["asyncio.Task[Any]"]:
    """These calls, each of which waits now."""
    tasks = [asyncio.create_task(call) for call in calls]
    await anyio.lowlevel.checkpoint()
    return tasks


async def test_calls_with_one_token_take_one_place_in_the_line(line: Line, identities: Identities) -> None:
    many = await begun(*(identities.find(TOKEN) for _ in range(60)))
    others = await begun(*(identities.find(f"{OTHER}{number}") for number in range(TOKENS_AT_ONCE)))
    more = await begun(*(identities.find(TOKEN) for _ in range(60)))
    assert len(line.waiting) == 2
    for turn in line.waiting:
        turn.set_result(None)
    found = {one.hash for one in await asyncio.gather(*many, *more)}
    assert found == {token_hash(TOKEN)}
    assert [one if one == "the row" else one.hash for one in await asyncio.gather(*others)] == [
        *(token_hash(f"{OTHER}{number}") for number in range(TOKENS_AT_ONCE - 1)),
        "the row",
    ], "the last one has a look-up of its own"
    assert line.ran == 2


async def test_calls_with_other_tokens_share_the_way_to_the_database(line: Line, identities: Identities) -> None:
    calls = await begun(*(identities.find(token) for token in (TOKEN, OTHER, "tr_unknown")))
    line.unknown = {token_hash("tr_unknown")}
    line.waiting[0].set_result(None)
    one, other, nobody = await asyncio.gather(*calls)
    assert (one.hash, other.hash, nobody) == (token_hash(TOKEN), token_hash(OTHER), None)
    assert line.ran == 1


class Threads:
    """A store whose look-ups run on threads, and whose tokens are written all the time."""

    identity_version = None

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(2)
        self.written = itertools.count()
        self.newest = 0

    async def look_up(self, work: Callable[[Any], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, self)

    def row(self, hash_: str) -> Any:
        self.newest = written = next(self.written)
        time.sleep(0.0001)  # the event loop goes on meanwhile
        return SimpleNamespace(hash=hash_, written=written)

    def one(self, kind: Any, name: str, **parameters: Any) -> Any:
        return self.row(parameters["hash"])

    def all(self, kind: Any, name: str, **parameters: Any) -> list[Any]:
        return [self.row(hash_) for hash_ in json.loads(parameters["hashes"])]


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that let each other go on every few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
async def test_no_call_gets_what_was_read_before_it_came_wherever_a_look_up_begins() -> None:
    store: Any = Threads()
    identities = Identities(store)

    async def call(number: int) -> None:
        for turn in range(20):
            token = f"{TOKEN}{(number + turn) % 40}"
            newest = store.newest
            found: Any = await identities.find(token)
            assert found.hash == token_hash(token)
            assert found.written >= newest

    await asyncio.gather(*map(call, range(60)))
    store.threads.shutdown()


async def test_a_call_that_comes_after_a_look_up_began_sees_what_is_written_meanwhile(
    line: Line, identities: Identities
) -> None:
    (early,) = await begun(identities.find(TOKEN))
    line.waiting[0].set_result(None)
    while not line.ran:
        await anyio.lowlevel.checkpoint()
    line.row = "revoked"
    (late,) = await begun(identities.find(TOKEN))
    line.waiting[1].set_result(None)
    assert (await early, await late) == ("the row", "revoked")


async def test_calls_that_share_a_look_up_survive_the_one_that_began_it(line: Line, identities: Identities) -> None:
    first, second, third = await begun(*(identities.find(TOKEN) for _ in range(3)))
    first.cancel()
    await line.until_waiting(2)
    line.waiting[1].set_result(None)
    assert await asyncio.gather(second, third) == ["the row"] * 2
    assert line.ran == 1


async def test_a_call_that_leaves_ends_no_look_up_that_others_share(line: Line, identities: Identities) -> None:
    first, second = await begun(*(identities.find(TOKEN) for _ in range(2)))
    second.cancel()
    await anyio.lowlevel.checkpoint()
    line.waiting[0].set_result(None)
    assert await first == "the row"


async def test_a_failed_look_up_fails_for_all_that_share_it_and_the_next_call_tries_again(
    line: Line, identities: Identities
) -> None:
    calls = await begun(*(identities.find(TOKEN) for _ in range(2)))
    line.waiting[0].set_exception(BusyError("all connections are in use"))
    for found in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(found, BusyError)
    (again,) = await begun(identities.find(TOKEN))
    line.waiting[1].set_result(None)
    assert await again == "the row"


async def find(identities: Identities, line: Line, token: str) -> Any:
    """Find a token, whose look-up begins at once."""
    waiting = len(line.waiting)
    (found,) = await begun(identities.find(token))
    for turn in line.waiting[waiting:]:
        turn.set_result(None)
    return await found


async def test_a_token_is_looked_up_once_until_identities_change(line: Line, identities: Identities) -> None:
    line.identity_version = 1
    first = await find(identities, line, TOKEN)
    line.row = "another row"
    assert await find(identities, line, TOKEN) == first
    assert line.ran == 1
    line.identity_version = 2
    assert await find(identities, line, TOKEN) == "another row"
    assert line.ran == 2


async def test_a_row_that_changes_while_it_is_looked_up_is_looked_up_again(line: Line, identities: Identities) -> None:
    line.identity_version = 1
    (first,) = await begun(identities.find(TOKEN))
    line.identity_version = 2
    line.waiting[0].set_result(None)
    await first
    line.row = "another row"
    assert await find(identities, line, TOKEN) == "another row"


async def test_an_unknown_token_is_not_kept_and_few_others_are(
    line: Line, identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teamroom.server.door.identities.TOKENS_KNOWN", 1)
    line.identity_version, line.row = 1, None
    for _ in range(2):
        assert await find(identities, line, TOKEN) is None
    line.row = "the row"
    for token in (TOKEN, OTHER, TOKEN):
        await find(identities, line, token)
    assert line.ran == 5, "each look-up of the other token drops what was known of the one"


def test_what_identifies_a_token_is_logged_so_that_its_changes_are_noticed() -> None:
    sql = sqlite_statements()["token_by_hash"]
    aliases = {alias: table for table, alias in re.findall(r"\b(?:join|from) (\w+) as (\w+)", sql)}
    aliases |= {table: table for table in re.findall(r"\b(?:from|join) (\w+)\b(?! as)", sql)}
    assert set(aliases.values()) == IDENTITY
    for alias, column in re.findall(r"\b(\w+)\.(\w+)", sql):
        logged = TABLES[aliases[alias]]
        assert column in {*logged.key, *logged.columns, *logged.words}, f"{alias}.{column} can change unnoticed"


STEPS: dict[str, dict[str, Any]] = {
    "enroll": {"name": "bot", "rotate": True},
    "pause": {"target": "bot", "reason": "a look at it"},
    "kill": {"target": "bot", "reason": "it ran wild"},
}


async def test_acts_that_change_identities_are_noticed_and_others_are_not(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        await room.enroll("bot")
        store = room.room.store
        for tool, arguments in STEPS.items():
            before = store.identity_version
            await owner(tool, **arguments)
            assert store.identity_version != before, tool
        before = store.identity_version
        await owner("post_message", text="to everybody")
        room.time.forward(3600)
        await owner("heartbeat")
        assert store.identity_version == before


async def test_a_token_that_is_kept_still_expires(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        (bot,) = await room.enroll("bot", expires_seconds=86_400)
        await bot("heartbeat")
        room.time.forward(2 * 86_400)
        answer = await room.raw(headers={"Authorization": f"Bearer {room.tokens['bot']}"}, json={})
        assert answer.status_code == 401
