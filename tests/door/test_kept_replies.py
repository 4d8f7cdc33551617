"""Replies that every caller gets are made once for each change: it shows at once, and a stop binds at once."""

import asyncio
import contextlib
import gc
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.acts.act import Read
from teamroom.server.acts.members.roster import WHO
from teamroom.server.door.kept import KEPT_REPLIES, KEPT_SECONDS, KeptReplies
from teamroom.server.http.answers import SharedResult
from teamroom.server.identity import Caller
from teamroom.server.settings import Settings
from teamroom.server.store.postgres import reads
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import Version, connect_reader, connect_writer, snapshot
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.rows.members import Principal
from teamroom.server.store.transaction import Context, Reading
from teamroom.tools.serve import TOOLS
from tests.support.bounds import BOUND_SECONDS
from tests.support.engines import ENGINES, POSTGRES, Engine
from tests.support.postgres import address_of
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, StillTime, running_room

pytestmark = promise("CTL2")

UNDISTURBED_WITHIN = 50
"""How often it is tried whether a reply is kept: PostgreSQL drops it with a change of any of its databases."""

SHARED = sorted(name for name, tool in TOOLS.items() if isinstance(tool.does, Read) and tool.does.is_shared)


@pytest.fixture(params=[pytest.param(engine, marks=engine.marks, id=str(engine)) for engine in ENGINES])
async def still(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningRoom]:
    engine: Engine = request.param
    engine.require()
    async with running_room(tmp_path / "room", time=StillTime(), choose_engine=engine.choose) as room:
        yield room
    engine.clean_up()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many replies were computed, by the key under which they are kept."""
    found: Counter[str] = Counter()
    keep = KeptReplies.keep

    def counted(self: KeptReplies, key: tuple[str, str] | None, *rest: object) -> None:
        if key is not None:
            found[key[0]] += 1
        keep(self, key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(KeptReplies, "keep", counted)
    return found


@pytest.mark.parametrize("tool", SHARED)
async def test_what_nothing_changed_is_made_once_for_all_callers(
    still: RunningRoom, made: Counter[str], tool: str
) -> None:
    ann, bob = await still.enroll("ann", "bob")
    owner = await still.owner()
    first = [await ann(tool), await bob(tool)]  # their first calls change their presence
    for _ in range(UNDISTURBED_WITHIN):
        made.clear()
        again = [await ann.said(tool), await bob.said(tool), await owner.said(tool)]
        if sum(made.values()) <= 1:
            break
    assert sum(made.values()) <= 1
    assert again[0] == again[1] == again[2]
    assert again[0][0].keys() == first[0].keys()


async def test_every_change_shows_at_once(still: RunningRoom) -> None:
    ann, bob = await still.enroll("ann", "bob")
    for number in range(1, 6):
        posted = (await ann("post_message", text=f"number {number}"))["message"]
        assert [m["id"] for m in (await bob("read_messages", limit=1))["messages"]] == [posted]
        task = (await ann("create_task", title=f"task {number}"))["task"]
        assert task in [t["task"] for t in (await bob("read_board"))["tasks"]]
        await bob("claim_task", task=task)
        (shown,) = [m for m in (await ann("who"))["members"] if m["name"] == "bob"]
        assert task in shown["tasks"]


@pytest.mark.parametrize("tool", SHARED)
async def test_a_stopped_member_gets_no_kept_reply(still: RunningRoom, tool: str) -> None:
    ann, bob = await still.enroll("ann", "bob")
    owner = await still.owner()
    await owner("kill", target="ann", reason="test")
    await bob(tool)
    await bob(tool)
    with pytest.raises(Exception, match="killed"):
        await ann(tool)
    assert not (await bob.said(tool))[2]


@pytest.mark.parametrize("tool", SHARED)
async def test_a_paused_member_among_others_that_ask_at_once_gets_no_kept_reply(still: RunningRoom, tool: str) -> None:
    names = [f"bot-{number}" for number in range(6)]
    bots = await still.enroll(*names)
    await (await still.owner())("pause", target=names[2], reason="test")
    for _ in range(3):
        said = await asyncio.gather(*(bot.said(tool) for bot in bots))
        assert [refused for _, _, refused in said] == [name == names[2] for name in names]


async def test_a_pause_of_another_shows_at_once_and_its_end_too(still: RunningRoom) -> None:
    _, bob = await still.enroll("ann", "bob")
    owner = await still.owner()

    async def standing() -> str:
        return str({m["name"]: m["standing"] for m in (await bob("who"))["members"]}["ann"])

    for _ in range(3):
        assert await standing() == "active"
        await owner("pause", target="ann", reason="test")
        assert await standing() == "paused"
        await owner("resume", target="ann", reason="test")


async def test_a_listener_shows_at_once(still: RunningRoom) -> None:
    ann, bob = await still.enroll("ann", "bob")
    await ann("check_in")

    async def listening() -> bool:
        return bool({m["name"]: m["listening"] for m in (await bob("who"))["members"]}["ann"])

    assert not await listening()
    waits = asyncio.create_task(ann("wait_for_wake", timeout_seconds=30))
    await still.until_waiting()
    assert await listening()
    await bob("post_message", text="wake up", to=["ann"])
    await waits


async def test_what_passes_with_time_shows_after_a_second(still: RunningRoom, made: Counter[str]) -> None:
    (ann,) = await still.enroll("ann")
    await ann("who")
    await ann("who")
    made.clear()
    still.time.forward(KEPT_SECONDS / 2)
    await ann("who")
    assert not made
    still.time.forward(KEPT_SECONDS / 2)
    reply = await ann("who")
    assert made == {"who": 1}
    assert {m["name"]: m["reason"] for m in reply["members"]}["ann"] == "called 1 s ago"


async def test_other_arguments_are_another_reply(still: RunningRoom) -> None:
    ann, bob = await still.enroll("ann", "bob")
    for name in ("ann", "bob", "ann"):
        assert [m["name"] for m in (await ann("who", name=name))["members"]] == [name]
        assert [m["name"] for m in (await bob("who", name=name))["members"]] == [name]


def results() -> int:
    """How many results that callers share are in memory."""
    gc.collect()
    return sum(isinstance(found, SharedResult) for found in gc.get_objects())


async def test_the_result_of_a_reply_that_is_kept_is_kept_with_it(still: RunningRoom) -> None:
    ann, bob = await still.enroll("ann", "bob")
    before = results()
    for name in ("ann", "bob", "olga"):
        await ann("who", name=name)
    kept = results()
    assert kept >= before + 3
    for name in ("ann", "bob", "olga"):
        await bob("who", name=name)
    assert results() == kept


async def test_replies_that_outlive_a_change_would_be_found(
    still: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: if all snapshots seem to see the same, a message does not show."""
    monkeypatch.setattr(Reading, "version", property(lambda self: 1, lambda self, found: None), raising=False)
    ann, bob = await still.enroll("ann", "bob")
    await bob("read_messages", limit=1)
    await bob("read_messages", limit=1)
    posted = (await ann("post_message", text="new"))["message"]
    assert posted not in [m["id"] for m in (await bob("read_messages", limit=1))["messages"]]


