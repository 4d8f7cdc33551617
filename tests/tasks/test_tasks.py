"""Tasks: one winner, fences, leases, states, dependencies, and a cap on work in progress."""

import asyncio

import pytest

from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom


@promise("TSK1")
async def test_many_claimers_and_one_winner(room: RunningRoom) -> None:
    owner = await room.owner()
    members = await room.enroll(*(f"m{n}" for n in range(8)))
    await owner("create_task", title="wanted")
    replies = await asyncio.gather(*(m.said("claim_task", task="T-1") for m in members))
    won = [(m, body) for m, (body, _, refused) in zip(members, replies, strict=True) if not refused]
    lost = [body for body, _, refused in replies if refused]
    assert len(won) == 1
    winner, claim = won[0]
    for refusal in lost:
        assert refusal["code"] == "taken"
        assert (refusal["holder"], refusal["lease_until"]) == (winner.name, claim["lease_until"])


@promise("TSK2")
async def test_each_claim_gives_a_higher_fence_and_a_stale_one_is_refused(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="work")
    assert (await builder("claim_task", task="T-1"))["fence"] == 1
    assert (await builder.refused("update_task", task="T-1", fence=7, note="x"))["code"] == "stale_fence"
    await builder("update_task", task="T-1", fence=1, status="released", note="not for me")
    assert (await tester("claim_task", task="T-1"))["fence"] == 2
    refusal = await builder.refused("update_task", task="T-1", fence=1, note="I found it after all")
    assert (refusal["code"], refusal["holder"]) == ("stale_fence", "tester")


