"""Repairs: at most one of a runtime at a time, whoever finds it first, and one trail of receipts for each."""

import asyncio
from typing import Any

from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

pytestmark = promise("PRS4")

MINUTE = 60.0


async def dogs(room: RunningRoom, *names: str, reach: str = "crashed") -> list[Member]:
    """Watchdogs that say that they reach a runtime."""
    found = await room.enroll(*names, role="watchdog", mode="live")
    for dog in found:
        await dog("declare_capabilities", capabilities=[f"runtime:{reach}"])
    return found


def trail(room: RunningRoom) -> list[tuple[str, str]]:
    """What was done about repairs, as the log has it."""
    acts = ("repair", "claim_task", "update_task", "complete_task")
    return [(entry["act"], entry["subject"]) for entry in room.entries() if entry["act"] in acts]


async def test_two_watchdogs_that_request_a_repair_get_the_same_one(
    room: RunningRoom,
) -> None:
    await room.enroll("crashed", mode="live")
    rex, fido = await dogs(room, "rex", "fido")
    asked = await rex("repair", name="crashed", found="its process is gone")
    assert (asked["state"], asked["holder"], asked["released"]) == ("open", None, False)
    again = await fido("repair", name="crashed", found="its process is gone")
    assert (again["task"], again["receipt"]) == (asked["task"], None)
    assert [w["reason"] for w in (await fido("check_in"))["wakes"]] == ["repair"]
    assert (await rex("check_in"))["wakes"] == [], "who asks is told by the reply"
    fence = (await rex("claim_task", task=asked["task"]))["fence"]
    assert (await fido("repair", name="crashed"))["holder"] == "rex"
    await rex("update_task", task=asked["task"], fence=fence, status="working", note="restart 1 of 3")
    await room.later(MINUTE)
    assert [round(ago) for ago in (await fido("repair", name="crashed"))["tried_seconds_ago"]] == [60]
    done = await rex("complete_task", task=asked["task"], fence=fence, summary="it acts again", evidence=[])
    assert done["state"] == "done"
    found = await fido("repair", name="crashed")
    assert (found["task"], len(found["tried_seconds_ago"])) == (None, 1)
    task = asked["task"]
    assert trail(room) == [("repair", "@crashed"), ("claim_task", task), ("update_task", task), ("complete_task", task)]


async def test_a_repair_that_a_watchdog_requests_equals_one_that_the_room_requests(room: RunningRoom) -> None:
    (crashed,) = await room.enroll("crashed", mode="live")
    (rex,) = await dogs(room, "rex")
    await crashed("check_in")
    task = (await rex("repair", name="crashed", found="its process is gone"))["task"]
    for _ in range(16):
        await rex("heartbeat")
        await room.later(MINUTE)
    assert (await rex("who", name="crashed"))["members"][0]["presence"] == "gone"
    assert [line["task"] for line in (await rex("read_board"))["tasks"]] == [task]
    await crashed("heartbeat")
    assert (await rex("read_board", task=task))["task"]["state"] == "cancelled"
    assert (await rex("repair", name="crashed"))["task"] is None


async def test_a_repair_is_requested_by_a_watchdog_of_the_runtime_and_only_for_active_agents(room: RunningRoom) -> None:
    owner = await room.owner()
    (member,) = await room.enroll("crashed", mode="live")
    (rex,) = await dogs(room, "rex", reach="another")

    async def refused(asker: Member, name: str) -> str:
        return str((await asker.refused("repair", name=name, found="it is dead"))["code"])

    assert await refused(member, "crashed") == "not_allowed"
    assert await refused(rex, "crashed") == "missing_capability"
    assert await refused(rex, "nobody") == "not_found"
    assert await refused(owner, "crashed") == "conflict", "no watchdog reaches it"
    assert await refused(owner, "olga") == "invalid"
    await rex("declare_capabilities", capabilities=["runtime:crashed"])
    await owner("pause", target="crashed", reason="lunch")
    assert await refused(rex, "crashed") == "conflict"
    await owner("resume", target="crashed", reason="back")
    assert (await owner("repair", name="crashed", found="it is dead"))["task"] is not None
    assert [w["from"] for w in (await rex("check_in"))["wakes"]] == ["olga"]


