"""Replies that every caller gets are made once for each change: it shows at once, and a stop binds at once."""

import asyncio
import gc
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from teamroom.server.acts.act import Read
from teamroom.server.door.kept import KEPT_SECONDS, KeptReplies
from teamroom.server.http.answers import SharedResult
from teamroom.server.settings import Settings
from teamroom.server.store.transaction import Context, Reading
from teamroom.tools.serve import TOOLS
from tests.support.engines import POSTGRES
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, StillTime, running_room

pytestmark = promise("CTL2")

SHARED = sorted(name for name, tool in TOOLS.items() if isinstance(tool.does, Read) and tool.does.is_shared)


@pytest.fixture
async def still(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    async with running_room(tmp_path / "room", time=StillTime()) as room:
        yield room


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
    first = [await ann(tool), await bob(tool)]  # their first calls change their presence
    made.clear()
    again = [await ann.said(tool), await bob.said(tool), await (await still.owner()).said(tool)]
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


@pytest.mark.postgres
async def test_a_room_whose_replies_are_not_kept_keeps_no_results_of_them(tmp_path: Path) -> None:
    POSTGRES.require()
    async with running_room(tmp_path / "room", choose_engine=POSTGRES.choose) as room:
        (ann,) = await room.enroll("ann")
        before = results()
        for _ in range(5):
            await ann("who")
        assert results() <= before + 1, "the last one may be on its way"
    POSTGRES.clean_up()


async def test_the_result_of_a_reply_that_is_kept_is_kept_with_it(still: RunningRoom) -> None:
    """The twin."""
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
    """The twin: with a count of changes that never rises, a message does not show."""
    monkeypatch.setattr(KeptReplies, "changes", 1)
    ann, bob = await still.enroll("ann", "bob")
    await bob("read_messages", limit=1)
    await bob("read_messages", limit=1)
    posted = (await ann("post_message", text="new"))["message"]
    assert posted not in [m["id"] for m in (await bob("read_messages", limit=1))["messages"]]


class Overtaken(int):
    """A number of changes whose thread stops where it compares it, until another thread has kept a newer reply."""

    meanwhile: Callable[[], object]

    def __ne__(self, other: object) -> bool:
        found = int.__ne__(self, other)
        self.meanwhile()
        return found

    __hash__ = int.__hash__


def test_a_thread_that_is_overtaken_keeps_nothing_for_the_newer_state() -> None:
    class Store:
        changes = 5

    store = Store()
    kept, tx = KeptReplies(store), Reading(None, Context({}, Settings(), secrets.token_bytes))  # type: ignore[arg-type]
    slow, quick = ("who", "slow"), ("who", "quick")
    kept.keep(quick, 5, tx, "of 5")
    overtaken = Overtaken(5)

    def meanwhile() -> None:
        store.changes = 6
        kept.keep(quick, 6, tx, "of 6")

    overtaken.meanwhile = meanwhile
    kept.keep(slow, overtaken, tx, "of 5")
    assert kept.find(slow) is None
    found = kept.find(quick)
    assert found is not None
    assert found.reply == "of 6"