@pytest.mark.postgres
async def test_a_call_never_joins_a_snapshot_that_was_taken_before_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, may_go_on, takes = threading.Event(), threading.Event(), reads.snapshot

    @contextlib.contextmanager
    def slow(session: Session) -> Iterator[Version]:
        with takes(session) as version:
            if holds:
                taken.set()
                assert may_go_on.wait(BOUND_SECONDS)
            yield version

    POSTGRES.require()
    holds: list[bool] = []
    monkeypatch.setattr(reads, "snapshot", slow)
    async with running_room(tmp_path / "room", time=StillTime(), choose_engine=POSTGRES.choose) as room:
        ann, bob = await room.enroll("ann", "bob")
        await ann("post_message", text="one")
        for reader in (ann, bob, ann):
            await reader("read_messages", limit=1)
        holds.append(True)
        older = asyncio.ensure_future(bob("read_messages", limit=1))
        assert await asyncio.to_thread(taken.wait, BOUND_SECONDS)
        holds.clear()
        posted = (await ann("post_message", text="two"))["message"]
        try:
            seen = await asyncio.wait_for(ann("read_messages", limit=1), BOUND_SECONDS)
        finally:
            may_go_on.set()
        assert [message["id"] for message in seen["messages"]] == [posted]
        await older
    POSTGRES.clean_up()


class NoStore:
    """A store that nobody asks."""

    async def read(self, *asked: Any, **named: Any) -> None:
        raise AssertionError


NO_STORE: Any = NoStore()


def reading(version: Hashable) -> Reading:
    """A snapshot that sees a version of the room."""
    connection: Any = None
    return Reading(connection, Context({}, Settings(), secrets.token_bytes, lambda: 0.0), version)


