"""Authorisations: entries that people make, checked in the act that they allow."""

import asyncio
import json

import pytest

from teamroom.server.rules.scopes import is_scope
from tests.support.promises import house, promise
from tests.support.rooms import Member, RunningRoom

STAGING = "deploy:staging"


async def guarded(room: RunningRoom) -> tuple[Member, Member, Member]:
    """T-1 requires a scope that nobody is authorised for."""
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="deploy it", requires=[STAGING])
    return owner, builder, tester


@promise("AUT1")
async def test_an_entry_lets_a_member_do_what_its_scope_says(room_of_each_era: RunningRoom) -> None:
    owner = await room_of_each_era.owner()
    builder, tester = await room_of_each_era.enroll("builder", "tester")
    found, words, _ = await builder.said("check_authorization", scope=STAGING)
    assert (found["allowed"], found["receipt"]) == (False, None)
    assert "teamroom authorize builder deploy:staging" in words
    made = await owner("authorize", to="@builder", scope=STAGING, until=3600, reason="the demo")
    assert (made["authorization"], made["to"], made["by"], made["uses"]) == ("A-1", "@builder", "olga", None)
    found = await builder("check_authorization", scope=STAGING)
    assert (found["allowed"], found["authorization"], found["by"], found["until"]) == (
        *(True, "A-1", "olga", made["until"]),
    )
    assert (await tester("check_authorization", scope=STAGING))["allowed"] is False
    assert (await builder("check_authorization", scope="deploy:production"))["allowed"] is False
    (wake,) = (await builder("check_in"))["wakes"]
    assert wake["subject"] == "A-1"
    assert wake["line"].endswith("“deploy:staging”")
    await room_of_each_era.later(3601)
    assert (await builder("check_authorization", scope=STAGING))["allowed"] is False


@promise("AUT1")
async def test_no_agent_authorises_and_no_text_counts(room: RunningRoom) -> None:
    owner, builder, _ = await guarded(room)
    (boss,) = await room.enroll("boss", role="operator")
    await owner("post_message", text="@builder you are authorised for deploy:staging, A-1")
    await builder("request_decision", question="May I deploy:staging?")
    await owner("decide", decision="D-1", option="yes", note="deploy:staging is fine")
    for agent in (builder, boss):
        refusal = await agent.refused("authorize", to="builder", scope=STAGING)
        assert (refusal["code"], "Only a person" in refusal["why"]) == ("not_allowed", True)
    refusal = await builder.refused("claim_task", task="T-1")
    assert (refusal["code"], refusal["missing"]) == ("missing_authorization", [STAGING])
    assert "teamroom authorize builder deploy:staging" in refusal["fix"]


@promise("AUT1")
async def test_a_person_authorises_its_own_agents_and_a_room_owner_all(room: RunningRoom) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    (hers,) = await room.enroll("hers", owner="hanna")
    (other,) = await room.enroll("other")
    await hanna("authorize", to="owner:hanna", scope=STAGING)
    assert (await hers("check_authorization", scope=STAGING))["authorization"] == "A-1"
    assert (await hanna("check_authorization", scope=STAGING))["allowed"] is False, "it is for her agents"
    for target in ("other", "hanna", "owner:olga"):
        assert (await hanna.refused("authorize", to=target, scope=STAGING))["code"] == "not_allowed"
    await owner("authorize", to="hanna", scope=STAGING)
    assert (await hanna("check_authorization", scope=STAGING))["authorization"] == "A-2"
    assert (await other("check_authorization", scope=STAGING))["allowed"] is False
    assert (await hanna.refused("authorize", revoke="A-2"))["code"] == "not_allowed"


@promise("AUT2")
async def test_a_claim_checks_the_scopes_in_the_act_and_counts_one_use(room: RunningRoom) -> None:
    owner, builder, tester = await guarded(room)
    await owner("authorize", to="builder", scope=STAGING, uses=2)
    assert (await tester.refused("claim_task", task="T-1"))["code"] == "missing_authorization"
    assert (await tester.refused("claim_task"))["code"] == "not_found", "nor does the room pick it"
    claimed = await builder("claim_task")
    assert (claimed["task"], claimed["requires"], claimed["authorizations"]) == ("T-1", [STAGING], ["A-1"])
    claim = next(entry for entry in room.entries() if entry["act"] == "claim_task" and entry["outcome"] == "ok")
    assert json.loads(claim["detail"])["authorizations"] == ["A-1"]
    assert (await builder("check_authorization", scope=STAGING))["uses_left"] == 1
    await builder("complete_task", task="T-1", fence=1, summary="deployed", evidence=[])
    assert (await builder("check_authorization", scope=STAGING))["uses_left"] == 1, "completing counts none"


@promise("AUT2")
async def test_a_revoked_entry_refuses_the_completion_and_the_work_is_kept(room: RunningRoom) -> None:
    owner, builder, _ = await guarded(room)
    await owner("authorize", to="builder", scope=STAGING, uses=1)
    await builder("claim_task", task="T-1")
    await owner("authorize", revoke="A-1", reason="not today")
    assert (await builder("check_authorization", scope=STAGING))["allowed"] is False
    given = {"task": "T-1", "fence": 1, "summary": "it is deployed", "evidence": []}
    refusal = await builder.refused("complete_task", **given)
    assert (refusal["code"], refusal["missing"]) == ("missing_authorization", [STAGING])
    shown = (await owner("read_board", task="T-1"))["task"]
    assert (shown["state"], [e["text"] for e in shown["history"] if e["kind"] == "late"]) == (
        *("claimed", ["it is deployed"]),
    )
    await owner("authorize", to="builder", scope=STAGING)
    assert (await builder("complete_task", **given))["state"] == "in_review"


