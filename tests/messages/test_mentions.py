"""Names as people write them, on every path that takes one: in any case, and with a word about those of nobody."""

from typing import Any

import pytest
from mcp.types import PromptReference
from pydantic import ValidationError

from teamroom.tools.serve import TOOLS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom

pytestmark = promise("HND4")


async def test_a_mention_reaches_its_member_in_any_case_and_script(room_of_each_era: RunningRoom) -> None:
    builder, _ = await room_of_each_era.enroll("Builder", "tester")
    olga = await room_of_each_era.owner()
    for text in ("@builder look", "\u8bf7@BUILDER\u770b\u4e00\u4e0b", "\uff20\uff42uilder\u3055\u3093"):
        reply = await olga("post_message", text=text)
        assert [to["to"] for to in reply["forecast"]] == ["Builder"]
        assert "not_reached" not in reply
    assert [wake["reason"] for wake in (await builder("check_in"))["wakes"]] == ["mention"] * 3
    for text in ("`@builder`", "> @builder\nok", "npm i @builder/core", "\u043f\u043e@builder.ru"):
        reply = await olga("post_message", text=text)
        assert (reply["forecast"], "not_reached" in reply) == ([], False)


NAMES: dict[str, tuple[dict[str, Any], ...]] = {
    "post_message.to": ({"text": "x", "to": ["NAME"]},),
    "read_messages.mentions": ({"mentions": "NAME"},),
    "create_task.assign": ({"title": "x", "assign": "NAME"},),
    "create_task.review": ({"title": "x", "review": "NAME"},),
    "update_task.changes.assign": ({"task": "T-1", "changes": {"assign": "NAME"}},),
    "update_task.changes.review": ({"task": "T-1", "changes": {"review": "NAME"}},),
    "hand_off.to": ({"task": "T-1", "fence": 1, "to": "NAME", "note": "x"},),
    "request_decision.to": ({"question": "x?", "to": ["OWNER"]},),
    "authorize.to": ({"to": "NAME", "scope": "read:x"}, {"to": "Owner:OWNER", "scope": "read:x"}),
    "require_approval.to": ({"to": "NAME", "match": "Bash"}, {"to": "Owner:OWNER", "match": "Bash(x*)"}),
    "who.name": ({"name": "NAME"},),
    "declare_capabilities.attest_for": ({"attest_for": "NAME", "capabilities": ["tool:docker"]},),
    "read_receipts.actor": ({"actor": "NAME"},),
    "repair.name": ({"name": "NAME"},),
    "pause.target": ({"target": "NAME", "reason": "x"}, {"target": "owner:OWNER", "reason": "x"}),
    "resume.target": ({"target": "NAME", "reason": "x"}, {"target": "Owner:OWNER", "reason": "x"}),
    "enroll.owner": ({"name": "other", "owner": "OWNER"},),
    "enroll.name": ({"name": "NAME", "rotate": True},),
    "revoke.name": ({"name": "NAME"},),
    "notify.name": ({"name": "OWNER"},),
    "sign_in.name": ({"name": "OWNER"},),
    "kill.target": ({"target": "NAME", "reason": "x"},),
}
"""Calls for each argument that takes the name of a member, in an order in which they can be made."""

TAKEN = {"set_policy.name", "read_receipts.act", "who.after", "enroll.rename"}
"""Arguments of the same type that take something else."""


def test_every_argument_that_takes_a_name_is_tried() -> None:
    found = {
        f"{tool.name}.{name}" for tool in TOOLS.values() for name in tool.arguments.model_fields if _is_name(tool, name)
    }
    assert found - TAKEN == {name for name in NAMES if "changes" not in name}


def _is_name(tool: Any, name: str) -> bool:
    """Whether an argument drops the sign of a name."""
    for value in ("@tester", ["@tester"]):
        try:
            tool.arguments.model_validate({name: value})
        except ValidationError as error:
            if any(fault["loc"][:1] == (name,) for fault in error.errors()):
                continue
        read = tool.arguments.__pydantic_validator__.validate_assignment(tool.arguments.model_construct(), name, value)
        return getattr(read, name) in ("tester", ["tester"])
    return False


def named(value: Any, name: str, owner: str) -> Any:
    if isinstance(value, dict):
        return {key: named(inner, name, owner) for key, inner in value.items()}
    if isinstance(value, list):
        return [named(inner, name, owner) for inner in value]
    return value.replace("NAME", name).replace("OWNER", owner, 1) if isinstance(value, str) else value


async def test_each_argument_takes_a_name_in_any_case_and_refuses_an_unknown_one_with_the_nearest(
    room: RunningRoom,
) -> None:
    builder, tester = await room.enroll("Builder", "tester")
    olga = await room.owner()
    await tester("declare_capabilities", capabilities=["tool:docker"])
    await builder("declare_capabilities", capabilities=["tool:docker"])
    await builder("create_task", title="log in")
    fence = (await tester("claim_task", task="T-1"))["fence"]
    for where, calls in NAMES.items():
        tool = where.partition(".")[0]
        member = tester if tool == "hand_off" else olga
        for call in calls:
            call = {**call, **({"fence": fence} if "fence" in call else {})}
            refusal = await member.refused(tool, **named(call, "@bulider", "@olag"))
            assert refusal["code"] in ("not_found", "invalid"), where
            assert refusal["near"] in (["Builder"], ["olga"]), where
            assert any(f"@{name}" in refusal["fix"] for name in ("Builder", "olga")), where
            if tool == "notify":  # no channel is set up here, and the refusal of that names the person as it is called
                assert "@olga has no channel" in (await olga.refused(tool, **named(call, "", "OLGA")))["why"]
                continue
            body, words, refused = await member.said(tool, **named(call, "@BUILDER", "@OLGA"))
            assert not refused, (where, words)
            assert "BUILDER" not in str(body), where
            assert "OLGA" not in str(body), where
    assert not [entry for entry in room.entries() if "BUILDER" in str(entry) or "OLGA" in str(entry)]


