"""Completion is a claim; somebody else judges it."""

import json
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.rules.presence import PresenceState
from teamroom.server.rules.reviews import Candidate, choose, is_lost
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

EVIDENCE = [{"kind": "test", "ref": "pytest -q: 212 passed"}, {"kind": "commit", "ref": "abc1234", "value": "tree"}]


async def completed(room: RunningRoom, **task: Any) -> tuple[Member, Member, dict[str, Any]]:
    """@builder completes a task that @olga created."""
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work", **task)
    await builder("claim_task", task="T-1")
    reply = await builder("complete_task", task="T-1", fence=1, summary="it works", evidence=EVIDENCE)
    return owner, builder, reply


@promise("REV1")
async def test_completion_goes_to_an_independent_review(room: RunningRoom) -> None:
    owner, builder, reply = await completed(room)
    assert (reply["state"], reply["reviewer"]) == ("in_review", "olga")
    (wake,) = (await owner("check_in"))["wakes"]
    assert (wake["reason"], wake["subject"]) == ("review", "T-1")
    assert (await builder.refused("review_task", task="T-1", verdict="accept", note="me"))["code"] == "self_review"
    assert (await owner("review_task", task="T-1", verdict="accept", note="checked"))["state"] == "done"
    (wake,) = (await builder("check_in"))["wakes"]
    assert "accepted T-1" in wake["line"]


@promise("REV1")
async def test_a_task_whose_review_is_none_is_done_at_once(room: RunningRoom) -> None:
    _, _, reply = await completed(room, review="none")
    assert (reply["state"], reply["reviewer"]) == ("done", None)


@promise("REV1")
async def test_a_named_reviewer_reviews_and_others_do_not(room: RunningRoom) -> None:
    tester, other = await room.enroll("tester", "other")
    _, _, reply = await completed(room, review="tester")
    assert reply["reviewer"] == "tester"
    assert (await other.refused("review_task", task="T-1", verdict="accept", note="x"))["code"] == "not_allowed"
    await tester("review_task", task="T-1", verdict="accept", note="fine")


@promise("REV1")
async def test_automatic_review_prefers_another_owner_and_then_members_that_never_held_the_task(
    room: RunningRoom,
) -> None:
    (hanna,) = await room.enroll("hanna", kind="human")
    same, theirs = await room.enroll("same"), await room.enroll("theirs", owner="hanna")
    for member in (*same, *theirs, hanna):
        await member("check_in")
    _, _, reply = await completed(room)
    assert reply["reviewer"] == "theirs"


