"""Completion is a claim; somebody else judges it."""

from typing import Any

from tests.rooms import Member, RunningRoom

EVIDENCE = [{"kind": "test", "ref": "pytest -q: 212 passed"}, {"kind": "commit", "ref": "abc1234", "value": "tree"}]


async def completed(room: RunningRoom, **task: Any) -> tuple[Member, Member, dict[str, Any]]:
    """@builder completes a task that @olga created."""
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work", **task)
    await builder("claim_task", task="T-1")
    reply = await builder("complete_task", task="T-1", fence=1, summary="it works", evidence=EVIDENCE)
    return owner, builder, reply


async def test_completion_goes_to_an_independent_review(room: RunningRoom) -> None:
    owner, builder, reply = await completed(room)
    assert (reply["state"], reply["reviewer"]) == ("in_review", "olga")
    (wake,) = (await owner("check_in"))["wakes"]
    assert (wake["reason"], wake["subject"]) == ("review", "T-1")
    assert (await builder.refused("review_task", task="T-1", verdict="accept", note="me"))["code"] == "self_review"
    assert (await owner("review_task", task="T-1", verdict="accept", note="checked"))["state"] == "done"
    (wake,) = (await builder("check_in"))["wakes"]
    assert "accepted T-1" in wake["line"]


async def test_a_review_by_nobody_is_done_at_once(room: RunningRoom) -> None:
    _, _, reply = await completed(room, review="none")
    assert (reply["state"], reply["reviewer"]) == ("done", None)


async def test_a_named_reviewer_reviews_and_others_do_not(room: RunningRoom) -> None:
    tester, other = await room.enroll("tester", "other")
    _, _, reply = await completed(room, review="tester")
    assert reply["reviewer"] == "tester"
    assert (await other.refused("review_task", task="T-1", verdict="accept", note="x"))["code"] == "not_allowed"
    await tester("review_task", task="T-1", verdict="accept", note="fine")


async def test_auto_prefers_another_owner_then_who_never_held_the_task(room: RunningRoom) -> None:
    (hanna,) = await room.enroll("hanna", kind="human")
    same, theirs = await room.enroll("same"), await room.enroll("theirs", owner="hanna")
    for member in (*same, *theirs, hanna):
        await member("check_in")
    _, _, reply = await completed(room)
    assert reply["reviewer"] == "theirs"


async def test_the_completer_never_reviews_even_as_the_named_reviewer(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work", review="builder")
    await builder("claim_task", task="T-1")
    reply = await builder("complete_task", task="T-1", fence=1, summary="x", evidence=[])
    assert reply["reviewer"] == "olga"


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


async def test_a_repeated_completion_returns_what_stands(room: RunningRoom) -> None:
    owner, builder, first = await completed(room)
    again = await builder("complete_task", task="T-1", fence=1, summary="it works, again", evidence=EVIDENCE)
    assert (again["state"], again["reviewer"]) == (first["state"], first["reviewer"])
    assert again["replayed"]
    await owner("review_task", task="T-1", verdict="accept", note="ok")
    refusal = await owner.refused("review_task", task="T-1", verdict="accept", note="ok again")
    assert refusal["code"] == "conflict"


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


async def test_the_share_of_upheld_claims_stands_next_to_the_name(room: RunningRoom) -> None:
    owner, builder, _ = await completed(room)
    await owner("review_task", task="T-1", verdict="send_back", note="not yet")
    await builder("complete_task", task="T-1", fence=1, summary="now", evidence=EVIDENCE)
    await owner("review_task", task="T-1", verdict="accept", note="yes")
    (member,) = (await owner("who", name="builder"))["members"]
    assert (member["completions_upheld"], member["completions_reviewed"]) == (1, 2)
    _, text, _ = await owner.said("who", name="builder")
    assert "1 of 2 completions upheld" in text