def test_each_snapshot_gets_what_one_of_its_own_version_found() -> None:
    """Readers on threads keep and find replies in any order, and an older snapshot may be the last."""
    kept, key = KeptReplies(NO_STORE, lambda: 0.0), ("who", "{}")
    kept.keep(key, WHO, reading(6), "of 6")
    kept.keep(key, WHO, reading(5), "of 5")
    assert kept.find(key, reading(6)) is None
    assert kept.find(key, reading(5)) == "of 5"


def test_a_snapshot_of_an_unknown_version_keeps_and_gets_nothing() -> None:
    kept, key = KeptReplies(NO_STORE, lambda: 0.0), ("who", "{}")
    kept.keep(key, WHO, reading(None), "a reply")
    assert kept.find(key, reading(None)) is None


def test_a_bounded_number_of_replies_is_kept_the_newest() -> None:
    kept = KeptReplies(NO_STORE, lambda: 0.0)
    for number in range(KEPT_REPLIES + 1):
        kept.keep(("who", str(number)), WHO, reading(1), number)
    assert kept.find(("who", "0"), reading(1)) is None
    assert [kept.find(("who", str(n)), reading(1)) for n in (1, KEPT_REPLIES)] == [1, KEPT_REPLIES]


ROW: dict[str, Any] = {
    **dict.fromkeys(Principal._fields, None),
    **dict.fromkeys(("own_state", "owner_state", "room_state"), "active"),
    "name": "ann",
    "kind": "agent",
    "role": "member",
    "member": 1,
    "owner": 2,
    "mode": "live",
    "last_call_at": 0.0,
}


def permitting(tokens: set[str], version: Hashable) -> Reading:
    """A snapshot that knows these tokens."""
    tx: Any = reading(version)
    tx.one = lambda kind, name, token: Principal(**{**ROW, "token": token}) if token in tokens else None
    return tx


def caller_with(token: str) -> Caller:
    return Caller(token, "", 1, "ann", "agent", "member", 2, "olga")


async def test_calls_that_wait_for_a_snapshot_share_it_and_each_is_permitted_in_it() -> None:
    class Store:
        """One whose snapshots begin when they are told to, and which knows their version only then."""

        version = None
        snapshots = 0

        def __init__(self) -> None:
            self.begun = asyncio.Event()

        async def read(self, work: Callable[[Reading], Any], is_small: bool, begins: Callable[[], object]) -> Any:
            await self.begun.wait()
            begins()
            self.snapshots += 1
            return work(permitting({"token-1", "token-2"}, 6))

    store: Any = Store()
    kept, key = KeptReplies(store, lambda: 0.0), ("who", "{}")
    assert await kept.ask(caller_with("token-1"), key) is None, "nothing is kept"
    kept.keep(key, WHO, reading(6), "of 6")
    asked = [asyncio.ensure_future(kept.ask(caller_with(f"token-{number}"), key)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    store.begun.set()
    assert [answer and answer.reply for answer in await asyncio.gather(*asked)] == ["of 6", "of 6", None]
    assert store.snapshots == 1


@pytest.mark.postgres
async def test_what_another_server_writes_shows_at_once(tmp_path: Path) -> None:
    POSTGRES.require()
    async with running_room(tmp_path / "room", time=StillTime(), choose_engine=POSTGRES.choose) as room:
        (ann,) = await room.enroll("ann")
        await ann("post_message", text="to change")
        for number in range(3):
            await ann("read_messages", limit=1)
            await ann("read_messages", limit=1)
            POSTGRES.change(tmp_path / "room", f"update message set text = 'changed {number}'")
            (shown,) = (await ann("read_messages", limit=1))["messages"]
            assert shown["text"] == f"changed {number}"
    POSTGRES.clean_up()


@pytest.mark.postgres
def test_snapshots_have_the_same_version_only_if_they_see_the_same(tmp_path: Path) -> None:
    POSTGRES.require()
    address = Address.parse(address_of(tmp_path))

    def version() -> Hashable:
        with snapshot(reader) as found:
            return found

    with (
        contextlib.closing(connect_writer(address, 10)) as writer,
        contextlib.closing(connect_reader(address, 10)) as reader,
    ):
        writer.script("create table seen (number integer)")
        first = version()
        assert version() == first
        writer.script("begin; insert into seen values (1)")
        writer.script("commit")
        second = version()
        assert second != first
        connect_reader(address, 10).close()
        assert version() != second, "a new connection may be one to a database that recovered from a crash"
    POSTGRES.clean_up()