async def test_a_member_that_only_declares_a_runtime_cannot_block_its_repair(room: RunningRoom) -> None:
    _, mallory = await room.enroll("crashed", "mallory", mode="live")
    (rex,) = await dogs(room, "rex")
    await mallory("declare_capabilities", capabilities=["runtime:crashed"])
    task = (await rex("repair", name="crashed", found="its process is gone"))["task"]
    assert (await mallory.refused("claim_task", task=task))["code"] == "not_allowed"
    assert (await mallory.refused("claim_task"))["code"] == "not_found", "nor is it the best task for it"
    await rex("claim_task", task=task)


async def test_a_repair_that_was_given_up_stays_open_until_the_member_is_healthy(room: RunningRoom) -> None:
    (crashed,) = await room.enroll("crashed", mode="live")
    rex, fido = await dogs(room, "rex", "fido")
    await crashed("check_in")
    task = (await rex("repair", name="crashed", found="its process is gone"))["task"]
    fence = (await rex("claim_task", task=task))["fence"]
    await rex("update_task", task=task, fence=fence, status="released", note="three restarts, no sign of it")
    for dog in (rex, fido):
        found = await dog("repair", name="crashed", found="its process is gone")
        assert (found["task"], found["released"], found["receipt"]) == (task, True, None)
    await room.later(MINUTE)
    assert round((await fido("repair", name="crashed"))["given_up_seconds_ago"]) == 60
    await crashed("heartbeat")
    await room.later(16 * MINUTE)
    await crashed("heartbeat")
    found = await fido("repair", name="crashed")
    assert (found["task"], round(found["given_up_seconds_ago"])) == (None, 17 * 60)


