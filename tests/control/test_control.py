"""The switch: pause, resume, kill, at three levels, against whatever is in flight."""

import asyncio
import sqlite3

import pytest
from mcp.shared.exceptions import MCPError

from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom
from tests.support.stopwatch import Stopwatch

STOPPED_WITHIN_SECONDS = 2.0


@promise("CTL2")
async def test_a_paused_member_is_refused_until_it_is_resumed(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    paused = await owner("pause", target="builder", reason="look at the tests first")
    assert (paused["target"], paused["standing"]) == ("builder", "paused")
    refusal = await builder.refused("post_message", text="hello")
    assert refusal["code"] == "paused"
    assert refusal["by"] == "olga"
    assert refusal["reason"] == "look at the tests first"
    assert refusal["retry_after_seconds"] == 60
    resumed = await owner("resume", target="builder", reason="go on")
    assert resumed["standing"] == "active"
    assert (await builder("post_message", text="hello"))["message"] == "M-1"


@promise("CTL1")
@pytest.mark.parametrize("target", ["builder", "owner:olga", "room"])
async def test_a_pause_binds_at_each_of_three_levels(room: RunningRoom, target: str) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("pause", target=target, reason="stop")
    assert (await builder.refused("post_message", text="x"))["code"] == "paused"
    assert (await builder.refused("read_board"))["code"] == "paused"
    assert (await builder.refused("who"))["code"] == "paused"
    await owner("resume", target=target, reason="go")
    await builder("post_message", text="x")


@promise("CTL1")
async def test_the_most_restrictive_level_wins(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("pause", target="room", reason="all stop")
    await owner("pause", target="builder", reason="you too")
    await owner("resume", target="room", reason="all go")
    assert (await builder.refused("post_message", text="x"))["reason"] == "you too"
    await owner("pause", target="owner:olga", reason="mine stop")
    await owner("resume", target="builder", reason="go")
    assert (await builder.refused("post_message", text="x"))["reason"] == "mine stop"


@promise("CTL1")
@pytest.mark.parametrize("target", ["owner:olga", "room"])
async def test_a_pause_of_owner_or_room_binds_agents_and_never_people(room: RunningRoom, target: str) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    await owner("pause", target=target, reason="stop")
    await hanna("post_message", text="I am a person")
    await owner("post_message", text="and so am I")


@promise("CTL1")
async def test_a_pause_of_one_owner_does_not_stop_the_agents_of_another(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("hanna", kind="human")
    (other,) = await room.enroll("other", owner="hanna")
    await owner("pause", target="owner:olga", reason="mine only")
    await other("post_message", text="x")


@promise("CTL7")
async def test_a_timed_pause_ends_automatically(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    reply = await owner("pause", target="builder", reason="cool down", for_seconds=600)
    refusal = await builder.refused("post_message", text="x")
    assert refusal["until"] == reply["until"]
    assert 590 <= refusal["retry_after_seconds"] <= 601
    room.time.forward(601)
    await builder("post_message", text="x")
    assert (await builder("heartbeat"))["standing"] == "active"


@promise("CTL3")
async def test_a_paused_member_may_connect_list_send_heartbeats_and_read_who_it_is(
    room_of_each_era: RunningRoom,
) -> None:
    room = room_of_each_era
    owner = await room.owner()
    await room.enroll("builder")
    await owner("pause", target="builder", reason="stop", for_seconds=60)
    builder = await room.connect("builder")
    assert (await builder.client.list_tools()).tools
    assert (await builder.client.list_resources()).resources
    beat = await builder("heartbeat")
    assert (beat["standing"], beat["by"], beat["reason"]) == ("paused", "olga", "stop")
    assert beat["until"] is not None
    me = await builder.client.read_resource("teamroom://me")
    assert "paused by @olga" in me.contents[0].text
    with pytest.raises(MCPError, match="paused by @olga"):
        await builder.client.read_resource("teamroom://board")


@promise("CTL3")
async def test_a_heartbeat_of_a_paused_member_records_the_call_and_nothing_else(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("create_task", title="work")
    await builder("claim_task")
    await owner("pause", target="builder", reason="stop")
    before = len(room.entries())
    beat = await builder("heartbeat", task="T-1", note="I go on all the same", busy_until=3600)
    assert beat["receipt"] is None
    assert len(room.entries()) == before


@promise("CTL3")
async def test_a_killed_member_gets_401_and_no_invitation_to_sign_in(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    reply = await owner("kill", target="builder", reason="gone wrong")
    assert reply["standing"] == "killed"
    answer = await room.raw(headers={"Authorization": f"Bearer {room.tokens['builder']}"}, json={})
    assert answer.status_code == 401
    assert answer.json()["error"]["data"]["code"] == "killed"
    assert "www-authenticate" not in answer.headers


@promise("CTL3")
async def test_a_revived_member_is_the_same_member_with_a_new_token_and_the_old_token_stays_revoked(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="before")
    old = room.tokens["builder"]
    await owner("kill", target="builder", reason="gone wrong")
    room.tokens["builder"] = (await owner("enroll", name="builder", revive=True))["token"]
    revived = await room.connect("builder")
    await revived("post_message", text="after")
    said = (await owner("read_messages"))["messages"]
    assert [(m["author"], m["text"]) for m in said] == [("builder", "before"), ("builder", "after")]
    answer = await room.raw(headers={"Authorization": f"Bearer {old}"}, json={})
    assert answer.status_code == 401


@promise("CTL4")
@pytest.mark.parametrize("act", ["pause", "kill"])
async def test_a_waiting_call_ends_within_two_seconds(room_of_each_era: RunningRoom, act: str) -> None:
    room = room_of_each_era
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    waiting = asyncio.create_task(builder.refused("wait_for_wake", timeout_seconds=40))
    await room.until_waiting()
    stopwatch = Stopwatch()
    await owner(act, target="builder", reason="stop")
    refusal = await asyncio.wait_for(waiting, BOUND_SECONDS)
    assert stopwatch.seconds < STOPPED_WITHIN_SECONDS
    assert refusal["code"] in ("paused", "killed", "not_allowed")


@promise("CTL5")
async def test_a_pause_holds_wakes_and_delivers_them_on_resume(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("pause", target="builder", reason="stop")
    await owner("post_message", text="@builder first")
    await owner("post_message", text="@builder second")
    assert (await builder("heartbeat"))["pending"]["wakes"] == 2
    await owner("resume", target="builder", reason="go")
    wakes = (await builder("check_in"))["wakes"]
    assert [(w["reason"], w["count"], w["line"].partition(".")[0]) for w in wakes] == [
        ("control", 2, "2 wakes arrived while you were paused: mention from @olga M-1, M-2"),
        ("control", 1, "@olga resumed @builder: “go”"),
    ]


@promise("CTL5")
async def test_a_lease_does_not_run_during_a_pause_at_any_level(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, other = await room.enroll("builder", "other")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    for target in ("builder", "owner:olga", "room"):
        await owner("pause", target=target, reason="stop")
        room.time.forward(1800)
        await owner("resume", target=target, reason="go")
    room.time.forward(3500)
    assert (await other.refused("claim_task", task="T-1"))["code"] == "taken"
    room.time.forward(170)
    assert (await other("claim_task", task="T-1"))["fence"] == 2


@promise("CTL5")
async def test_a_pause_of_the_member_itself_makes_its_tasks_overdue_after_an_hour(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, other = await room.enroll("builder", "other")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    await owner("pause", target="builder", reason="stop")
    room.time.forward(3590)
    assert (await other.refused("claim_task", task="T-1"))["code"] == "taken"
    room.time.forward(80)
    assert (await other("claim_task"))["task"] == "T-1"


@promise("CTL5")
@pytest.mark.parametrize("target", ["owner:olga", "room"])
async def test_a_long_pause_of_owner_or_room_never_makes_a_task_overdue(room: RunningRoom, target: str) -> None:
    owner = await room.owner()
    await room.enroll("hanna", kind="human")
    (builder,) = await room.enroll("builder")
    hanna = await room.connect("hanna")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    await owner("pause", target=target, reason="stop")
    room.time.forward(100_000)
    assert (await hanna.refused("claim_task", task="T-1"))["code"] == "taken"


@promise("CTL5")
@pytest.mark.parametrize("target", ["owner:hanna", "room"])
async def test_the_lease_of_a_person_runs_during_a_pause_that_binds_only_agents(room: RunningRoom, target: str) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    await owner("create_task", title="work")
    until = (await hanna("claim_task", task="T-1"))["lease_until"]
    await owner("pause", target=target, reason="stop")
    room.time.forward(3600)
    assert (await owner("read_board", task="T-1"))["task"]["lease_until"] == until
    room.time.forward(86_400)
    assert (await owner("claim_task", task="T-1"))["fence"] == 2


@promise("CTL5")
async def test_a_kill_reopens_tasks_voids_offers_and_wakes_the_members_that_wait(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester, asker = await room.enroll("builder", "tester", "asker")
    for title in ("held", "given", "taken"):
        await owner("create_task", title=title)
    await builder("claim_task", task="T-1")
    fence = (await builder("claim_task", task="T-2"))["fence"]
    given = await builder("hand_off", task="T-2", fence=fence, to="tester", note="please")
    fence = (await tester("claim_task", task="T-3"))["fence"]
    taken = await tester("hand_off", task="T-3", fence=fence, to="builder", note="please")
    await asker("post_message", text="@builder are you there?")
    await owner("kill", target="builder", reason="gone wrong")
    board = {t["task"]: t for t in (await owner("read_board"))["tasks"]}
    assert (board["T-1"]["state"], board["T-2"]["state"]) == ("open", "open")
    assert (board["T-3"]["state"], board["T-3"]["holder"]) == ("claimed", "tester")
    assert (await tester.refused("answer_hand_off", offer=given["offer"], accept=True))["code"] == "conflict"
    told = (await asker("check_in"))["wakes"]
    assert told[-1]["line"] == "@builder was killed and cannot answer"
    assert [w["subject"] for w in (await tester("check_in"))["wakes"] if w["reason"] == "answer"] == [taken["offer"]]


@promise("CTL6")
async def test_every_first_call_after_a_resume_succeeds(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for turn in range(20):
        await owner("pause", target="builder", reason="stop")
        await owner("resume", target="builder", reason="go")
        await builder("post_message", text=f"turn {turn}")


@promise("CTL1")
async def test_a_resume_reports_what_still_pauses_its_target(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for target in ("builder", "owner:olga", "room"):
        await owner("pause", target=target, reason="stop")
    said = [await owner("resume", target="builder", reason="go") for _ in range(2)]
    for reply in said:
        assert (reply["standing"], reply["note"]) == (
            "paused",
            "still paused with the room and all agents of its owner; resume the room first",
        )
    assert (await owner("resume", target="owner:olga", reason="go"))[
        "note"
    ] == "still paused with the room; resume the room first"
    assert (await builder.refused("post_message", text="x"))["code"] == "paused"
    assert (await owner("resume", target="room", reason="go"))["standing"] == "active"
    await builder("post_message", text="x")


@promise("CTL7")
async def test_no_member_can_resume_itself(room: RunningRoom) -> None:
    owner = await room.owner()
    (operator,) = await room.enroll("operator-1", role="operator", kind="human")
    await owner("pause", target="operator-1", reason="stop")
    assert (await operator.refused("resume", target="operator-1", reason="go"))["code"] == "paused"
    await owner("resume", target="operator-1", reason="go")
    assert (await operator.refused("resume", target="operator-1", reason="go"))["code"] == "not_allowed"


@promise("CTL7")
async def test_an_operator_resumes_what_operators_paused_and_nothing_else(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    (operator,) = await room.enroll("op", role="operator")
    await operator("pause", target="builder", reason="stop")
    await operator("resume", target="builder", reason="go")
    await owner("pause", target="builder", reason="stop")
    assert (await operator.refused("resume", target="builder", reason="go"))["code"] == "not_allowed"


@promise("CTL7")
async def test_an_operator_cannot_shorten_the_pause_of_a_room_owner(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    (operator,) = await room.enroll("op", role="operator")
    await owner("pause", target="builder", reason="for good")
    reply = await operator("pause", target="builder", reason="for a second", for_seconds=1)
    assert (reply["standing"], reply["receipt"]) == ("paused", None)
    room.time.forward(10)
    assert (await builder.refused("post_message", text="x"))["reason"] == "for good"


@promise("CTL7")
async def test_a_watchdog_pauses_and_never_resumes_or_kills(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    (watchdog,) = await room.enroll("dog", role="watchdog")
    await watchdog("pause", target="builder", reason="it loops")
    assert (await builder.refused("post_message", text="x"))["code"] == "paused"
    assert (await watchdog.refused("resume", target="builder", reason="go"))["code"] == "not_allowed"
    assert (await watchdog.refused("kill", target="builder", reason="end"))["code"] == "not_allowed"


@promise("CTL7")
async def test_a_person_controls_their_own_agents_and_no_others(room: RunningRoom) -> None:
    (hanna,) = await room.enroll("hanna", kind="human")
    await room.enroll("mine", owner="hanna")
    await room.enroll("other")
    await hanna("pause", target="mine", reason="stop")
    await hanna("resume", target="mine", reason="go")
    await hanna("pause", target="owner:hanna", reason="stop")
    await hanna("kill", target="mine", reason="end")
    for act in ("pause", "resume", "kill"):
        assert (await hanna.refused(act, target="other", reason="no"))["code"] == "not_allowed"
    assert (await hanna.refused("pause", target="room", reason="no"))["code"] == "not_allowed"


@promise("CTL7")
async def test_an_agent_without_a_role_stops_nobody(room: RunningRoom) -> None:
    builder, _ = await room.enroll("builder", "other")
    for act in ("pause", "resume", "kill"):
        assert (await builder.refused(act, target="other", reason="no"))["code"] == "not_allowed"


@promise("CTL7")
async def test_the_last_room_owner_cannot_be_paused_or_killed(room: RunningRoom) -> None:
    owner = await room.owner()
    (operator,) = await room.enroll("op", role="operator")
    assert (await operator.refused("pause", target="olga", reason="no"))["code"] == "not_allowed"
    assert (await owner.refused("kill", target="olga", reason="no"))["code"] == "not_allowed"
    await room.enroll("second", kind="human", role="owner")
    await operator("pause", target="olga", reason="there is another")


@promise("CTL7")
async def test_only_a_member_can_be_killed(room: RunningRoom) -> None:
    owner = await room.owner()
    assert (await owner.refused("kill", target="room", reason="no"))["code"] == "invalid"
    assert (await owner.refused("kill", target="owner:olga", reason="no"))["code"] == "invalid"
    assert (await owner.refused("kill", target="nobody", reason="no"))["code"] == "not_found"


@promise("CTL8")
@pytest.mark.parametrize("spoil", ["delete from standing", "update standing set target = target + 1000"])
async def test_a_missing_policy_denies(room: RunningRoom, spoil: str) -> None:
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="x")
    with sqlite3.connect(room.room.store.path) as outside:
        outside.execute(f"{spoil} where scope = 'member'")
    outside.close()
    assert (await builder.refused("post_message", text="y"))["code"] == "not_allowed"
    assert (await builder.refused("read_board"))["code"] == "not_allowed"


@promise("CTL1")
async def test_an_outside_change_of_standing_binds_the_very_next_call(room: RunningRoom) -> None:
    """No cache: what stands in the database decides, however it came there."""
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="x")
    with sqlite3.connect(room.room.store.path) as outside:
        outside.execute("update standing set state = 'paused' where scope = 'room'")
    outside.close()
    assert (await builder.refused("post_message", text="y"))["code"] == "paused"
