"""Retention: if a room owner wants it, the room redacts by age itself, in small steps, and says what it removed."""

from pathlib import Path
from typing import Any

from teamroom.clients.local.verify import verified
from teamroom.server.acts.receipts import retention
from teamroom.server.acts.receipts.redact import PAGE
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("LOG3")

A_DAY = 86_400
SECRET = "hunter2-8471-pass"


async def texts(owner: Member) -> list[str]:
    return [message["text"] for message in (await owner("read_messages", limit=50))["messages"]]


async def removals(owner: Member) -> list[dict[str, Any]]:
    return list((await owner("read_receipts", act="redact"))["receipts"])


async def settle(room: RunningRoom, steps: int = 5) -> None:
    """Let the room take so many steps of a run."""
    for _ in range(steps):
        await room.later(retention.STEP_SECONDS)


async def test_nothing_is_removed_until_a_room_owner_says_so(room: RunningRoom) -> None:
    owner = await room.owner()
    (agent,) = await room.enroll("agent")
    (operator,) = await room.enroll("ops", kind="human", role="operator")
    await owner("post_message", text=SECRET)
    await room.later(400 * A_DAY)
    assert await texts(owner) == [SECRET]
    for other in (agent, operator):
        assert (await other.refused("set_policy", name="retention_days", value="1"))["code"] == "not_allowed"
    for wrong in ("-1", "soon", "36501", "0.5"):
        assert (await owner.refused("set_policy", name="retention_days", value=wrong))["code"] == "invalid"
    assert (await owner("set_policy", name="retention_days", value="30"))["receipt"]
    await settle(room)
    assert await texts(owner) == [""]


async def test_the_room_removes_what_is_old_in_steps_and_says_what(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner("pause", target="room", reason="kept: the record of stops")
    await owner("resume", target="room", reason="kept too")
    first = (await owner("post_message", text=f"0 {SECRET}"))["receipt"]
    for number in range(1, 250):
        await owner("post_message", text=f"{number} {SECRET}")
    await owner("set_policy", name="retention_days", value="90")
    await settle(room)
    assert await removals(owner) == []
    room.time.forward(91 * A_DAY)
    await owner("post_message", text="new enough")
    await settle(room, 8)
    entries = [receipt["detail"]["entries"] for receipt in await removals(owner)]
    assert [len(part) for part in entries] == [PAGE, PAGE, 50]
    assert [seq for part in entries for seq in part] == list(range(first, first + 250))
    (said, *_) = [receipt["summary"] for receipt in await removals(owner)]
    assert said == f"The room redacted {PAGE} entries up to {first + PAGE - 1}, older than 90 d (retention_days)"
    assert {receipt["actor"] for receipt in await removals(owner)} == {"room"}
    assert (await texts(owner))[-2:] == ["", "new enough"]
    reasons = [r["detail"]["reason"] for r in (await owner("read_receipts", act="pause"))["receipts"]]
    assert reasons == ["kept: the record of stops"]
    await settle(room)
    assert len(await removals(owner)) == 3, "a healthy room is silent"
    assert verified(room.folder).good


async def test_work_is_kept_until_it_is_old_after_its_end_and_then_goes_whole(room: RunningRoom) -> None:
    owner = await room.owner()
    (holder,) = await room.enroll("holder")
    await owner("set_policy", name="retention_days", value="30")
    await owner("create_task", title=f"A long task {SECRET}", detail=SECRET, review="none")
    fence = (await holder("claim_task", task="T-1"))["fence"]
    await room.later(31 * A_DAY)
    await settle(room)
    assert (await owner("read_board", task="T-1"))["task"]["detail"] == SECRET
    evidence = [{"kind": "link", "ref": SECRET}]
    await holder("complete_task", task="T-1", fence=fence, summary=f"done {SECRET}", evidence=evidence)
    await room.later(29 * A_DAY)
    await settle(room)
    assert SECRET in (await owner("read_board", task="T-1"))["task"]["summary"]
    await room.later(2 * A_DAY)
    await settle(room)
    task = (await owner("read_board", task="T-1"))["task"]
    assert SECRET not in str(task)
    assert SECRET not in str(await owner("read_receipts", subject="T-1"))
    assert verified(room.folder).good


async def test_it_stops_when_it_is_set_back(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner("set_policy", name="retention_days", value="1")
    await owner("post_message", text="stays")
    await owner("set_policy", name="retention_days")
    await room.later(10 * A_DAY)
    await settle(room)
    assert await texts(owner) == ["stays"]


async def test_the_settings_can_ask_for_it_too(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", retention_days=1) as room:
        owner = await room.owner()
        await owner("post_message", text=SECRET)
        await room.later(2 * A_DAY)
        await settle(room)
        assert await texts(owner) == [""]