@promise("REV1")
async def test_the_completer_never_reviews_even_as_the_named_reviewer(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work", review="builder")
    await builder("claim_task", task="T-1")
    reply = await builder("complete_task", task="T-1", fence=1, summary="x", evidence=[])
    assert reply["reviewer"] == "olga"


@promise("REV1")
async def test_work_sent_back_goes_to_who_completed_it_with_its_history(room: RunningRoom) -> None:
    owner, builder, _ = await completed(room)
    reply = await owner("review_task", task="T-1", verdict="send_back", note="the tests do not run")
    assert reply["state"] == "claimed"
    (held,) = (await builder("check_in"))["tasks"]
    assert (held["task"], held["fence"], held["state"]) == ("T-1", 1, "claimed")
    task = (await builder("read_board", task="T-1"))["task"]
    assert [e["kind"] for e in task["history"]] == ["sent_back", "completed", "claimed", "created"]
    await builder("complete_task", task="T-1", fence=1, summary="now they do", evidence=EVIDENCE)
    await owner("review_task", task="T-1", verdict="accept", note="they do")


@promise("REV2")
async def test_evidence_is_typed_and_kept(room: RunningRoom) -> None:
    owner, builder, _ = await completed(room)
    task = (await owner("read_board", task="T-1"))["task"]
    assert [(e["kind"], e["ref"]) for e in task["evidence"]] == [(e["kind"], e["ref"]) for e in EVIDENCE]
    assert [e["check"] for e in task["evidence"]] == [
        "pytest -q",
        "git rev-parse --verify --end-of-options 'abc1234^{tree}'",
    ]
    await owner("create_task", title="more")
    await builder("claim_task", task="T-2")
    refusal = await builder.refused(
        "complete_task", task="T-2", fence=1, summary="x", evidence=[{"kind": "belief", "ref": "trust me"}]
    )
    assert refusal["code"] == "invalid"


@promise("LOG4")
async def test_a_repeated_completion_returns_the_first_result(room: RunningRoom) -> None:
    owner, builder, first = await completed(room)
    again = await builder("complete_task", task="T-1", fence=1, summary="it works, again", evidence=EVIDENCE)
    assert (again["state"], again["reviewer"]) == (first["state"], first["reviewer"])
    assert again["replayed"]
    await owner("review_task", task="T-1", verdict="accept", note="ok")
    refusal = await owner.refused("review_task", task="T-1", verdict="accept", note="ok again")
    assert refusal["code"] == "conflict"


@promise("REV1")
async def test_an_unanswered_review_falls_to_the_completers_owner_after_an_hour(room: RunningRoom) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    (theirs,) = await room.enroll("theirs", owner="hanna")
    await room.enroll("tester")
    await owner("create_task", title="work", review="tester")
    await theirs("claim_task", task="T-1")
    await theirs("complete_task", task="T-1", fence=1, summary="x", evidence=[])
    assert (await hanna.refused("review_task", task="T-1", verdict="accept", note="x"))["code"] == "not_allowed"
    room.time.forward(3601)
    await hanna("review_task", task="T-1", verdict="accept", note="nobody else did")


@promise("REV2")
async def test_the_share_of_upheld_claims_is_shown_with_the_name(room: RunningRoom) -> None:
    owner, builder, _ = await completed(room)
    await owner("review_task", task="T-1", verdict="send_back", note="not yet")
    await builder("complete_task", task="T-1", fence=1, summary="now", evidence=EVIDENCE)
    await owner("review_task", task="T-1", verdict="accept", note="yes")
    (member,) = (await owner("who", name="builder"))["members"]
    assert (member["completions_upheld"], member["completions_reviewed"]) == (1, 2)
    _, text, _ = await owner.said("who", name="builder")
    assert "1 of 2 completions upheld" in text


# ------------------------------------------------------------------ a reviewer that does not come


async def two_reviewers(room: RunningRoom, **task: Any) -> tuple[Member, Member, Member, Member]:
    """@builder completes T-1, which goes to @first of another owner; @second of that owner could take it."""
    owner = await room.owner()
    await room.enroll("hanna", kind="human")
    second, first = await room.enroll("second", "first", owner="hanna", mode="live")
    (builder,) = await room.enroll("builder", mode="live")
    for member in (second, first):
        await member("check_in")
        room.time.forward(10)
    await owner("create_task", title="work", **task)
    await builder("claim_task", task="T-1")
    assert (await builder("complete_task", task="T-1", fence=1, summary="x", evidence=EVIDENCE))["reviewer"] == "first"
    return owner, builder, first, second


async def due(member: Member) -> list[str]:
    """The reviews that a check-in says are the member's."""
    return [review["task"] for review in (await member("check_in"))["reviews"]]


LOST = {
    "paused": {"target": "first", "reason": "rest"},
    "its owner paused": {"target": "owner:hanna", "reason": "rest"},
    "killed": {"target": "first", "reason": "rest"},
}


@promise("REV1")
@pytest.mark.parametrize("how", LOST)
async def test_a_reviewer_that_is_paused_or_killed_is_replaced_and_the_next_one_woken(
    room: RunningRoom, how: str
) -> None:
    owner, builder, _, second = await two_reviewers(room)
    await owner("kill" if how == "killed" else "pause", **LOST[how])
    next_ = "olga" if how == "its owner paused" else "second"
    if next_ == "olga":
        await owner("heartbeat")
    assert (await builder("read_board", task="T-1"))["task"]["reviewer"] == next_
    assert (await builder("read_board"))["tasks"][0]["waiting_for"] == f"@{next_}"
    asked = owner if next_ == "olga" else second
    seen = await asked("check_in")
    assert [(w["reason"], w["subject"]) for w in seen["wakes"] if w["reason"] == "review"] == [("review", "T-1")]
    assert [review["task"] for review in seen["reviews"]] == ["T-1"]
    (entry,) = [e for e in room.entries() if e["act"] == "replace_reviewer"]
    assert f"@{next_} reviews T-1 instead of @first" in entry["summary"]
    await asked("review_task", task="T-1", verdict="accept", note="checked")
    assert (await builder("read_board", task="T-1"))["task"]["reviewer"] == next_


@promise("REV1")
async def test_a_reviewer_that_is_gone_is_replaced_at_the_next_read(room: RunningRoom) -> None:
    _, builder, _, second = await two_reviewers(room)
    room.time.forward(1000)
    await second("heartbeat")
    inbox = json.loads((await second.client.read_resource("teamroom://inbox")).contents[1].text)
    assert [(r["task"], r["by"], "first" in r["why"]) for r in inbox["reviews"]] == [("T-1", "builder", True)]
    assert [e for e in room.entries() if e["act"] == "replace_reviewer"] == []
    await builder("check_in")
    assert "review" in [w["reason"] for w in (await second("check_in"))["wakes"]]


@promise("REV1")
async def test_an_available_reviewer_is_kept(room: RunningRoom) -> None:
    """The twin: nobody is replaced who could come, however often somebody looks."""
    owner, builder, first, second = await two_reviewers(room)
    for member in (owner, builder, second, first):
        assert await due(member) == (["T-1"] if member is first else [])
    assert (await second.refused("review_task", task="T-1", verdict="accept", note="x"))["code"] == "not_allowed"
    assert [e for e in room.entries() if e["act"] == "replace_reviewer"] == []
    await first("review_task", task="T-1", verdict="accept", note="x")


@promise("REV1")
async def test_a_pause_of_the_room_reassigns_no_reviews(room: RunningRoom) -> None:
    owner, builder, first, _ = await two_reviewers(room)
    await owner("pause", target="room", reason="looking")
    assert await due(owner) == []
    assert (await owner("read_board"))["tasks"][0]["waiting_for"] == "@first"
    await owner("resume", target="room", reason="go on")
    await builder("check_in")
    assert await due(first) == ["T-1"]


@promise("REV1")
async def test_a_named_reviewer_keeps_the_review_during_a_pause_but_not_after_a_kill(room: RunningRoom) -> None:
    owner, builder, _, second = await two_reviewers(room, review="first")
    await owner("pause", target="first", reason="rest")
    assert await due(second) == []
    assert (await builder("read_board", task="T-1"))["task"]["reviewer"] == "first"
    await owner("kill", target="first", reason="gone")
    assert await due(second) == ["T-1"]


@promise("REV1")
async def test_a_waiting_review_can_be_given_to_another_member(room: RunningRoom) -> None:
    owner, builder, first, second = await two_reviewers(room)
    await owner("update_task", task="T-1", changes={"review": "second"})
    assert await due(second) == ["T-1"]
    assert (await first.refused("review_task", task="T-1", verdict="accept", note="x"))["code"] == "not_allowed"
    room.time.forward(10)
    await second("heartbeat")  # who called last is chosen, and a refused call is one, too
    await owner("update_task", task="T-1", changes={"review": "builder"})
    assert await due(builder) == []
    await second("review_task", task="T-1", verdict="accept", note="checked")


@promise("REV1")
async def test_a_review_that_waited_an_hour_is_shown_to_the_owner_of_the_completer(
    room: RunningRoom,
) -> None:
    owner, builder, first, _ = await two_reviewers(room)
    assert await due(owner) == []
    room.time.forward(3601)
    await first("heartbeat")
    inbox = json.loads((await owner.client.read_resource("teamroom://inbox")).contents[1].text)
    assert [review["task"] for review in inbox["reviews"]] == ["T-1"]
    data, words, _ = await owner.said("check_in", after=(await owner("check_in"))["cursor"])
    assert [review["task"] for review in data["reviews"]] == ["T-1"]
    assert "T-1 by @builder" in words
    assert data["next"] == "read_board task T-1, check its evidence yourself, then review_task."
    assert (await builder("read_board"))["tasks"][0]["waiting_for"] == "@olga"
    await first("review_task", task="T-1", verdict="send_back", note="who was asked first may still answer")


@promise("REV1")
async def test_a_puppet_of_the_same_owner_comes_after_everybody_else(room: RunningRoom) -> None:
    owner, *_ = await two_reviewers(room)
    (puppet,) = await room.enroll("puppet", mode="live")
    await puppet("check_in")
    for lost in ("first", "second"):
        assert (await owner("read_board", task="T-1"))["task"]["reviewer"] == lost
        await owner("pause", target=lost, reason="rest")
    assert (await owner("read_board", task="T-1"))["task"]["reviewer"] == "puppet"


@promise("REV2")
async def test_a_reviewer_sees_how_to_check_the_evidence_and_how_often_its_author_was_upheld(
    room: RunningRoom,
) -> None:
    _, _, first, _ = await two_reviewers(room)
    (wake,) = (await first("check_in"))["wakes"]
    data, words, _ = await first.said("read_board", task=wake["subject"])
    assert data["task"]["upheld"] == "0 of 0"
    assert "completed by @builder (0 of 0 upheld so far)" in words
    for check in ("`pytest -q`", "`git rev-parse --verify --end-of-options 'abc1234^{tree}'`"):
        assert check in words


# ------------------------------------------------------------------ the rule by itself

verdicts: st.SearchStrategy[PresenceState] = st.sampled_from(get_args(PresenceState))
candidates = st.builds(
    Candidate, st.integers(2, 40), st.booleans(), st.booleans(), st.booleans(), verdicts, st.integers(0, 9).map(float)
)
crowds = st.lists(candidates, max_size=8, unique_by=lambda candidate: candidate.member)


@promise("REV1")
@given(crowds)
def test_reviewers_of_another_owner_come_first_then_those_who_never_held_the_task(crowd: list[Candidate]) -> None:
    there = [c for c in crowd if c.state not in ("paused", "killed", "gone", "zombie")]
    chosen = choose(crowd)
    if not there:
        assert chosen is None
        return
    assert chosen in there
    assert chosen.other_owner == any(c.other_owner for c in there)
    equals = [c for c in there if c.other_owner == chosen.other_owner]
    assert chosen.held_it == all(c.held_it for c in equals)


@promise("REV1")
@given(crowds, st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_the_members(crowd: list[Candidate], random: Random) -> None:
    shuffled = crowd.copy()
    random.shuffle(shuffled)
    assert choose(crowd) == choose(shuffled)


@promise("REV1")
@given(verdicts)
def test_a_named_reviewer_is_replaced_only_if_a_chosen_one_would_be_too(verdict: PresenceState) -> None:
    assert not is_lost(verdict, named=True) or is_lost(verdict, named=False)
