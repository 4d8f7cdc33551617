"""Asks in the inbox: they wait for each addressee until it posts in their thread."""

import json
from typing import Any

from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

pytestmark = promise("HND4")


async def inbox(member: Member) -> dict[str, Any]:
    found = await member.client.read_resource("teamroom://inbox")
    (text,) = (content.text for content in found.contents if content.mime_type == "application/json")
    return dict(json.loads(text))


async def asked(member: Member) -> list[str]:
    return [ask["message"] for ask in (await inbox(member))["asks"]]


async def test_an_ask_waits_for_each_addressee_until_it_answers_oldest_first(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="one")
    await builder("post_message", text="which region?", kind="ask", to=["olga", "tester"], task="T-1")
    await builder("post_message", text="hello @olga")
    await builder("post_message", text="@olga and when?", kind="ask")
    assert (await asked(owner), await asked(tester), await asked(builder)) == (["M-1", "M-3"], ["M-1"], [])
    first = (await inbox(owner))["asks"][0]
    assert (first["from"], first["summary"], first["task"]) == ("builder", "which region?", "T-1")
    await owner("post_message", text="eu-west", reply_to="M-1")
    assert (await asked(owner), await asked(tester)) == (["M-3"], ["M-1"])
    await tester("post_message", text="I do not know", reply_to="M-4")
    assert await asked(tester) == [], "an answer to the answer is in the same thread"


async def test_an_ask_waits_although_its_wake_is_acknowledged(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="which region?", kind="ask", to=["olga"])
    seen = (await owner("check_in"))["cursor"]
    await owner("check_in", after=seen)
    found = await inbox(owner)
    assert ([ask["message"] for ask in found["asks"]], found["wakes"]) == (["M-1"], [])


async def test_a_person_is_told_which_of_the_messages_that_woke_it_are_answered(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for text in ("first @olga", "second @olga"):
        await builder("post_message", text=text)
    await owner("post_message", text="seen", reply_to="M-2")
    found = await inbox(owner)
    assert ([wake["subject"] for wake in found["wakes"]], found["answered"]) == (["M-1", "M-2"], ["M-2"])
    assert (await inbox(builder))["answered"] == [], "agents acknowledge their wakes"