async def test_a_repair_that_was_given_up_is_made_again_only_when_a_person_requests_it(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    await room.enroll("crashed", mode="live")
    rex, fido = await dogs(room, "rex", "fido")
    task = (await rex("repair", name="crashed", found="its process is gone"))["task"]

    async def give_up() -> None:
        fence = (await rex("claim_task", task=task))["fence"]
        await rex("update_task", task=task, fence=fence, status="released", note="no sign of it")

    await give_up()
    again = await fido("repair", name="crashed", found="its process is gone")
    assert (again["receipt"], again["released"], again["ordered"]) == (None, True, False)
    seen = (await rex("check_in"))["cursor"]
    asked = await owner("repair", name="crashed", found="its disk is mended")
    assert (asked["task"], asked["released"], asked["ordered"]) == (task, False, True)
    assert asked["receipt"] is not None
    line = f"{task}, the repair of @crashed, was ordered: “its disk is mended”"
    assert [(w["reason"], w["line"]) for w in (await rex("check_in", after=seen))["wakes"]] == [("repair", line)]
    newest = (await owner("read_board", task=task))["task"]["history"][0]
    assert (newest["kind"], newest["member"], newest["text"]) == ("ordered", "olga", "its disk is mended")
    assert (await owner("repair", name="crashed", found="again"))["receipt"] is None, "it is ordered already"
    await give_up()
    found = await rex("repair", name="crashed")
    assert (found["released"], found["ordered"]) == (True, False)


async def test_the_repairs_of_a_gone_watchdog_are_reopened_and_others_are_woken(room: RunningRoom) -> None:
    await room.enroll("crashed", mode="live")
    rex, fido = await dogs(room, "rex", "fido")
    task = (await rex("repair", name="crashed", found="its process is gone"))["task"]
    await rex("claim_task", task=task)
    seen: dict[str, Any] = await fido("check_in")
    for _ in range(14):
        await fido("heartbeat")
        await room.later(MINUTE)
    assert (await fido.refused("claim_task", task=task))["code"] == "taken"
    for _ in range(2):
        await fido("heartbeat")
        await room.later(MINUTE)
    told = (await fido("check_in", after=seen["cursor"]))["wakes"]
    assert [(w["reason"], w["subject"]) for w in told] == [("repair", task)]
    assert (await fido("repair", name="crashed"))["released"] is False
    await fido("claim_task", task=task)


async def test_the_repairs_of_a_killed_watchdog_are_reopened_and_others_are_woken(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("crashed", "over", mode="live")
    rex, fido = await dogs(room, "rex", "fido")
    for dog in (rex, fido):
        await dog("declare_capabilities", capabilities=["runtime:crashed", "runtime:over"])
    task = (await rex("repair", name="crashed", found="its process is gone"))["task"]
    other = (await rex("repair", name="over", found="its process is gone"))["task"]
    for name in (task, other):
        await rex("claim_task", task=name)
    await owner("kill", target="over", reason="nobody needs it")
    seen = await fido("check_in")
    await owner("kill", target="rex", reason="it restarts what is well")
    told = (await fido("check_in", after=seen["cursor"]))["wakes"]
    assert [(w["reason"], w["subject"], w["line"]) for w in told] == [
        ("repair", task, f"{task}, the repair of @crashed, is open again, because @rex was killed")
    ]
    assert (await fido("repair", name="crashed"))["released"] is False
    await fido("claim_task", task=task)
    gone = (await fido("read_board", task=other))["task"]
    assert gone["state"] == "cancelled", "of who was killed there is nothing to repair"


async def test_the_repair_of_a_killed_watchdog_by_itself_is_cancelled_once(room: RunningRoom) -> None:
    owner = await room.owner()
    (rex,) = await dogs(room, "rex")
    await rex("declare_capabilities", capabilities=["runtime:rex"])
    task = (await rex("repair", name="rex", found="its port is closed"))["task"]
    await rex("claim_task", task=task)
    await owner("kill", target="rex", reason="it ran wild")
    kinds = [entry["kind"] for entry in (await owner("read_board", task=task))["task"]["history"]]
    assert kinds.count("cancelled") == 1


async def test_a_kill_cancels_the_repair_of_its_member_unless_a_watchdog_works_on_it(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("open", "blocked", "worked_on", mode="live")
    (rex,) = await room.enroll("rex", role="watchdog", mode="live")
    names = ("open", "blocked", "worked_on")
    await rex("declare_capabilities", capabilities=[f"runtime:{name}" for name in names])
    tasks = {name: (await rex("repair", name=name, found="its process is gone"))["task"] for name in names}
    await rex("claim_task", task=tasks["blocked"])
    await rex(
        "update_task", task=tasks["blocked"], fence=1, status="blocked", blocked_on="@blocked", note="it is paused"
    )
    await rex("claim_task", task=tasks["worked_on"])
    for name in names:
        await owner("kill", target=name, reason="it ran wild")
    states = {name: (await rex("read_board", task=task))["task"]["state"] for name, task in tasks.items()}
    assert states == {"open": "cancelled", "blocked": "cancelled", "worked_on": "claimed"}
    why = (await rex("read_board", task=tasks["open"]))["task"]["history"][0]
    assert (why["kind"], why["text"]) == ("cancelled", "@open was killed")
    done = await rex("complete_task", task=tasks["worked_on"], fence=1, summary="nothing to repair", evidence=[])
    assert done["state"] == "done"


async def test_the_roster_shows_which_members_listen(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "member", mode="live")

    async def listening() -> bool:
        return bool((await asker("who", name="member"))["members"][0]["listening"])

    await member("check_in")
    assert not await listening()
    waits = asyncio.create_task(member("wait_for_wake"))
    await room.until_waiting()
    assert await listening()
    await asker("post_message", text="hello", to=["member"])
    await waits
    assert await listening(), "it was there a moment ago"
    room.time.forward(30)
    assert not await listening()
