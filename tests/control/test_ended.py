"""What only a member that has ended could do is free, or waits for a person: after a kill, and without a token."""

from typing import Any

import pytest

from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

pytestmark = promise("TSK6")

HOUR = 3600.0

LENGTHS = {"kill": 0.0, "revoke": HOUR + 1, "expire": 2 * HOUR + 1}
"""How a member ends, and how long after that its work is free."""


@pytest.fixture(params=list(LENGTHS))
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def end(room: RunningRoom, how: str, name: str) -> None:
    owner = await room.owner()
    if how == "kill":
        await owner("kill", target=name, reason="it ran wild")
        return
    if how == "revoke":
        await owner("revoke", name=name)
    await room.later(LENGTHS[how] - 10)
    assert (await owner("read_board", task="T-1"))["task"]["assigned"] == name, "it may still get a new token"
    await room.later(10)


async def enroll_for(room: RunningRoom, how: str, *names: str, **options: Any) -> list[Member]:
    more = {"expires_seconds": HOUR} if how == "expire" else {}
    return await room.enroll(*names, **options, **more)


async def subjects(member: Member) -> dict[str, str]:
    return {wake["subject"]: wake["line"] for wake in (await member("check_in"))["wakes"]}


async def test_everything_that_only_an_ended_member_could_do_is_free_or_goes_to_somebody_else(
    room: RunningRoom, how: str
) -> None:
    owner = await room.owner()
    alpha, gamma = await room.enroll("alpha", "gamma")
    (beta,) = await enroll_for(room, how, "beta")
    await owner("create_task", title="assigned", assign="beta")
    await owner("create_task", title="held")
    held = await beta("claim_task", task="T-2")
    await gamma("create_task", title="offered")
    offered = await gamma("claim_task", task="T-3")
    await owner("create_task", title="reviewed", review="beta")
    reviewed = await alpha("claim_task", task="T-4")
    await alpha("complete_task", task="T-4", fence=reviewed["fence"], summary="done", evidence=[])
    await gamma("create_task", title="blocked")
    blocked = await gamma("claim_task", task="T-5")
    await gamma(
        "update_task", task="T-5", fence=blocked["fence"], status="blocked", blocked_on="@Beta", note="the schema"
    )
    await alpha("create_task", title="given back, then reassigned")
    edited = await gamma("claim_task", task="T-6")
    await alpha("update_task", task="T-6", changes={"assign": "beta"})
    ask = (await alpha("post_message", text="which port?", to=["beta"], kind="ask"))["message"]
    seen = (await beta("check_in"))["cursor"]
    await beta("check_in", after=seen)
    unseen = (await gamma("post_message", text="and which host?", to=["beta"], kind="ask"))["message"]
    await gamma("hand_off", task="T-3", fence=offered["fence"], to="beta", note="yours?")
    for member in (alpha, gamma, owner):
        await member("check_in", after=(await member("check_in"))["cursor"])

    await end(room, how, "beta")
    await room.later(0)  # the room settles more than one page later

    for task in ("T-1", "T-2"):
        assert (await alpha("claim_task", task=task))["task"] == task
    assert held["fence"] < (await owner("read_board", task="T-2"))["task"]["fence"]
    board = {task: (await owner("read_board", task=task))["task"] for task in ("T-3", "T-4", "T-5", "T-6")}
    assert (board["T-3"]["state"], board["T-3"]["holder"]) in (("claimed", "gamma"), ("open", None))
    assert board["T-4"]["reviewer"] in ("gamma", "olga")
    assert (board["T-5"]["state"], board["T-5"]["assigned"]) == ("claimed", None)
    assert board["T-6"]["assigned"] is None
    assert edited["task"] == "T-6"
    woken = await subjects(alpha)
    assert "beta" in woken[ask]
    woken = await subjects(gamma)
    assert "T-5" in woken
    assert {"@beta", unseen} & set(woken)
    woken = await subjects(owner)
    assert "T-1" in woken
    assert how == "kill" or "--rotate" in woken["@beta"]


async def test_an_ended_member_gets_nothing_new_and_the_refusal_names_living_members(
    room: RunningRoom, how: str
) -> None:
    owner = await room.owner()
    alpha, _ = await room.enroll("alpha", "betas")
    await enroll_for(room, how, "beta")
    await owner("create_task", title="assigned", assign="beta")
    await owner("create_task", title="mine")
    mine = await alpha("claim_task", task="T-2")
    await end(room, how, "beta")
    for tool, arguments in {
        "create_task": {"title": "more", "assign": "beta"},
        "update_task": {"task": "T-1", "changes": {"assign": "beta"}},
        "hand_off": {"task": "T-2", "fence": mine["fence"], "to": "beta", "note": "yours?"},
    }.items():
        caller = alpha if tool == "hand_off" else owner
        refusal = await caller.refused(tool, **arguments)
        assert refusal["code"] == "not_allowed", tool
        assert ("was killed by @olga" if how == "kill" else "no valid token") in refusal["why"]
        assert refusal["living"][0] == "betas", "the nearest name first"
        assert "@betas" in refusal["fix"]
    for tool, arguments in {
        "create_task": {"title": "more", "review": "beta"},
        "update_task": {"task": "T-1", "changes": {"review": "beta"}},
    }.items():
        assert (await owner.refused(tool, **arguments))["living"][0] == "betas", tool
    posted = await alpha("post_message", text="are you there?", to=["beta"], kind="ask")
    [forecast] = posted["forecast"]
    assert (forecast["expected_seconds"], forecast["presence"]) == (None, "killed" if how == "kill" else "gone")
    await room.later(24 * HOUR)
    assert not [entry for entry in room.entries() if entry["act"] == "remind" and entry["subject"] == posted["message"]]


async def test_a_member_that_gets_a_token_in_time_keeps_its_work(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("beta")
    await owner("create_task", title="assigned", assign="beta")
    await owner("revoke", name="beta")
    await room.later(HOUR / 2)
    await owner("enroll", name="beta")
    await room.later(HOUR)
    assert (await owner("read_board", task="T-1"))["task"]["assigned"] == "beta"


async def test_the_open_repair_of_an_ended_watchdog_goes_to_a_person(room: RunningRoom) -> None:
    owner = await room.owner()
    (dog,) = await room.enroll("rex", role="watchdog")
    await room.enroll("lost")
    await dog("declare_capabilities", capabilities=["runtime:lost"])
    task = (await owner("repair", name="lost", found="it hangs"))["task"]
    await end(room, "kill", "rex")
    woken = await subjects(owner)
    assert "No watchdog" in woken[task]