@promise("TSK2")
async def test_work_delivered_with_a_stale_fence_is_kept_as_late_evidence(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    room.time.forward(3700)
    await tester("claim_task", task="T-1")
    await builder.refused(
        "complete_task",
        task="T-1",
        fence=1,
        summary="it was the cache",
        evidence=[{"kind": "commit", "ref": "abc123"}],
    )
    task = (await owner("read_board", task="T-1"))["task"]
    (late,) = [e for e in task["history"] if e["kind"] == "late"]
    assert (late["member"], late["text"]) == ("builder", "it was the cache")
    assert late["detail"]["evidence"][0]["ref"] == "abc123"
    assert (task["holder"], task["state"]) == ("tester", "claimed")


@promise("TSK3")
async def test_a_lease_lasts_an_hour_or_three_intervals_and_a_day_for_people(room: RunningRoom) -> None:
    owner = await room.owner()
    live, slow, rare, by_hand = [
        (await room.enroll(f"a-{mode.split(':')[-1]}", mode=mode))[0]
        for mode in ("live", "every:7200", "every:43200", "manual")
    ]
    (person,) = await room.enroll("hanna", kind="human")
    expected = {live: 3600, slow: 21_600, rare: 86_400, by_hand: 86_400, person: 86_400}
    for member, seconds in expected.items():
        task = (await owner("create_task", title=f"for {member.name}"))["task"]
        await member("claim_task", task=task)
        room.time.forward(seconds + 50)
        assert (await owner.refused("claim_task", task=task))["code"] == "taken", "the holder's minute of grace"
        room.time.forward(15)
        assert (await owner("claim_task", task=task))["fence"] == 2
        await owner("update_task", task=task, status="cancelled", note="next")


@promise("TSK3")
async def test_an_overdue_task_keeps_its_holder_and_fence_until_another_member_claims_it(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    room.time.forward(40_000)
    (line,) = (await owner("read_board"))["tasks"]
    assert (line["holder"], line["overdue"]) == ("builder", True)
    await builder("update_task", task="T-1", fence=1, note="sorry, here it is")
    assert (await owner.refused("claim_task", task="T-1"))["code"] == "taken"


@promise("TSK3")
async def test_progress_renews_the_lease_and_a_bare_heartbeat_does_not(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    room.time.forward(3000)
    await builder("update_task", task="T-1", fence=1, note="half of it")
    room.time.forward(3000)
    await builder("heartbeat")
    await builder("heartbeat", task="T-1")
    assert (await owner.refused("claim_task", task="T-1"))["code"] == "taken"
    room.time.forward(700)
    assert (await owner("claim_task", task="T-1"))["fence"] == 2


@promise("TSK3")
async def test_a_new_note_with_busy_until_renews_and_the_same_note_again_does_not(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    assert (await builder("heartbeat", task="T-1", note="training, epoch 1", busy_until=10_000))["receipt"]
    room.time.forward(9_000)
    assert (await builder("heartbeat", task="T-1", note="training, epoch 1", busy_until=10_000))["receipt"] is None
    (member,) = (await owner("who", name="builder"))["members"]
    assert member["presence"] == "working"
    room.time.forward(1_100)
    assert (await owner("claim_task", task="T-1"))["fence"] == 2


@promise("TSK3")
async def test_work_may_be_declared_at_most_four_hours_ahead(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    refusal = await builder.refused("heartbeat", task="T-1", note="a very long run", busy_until=15_000)
    assert refusal["code"] == "invalid"
    assert "14400" in refusal["fix"]


@promise("TSK3")
@pytest.mark.parametrize("how", ["blocked", "offered", "in_review"])
async def test_the_lease_does_not_run_while_a_task_is_blocked_offered_or_in_review(room: RunningRoom, how: str) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await tester("check_in")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    room.time.forward(3000)
    if how == "blocked":
        await builder("update_task", task="T-1", fence=1, status="blocked", blocked_on="@olga", note="its answer")
        room.time.forward(50_000)
        await builder("update_task", task="T-1", fence=1, status="working", note="answered")
    elif how == "offered":
        offer = (await builder("hand_off", task="T-1", fence=1, to="tester", note="you?"))["offer"]
        room.time.forward(800)
        await tester("answer_hand_off", offer=offer, accept=False, reason="busy")
    else:
        await builder("complete_task", task="T-1", fence=1, summary="done", evidence=[])
        room.time.forward(50_000)
        await owner("review_task", task="T-1", verdict="send_back", note="tests are missing")
    assert (await tester.refused("claim_task", task="T-1"))["code"] == "taken"
    room.time.forward(540)
    assert (await tester.refused("claim_task", task="T-1"))["code"] == "taken"


@promise("TSK4")
async def test_a_task_with_unfinished_dependencies_cannot_be_claimed(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="first", review="none")
    await owner("create_task", title="second", depends_on=["T-1"], assign="builder")
    assert (await builder.refused("claim_task", task="T-2"))["waits_for"] == ["T-1"]
    await owner("claim_task", task="T-1")
    cursor = (await builder("check_in"))["cursor"]
    await owner("complete_task", task="T-1", fence=1, summary="done", evidence=[])
    wakes = (await builder("check_in", after=cursor))["wakes"]
    assert [(w["reason"], w["subject"]) for w in wakes] == [("assigned", "T-2")]
    assert (await builder("claim_task"))["task"] == "T-2"


@promise("TSK4")
async def test_tasks_that_would_wait_for_each_other_are_refused(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner("create_task", title="first")
    await owner("create_task", title="second", depends_on=["T-1"])
    await owner("create_task", title="third", depends_on=["T-2"])
    refusal = await owner.refused("update_task", task="T-1", changes={"depends_on": ["T-3"]})
    assert refusal["code"] == "invalid"
    assert (await owner.refused("update_task", task="T-1", changes={"depends_on": ["T-1"]}))["code"] == "invalid"


@promise("TSK4")
async def test_a_blocked_task_names_what_it_waits_for(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    assert (await builder.refused("update_task", task="T-1", fence=1, status="blocked"))["code"] == "invalid"
    await builder("update_task", task="T-1", fence=1, status="blocked", blocked_on="@olga", note="the design")
    (line,) = (await owner("read_board", state="blocked"))["tasks"]
    assert (line["state"], line["waiting_for"]) == ("blocked", "@olga")


@promise("TSK4")
async def test_creator_owner_and_operator_edit_release_and_cancel_without_a_fence(room: RunningRoom) -> None:
    owner = await room.owner()
    creator, builder, other = await room.enroll("creator", "builder", "other")
    (operator,) = await room.enroll("op", role="operator")
    await creator("create_task", title="work")
    await builder("claim_task", task="T-1")
    await creator("update_task", task="T-1", changes={"title": "better work", "priority": 9})
    await operator("update_task", task="T-1", changes={"detail": "look here first"})
    assert (await other.refused("update_task", task="T-1", changes={"title": "mine"}))["code"] == "stale_fence"
    assert (await other.refused("update_task", task="T-1", status="cancelled"))["code"] == "stale_fence"
    await owner("update_task", task="T-1", status="released", note="back")
    task = (await owner("read_board", task="T-1"))["task"]
    assert (task["title"], task["priority"], task["detail"]) == ("better work", 9, "look here first")
    assert (task["state"], task["holder"]) == ("open", None)
    await operator("update_task", task="T-1", status="cancelled", note="not needed")
    assert (await builder.refused("claim_task", task="T-1"))["code"] == "conflict"


@promise("TSK4")
async def test_a_holder_that_is_not_the_creator_may_not_change_the_task(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    refusal = await builder.refused("update_task", task="T-1", fence=1, changes={"title": "easier work"})
    assert refusal["code"] == "not_allowed"


@promise("TSK5")
async def test_work_in_progress_is_capped(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for number in range(6):
        await owner("create_task", title=f"task {number}")
        if number < 5:
            await builder("claim_task", task=f"T-{number + 1}")
    assert (await builder.refused("claim_task", task="T-6"))["code"] == "wip_cap"
    await builder("update_task", task="T-1", fence=1, status="released", note="one less")
    await builder("claim_task", task="T-6")


@promise("HND2")
async def test_a_bare_claim_takes_the_best_task_that_the_member_can_do(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="needs docker", needs=["tool:docker"], priority=9)
    await owner("create_task", title="low")
    await owner("create_task", title="high", priority=5)
    await owner("create_task", title="for somebody else", assign="olga", priority=9)
    await owner("create_task", title="mine", assign="builder", priority=-5)
    assert await claim_next(room, builder) == "T-5"
    assert await claim_next(room, builder) == "T-3"
    assert await claim_next(room, builder) == "T-2"
    assert (await builder.refused("claim_task"))["code"] == "not_found"
    await builder("declare_capabilities", capabilities=["tool:docker"])
    assert await claim_next(room, builder) == "T-1"


async def claim_next(room: RunningRoom, member: Member) -> str:
    """Claim, then touch it, so that the next bare claim is a new one."""
    claim = await member("claim_task")
    await member("update_task", task=claim["task"], fence=claim["fence"], note="begun")
    return str(claim["task"])


@promise("LOG4")
async def test_a_bare_claim_repeated_while_the_last_is_untouched_returns_the_same_task(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="one")
    await owner("create_task", title="two")
    assert (await builder("claim_task"))["task"] == "T-1"
    again = await builder("claim_task")
    assert (again["task"], again["fence"]) == ("T-1", 1)
    assert again["replayed"]
    room.time.forward(61)
    assert (await builder("claim_task"))["task"] == "T-2"


@promise("TSK3")
async def test_a_bare_claim_takes_an_overdue_task_when_nothing_is_open(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="work")
    await builder("claim_task")
    assert (await tester.refused("claim_task"))["code"] == "not_found"
    room.time.forward(3661)
    assert (await tester("claim_task"))["task"] == "T-1"
    (wake,) = (await builder("check_in"))["wakes"]
    assert "claimed T-1 because your lease had expired" in wake["line"]


@promise("HND2")
async def test_a_claim_without_a_capability_is_refused_with_its_name_and_who_has_it(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await tester("declare_capabilities", capabilities=["tool:docker", "repo:acme/api"])
    await owner("create_task", title="work", needs=["tool:docker"])
    refusal = await builder.refused("claim_task", task="T-1")
    assert (refusal["code"], refusal["missing"]) == ("missing_capability", ["tool:docker"])
    assert refusal["who_has"] == {"tool:docker": ["tester"]}
    assert "@tester" in refusal["fix"]


@promise("TSK4")
async def test_the_board_is_read_in_pages_by_state_and_by_word(room: RunningRoom) -> None:
    owner = await room.owner()
    for number in range(60):
        await owner("create_task", title=f"task {number}", detail="100% sure_thing" if number == 42 else None)
    page = await owner("read_board")
    assert (len(page["tasks"]), page["next"]) == (50, "T-50")
    rest = await owner("read_board", after="T-50")
    assert (len(rest["tasks"]), rest["next"]) == (10, None)
    assert [t["task"] for t in (await owner("read_board", query="100% SURE_thing"))["tasks"]] == ["T-43"]
    assert (await owner("read_board", query="1000 sure"))["tasks"] == []
    assert (await owner("read_board", state="done"))["tasks"] == []
    assert len((await owner("read_board", state="all"))["tasks"]) == 50


@promise("TSK4")
async def test_a_member_that_is_assigned_later_is_woken_too(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    task = (await builder("create_task", title="a wall"))["task"]
    await builder("update_task", task=task, changes={"assign": "tester"})
    await builder("update_task", task=task, changes={"assign": "tester", "priority": 3})
    wakes = (await tester("check_in"))["wakes"]
    assert [(wake["reason"], wake["subject"]) for wake in wakes] == [("assigned", task)]
    await builder("update_task", task=task, changes={"assign": ""})
    assert (await tester("claim_task", task=task))["task"] == task