async def test_a_subject_of_the_log_is_found_in_any_case(room: RunningRoom) -> None:
    await room.enroll("Builder")
    olga = await room.owner()
    await olga("pause", target="owner:Olga", reason="x")
    for subject in ("@builder", "@BUILDER", "owner:OLGA"):
        assert len((await olga("read_receipts", subject=subject))["receipts"]) == 1


async def test_a_member_is_read_and_completed_by_its_name_in_any_case(room_of_each_era: RunningRoom) -> None:
    await room_of_each_era.enroll("Builder")
    client = (await room_of_each_era.owner()).client
    for written in ("builder", "BUILDER"):
        read: Any = await client.read_resource(f"teamroom://members/{written}")
        assert '"name":"Builder"' in read.contents[1].text.replace(": ", ":")
    reference = PromptReference(type="ref/prompt", name="assign")
    for begun in ("@bui", "BU", "\uff20b"):
        found = await client.complete(reference, {"name": "to", "value": begun})
        assert found.completion.values == ["Builder"]


async def test_words_for_everybody_and_for_no_reviewer_count_in_any_case(room: RunningRoom) -> None:
    olga = await room.owner()
    for everybody in ("All", "ROOM", "@Everyone"):
        reply = await olga("post_message", text=f"to {everybody}", to=[everybody])
        assert (reply["forecast"], len(reply["not_reached"])) == ([], 1)
        assert (await olga("pause", target=everybody, reason="x"))["target"] == "room"
        await olga("resume", target=everybody, reason="x")
    for review in ("Auto", "NONE"):
        task = (await olga("create_task", title=f"by {review}", review=review))["task"]
        assert (await olga("read_board", task=task))["task"]["review"] == review.lower()


@pytest.mark.parametrize("name", ["BUILDER", "builder", "Bui1der"])
async def test_a_name_that_differs_in_case_only_is_not_enrolled_again(room: RunningRoom, name: str) -> None:
    await room.enroll("Builder")
    olga = await room.owner()
    for options in ({}, {"label": "laptop"}, {"kind": "human"}):
        refusal = await olga.refused("enroll", name=name, **options)
        assert (refusal["code"], "@Builder" in refusal["why"]) == ("conflict", True)


async def test_each_act_says_which_mention_in_its_texts_reaches_nobody(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    builder, tester, _ = await room.enroll("builder", "tester", "rex")
    olga = await room.owner()
    said = "@bulder and @rex and @all, not me@x.io nor `@tset`"

    async def say(member: Any, tool: str, known: bool, **arguments: Any) -> dict[str, Any]:
        body, words, refused = await member.said(tool, **arguments)
        assert not refused, words
        told = {one["name"]: one for one in body["not_reached"]}
        assert list(told) == (["bulder", "rex", "all"] if known else ["bulder", "all"]), tool
        assert told["bulder"]["near"] == ["builder"]
        for name, one in told.items():
            assert f"@{name} reaches nobody: {one['why']}" in words
        return body

    await say(olga, "post_message", False, text=said)
    await say(olga, "post_message", True, text="look", summary=said)
    await say(olga, "create_task", True, title=said)
    await say(olga, "create_task", True, title="log in", detail=said, review="builder", assign="tester")
    fence = (await tester("claim_task", task="T-2"))["fence"]
    await say(tester, "update_task", True, task="T-2", fence=fence, note=said)
    await say(
        tester, "update_task", True, task="T-2", fence=fence, status="blocked", blocked_on="3600", note=f"again {said}"
    )
    waits = await tester("update_task", task="T-2", fence=fence, status="blocked", blocked_on="@builder")
    assert "not_reached" not in waits, "the task waits for that member, and nothing is said to it"
    await say(olga, "update_task", True, task="T-2", changes={"title": said})
    await say(olga, "update_task", True, task="T-2", changes={"detail": said})
    await say(tester, "hand_off", True, task="T-2", fence=fence, to="builder", note=said)
    await say(builder, "answer_hand_off", True, offer="O-1", accept=False, reason=said)
    await say(tester, "heartbeat", True, task="T-2", note=said)
    await say(tester, "complete_task", True, task="T-2", fence=fence, summary=said, evidence=[])
    await say(builder, "review_task", True, task="T-2", verdict="accept", note=said)
    await say(olga, "pause", True, target="rex", reason=said)
    await say(olga, "resume", False, target="rex", reason=said)  # which wakes @rex


async def test_a_mention_that_an_act_wakes_anyway_is_not_complained_of(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    reply = await builder("create_task", title="@tester look, says @builder", assign="tester")
    assert "not_reached" not in reply
    reply = await tester("post_message", text="@Builder and @tester", reply_to=None)
    assert ("not_reached" in reply, reply["forecast"][0]["to"]) == (False, "builder")


async def test_the_remembered_reply_of_a_call_has_no_words_of_its_text(room: RunningRoom) -> None:
    olga = await room.owner()
    first = await olga("post_message", text="@nobody")
    again = await olga("post_message", text="@nobody")
    assert [mention["name"] for mention in first["not_reached"]] == ["nobody"]
    assert (again["replayed"] is not None, "not_reached" in again) == (True, False)


async def test_near_names_are_found_in_a_room_and_leave_out_killed_members(room: RunningRoom) -> None:
    olga = await room.owner()
    for name in ("builder", "builder-2"):
        await olga("enroll", name=name)
    await olga("kill", target="builder-2", reason="x")
    assert (await olga.refused("who", name="bulder"))["near"] == ["builder"]