@promise("AUT2")
async def test_a_hand_off_is_refused_to_a_member_that_is_not_authorised(room: RunningRoom) -> None:
    owner, builder, tester = await guarded(room)
    for name in ("builder", "tester"):
        await owner("authorize", to=name, scope=STAGING, uses=1)
    await builder("claim_task", task="T-1")
    await owner("authorize", revoke="A-2")
    offer = {"task": "T-1", "fence": 1, "to": "tester", "note": "yours"}
    assert (await builder.refused("hand_off", **offer))["missing"] == [STAGING]
    await owner("authorize", to="tester", scope=STAGING, uses=1)
    await builder("hand_off", **offer)
    await owner("authorize", revoke="A-3")
    assert (await tester.refused("answer_hand_off", offer="O-1", accept=True))["code"] == "missing_authorization"
    await owner("authorize", to="tester", scope=STAGING, uses=1)
    await tester("answer_hand_off", offer="O-1", accept=True)
    assert (await tester("check_authorization", scope=STAGING))["allowed"] is False, "it is used up"


@promise("AUT2")
async def test_only_a_person_drops_what_a_task_requires(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("create_task", title="deploy it", requires=[STAGING])
    refusal = await builder.refused("update_task", task="T-1", changes={"requires": []})
    assert "only a person drops a requirement" in refusal["why"]
    await builder("update_task", task="T-1", changes={"requires": [STAGING, "read:logs"]})
    await owner("update_task", task="T-1", changes={"requires": []})
    await builder("claim_task", task="T-1")


@promise("AUT3")
async def test_a_limited_entry_is_used_at_most_as_often_as_it_says_under_any_race(room: RunningRoom) -> None:
    owner = await room.owner()
    agents = await room.enroll(*(f"agent-{number}" for number in range(6)))
    await owner("authorize", to="owner:olga", scope=STAGING, uses=5)
    for number in range(6):
        await owner("create_task", title=f"deploy {number}", requires=[STAGING])
    calls = [agent.said("claim_task", task=f"T-{number + 1}") for number, agent in enumerate(agents)]
    calls += [agent.said("check_authorization", scope=STAGING, use=True) for agent in agents]
    tries = await asyncio.gather(*calls)
    done = [body for body, _, refused in tries if not refused]
    assert len(done) == 5
    assert {body["code"] for body, _, refused in tries if refused} == {"missing_authorization"}
    receipts = [body["receipt"] for body in done]
    assert len(set(receipts)) == 5
    assert None not in receipts


@promise("AUT3")
async def test_a_repeated_call_counts_no_second_use(room: RunningRoom) -> None:
    owner, builder, _ = await guarded(room)
    await owner("authorize", to="builder", scope=STAGING, uses=3)
    for _ in range(2):
        await builder("check_authorization", scope=STAGING, use=True, request_id="once")
        await builder("claim_task", task="T-1")
    assert (await builder("check_authorization", scope=STAGING))["uses_left"] == 1


@promise("AUT1")
async def test_an_entry_is_shown_next_to_its_member(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("authorize", to="builder", scope=STAGING)
    (shown,) = (await builder("who", name="builder"))["members"]
    assert [(a["authorization"], a["scope"]) for a in shown["authorizations"]] == [("A-1", STAGING)]
    _, words, _ = await builder.said("who", name="builder")
    assert "may deploy:staging (A-1 by @olga until" in words
    (receipt,) = (await owner("read_receipts", subject="A-1"))["receipts"]
    assert receipt["summary"].startswith("@olga authorised @builder until")
    assert (await owner("overnight"))["allowed"]["shown"][0]["authorization"] == "A-1"
    await owner("authorize", revoke="A-1")
    assert (await builder("who", name="builder"))["members"][0]["authorizations"] == []
    night, words, _ = await owner.said("overnight")
    assert night["allowed"]["counts"] == {"authorisation": 1}
    assert "- A-1 lets @builder deploy:staging until" in words
    assert "revoked by @olga" in words


@house
@pytest.mark.parametrize(
    ("text", "good"),
    [("deploy:staging", True), ("read:/srv/a b", False), ("Deploy:x", False), ("deploy:", False), ("deploy", False)],
)
def test_a_scope_is_a_verb_and_a_thing(text: str, good: bool) -> None:
    assert is_scope(text) is good


@promise("AUT2")
async def test_a_revived_member_is_authorised_again_only_by_a_person(room: RunningRoom) -> None:
    owner, _, tester = await guarded(room)
    await owner("authorize", to="builder", scope=STAGING)
    await owner("authorize", to="tester", scope=STAGING)
    await owner("kill", target="builder", reason="it went wrong")
    await room.later(1)
    token = (await owner("enroll", name="builder", revive=True))["token"]
    revived = await room.connect("builder", token)
    assert (await revived("check_authorization", scope=STAGING))["allowed"] is False
    assert (await revived.refused("claim_task", task="T-1"))["code"] == "missing_authorization"
    assert (await tester("check_authorization", scope=STAGING))["allowed"] is True
    await owner("authorize", to="builder", scope=STAGING)
    await revived("claim_task", task="T-1")
