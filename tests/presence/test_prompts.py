"""A harness that waits at a prompt is shown as such: neither at work nor a zombie, and its person is told once."""

from typing import Any

import pytest

from teamroom.server.acts.overnight.overnight import STUCK
from teamroom.server.acts.presence.me import Nothing
from tests.presence.test_zombies import HOUR, MINUTE, beats, said, verdict
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom
from tests.support.shells import Shell
from tests.support.visitors import visitor

pytestmark = promise("WAK4")

PROMPTS = {
    "permission": {"hook_event_name": "PermissionRequest", "tool_name": "Bash"},
    "person": {"hook_event_name": "Notification", "notification_type": "idle_prompt"},
}


async def hooked(room: RunningRoom, **event: str) -> None:
    """The builder's harness says something, and the room writes it down."""
    headers = {"Authorization": f"Bearer {room.tokens['builder']}"}
    found = await room.raw("POST", "/hooks/claude", json=event, headers=headers)
    assert found.status_code == 200
    await room.later(1)


async def told(room: RunningRoom) -> list[str]:
    """What the owner was told of."""
    owner = await room.owner()
    return [str(wake["line"]) for wake in (await owner("check_in"))["wakes"] if wake["reason"] == "alert"]


async def asked(room: RunningRoom) -> tuple[Member, Member]:
    """Somebody who waits for an answer, and the builder that owes it."""
    asker, builder = await room.enroll("asker", "builder", mode="live")
    await builder("check_in")
    await asker("post_message", text="are you there?", to=["builder"], kind="ask")
    return asker, builder


async def shown(member: Member) -> dict[str, Any]:
    return dict((await member("who", name="builder"))["members"][0])


@pytest.mark.parametrize("doing", PROMPTS)
async def test_a_harness_at_a_prompt_is_neither_at_work_nor_a_zombie_and_its_person_is_told_once(
    room: RunningRoom, doing: str
) -> None:
    asker, builder = await asked(room)
    await hooked(room, **PROMPTS[doing])
    await beats(room, builder, 90, every=3)
    assert said(room, "builder") == ["at a prompt"]
    found = await shown(asker)
    assert found["presence"] == "asleep"
    assert found["reason"].startswith("its harness waits at a prompt for ")
    assert found["harness"]["doing"] == doing
    (line,) = await told(room)
    assert line.startswith("@builder: its harness waits for")
    assert ("Bash" in line) == (doing == "permission")


async def test_a_prompt_that_is_answered_soon_is_not_told(room: RunningRoom) -> None:
    asker, builder = await asked(room)
    await hooked(room, **PROMPTS["permission"])
    await beats(room, builder, 4)
    await hooked(room, hook_event_name="PostToolUse", tool_name="Bash")
    await beats(room, builder, 4)
    assert await told(room) == []
    assert await verdict(asker, "builder") != "asleep"


async def test_each_prompt_is_told_of_its_own_time(room: RunningRoom) -> None:
    _, builder = await asked(room)
    for tool in ("Bash", "Write"):
        await hooked(room, hook_event_name="PermissionRequest", tool_name=tool)
        await beats(room, builder, 8)
        await hooked(room, hook_event_name="PostToolUse", tool_name=tool)
        await beats(room, builder, 2)
    first, second = [line for entry in room.entries() if "waits for a permission" in (line := entry["summary"] or "")]
    assert ("Bash" in first, "Write" in second) == (True, True)
    assert "Write" in (await told(room))[0], "equal wakes show the newest line"


async def test_a_prompt_excuses_nobody_for_ever(room: RunningRoom) -> None:
    """Its harness may have gone without a word."""
    _, builder = await asked(room)
    await hooked(room, **PROMPTS["permission"])
    await beats(room, builder, int(12 * HOUR / MINUTE), every=30)
    assert "suspect" not in said(room, "builder")
    await beats(room, builder, 60, every=5)
    assert "suspect" in said(room, "builder")


async def test_a_wait_at_a_prompt_is_a_line_of_its_own_in_the_morning_report_and_among_what_is_stuck(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    _, builder = await asked(room)
    await hooked(room, **PROMPTS["permission"])
    await beats(room, builder, 12, every=3)
    body, text, _ = await owner.said("overnight")
    (line,) = [one for one in body["broke"]["shown"] if one["subject"] == "@builder"]
    assert (line["kind"], line["line"], line["over"]) == ("at_prompt", "Waiting for permission: Bash", False)
    assert "\n- @builder: Waiting for permission for 12 min: Bash" in text
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    shown = await shell.screen("overnight", "--since", "8h", columns=120)
    assert any("@builder" in row and "Waiting for permission for 12 min: Bash" in row for row in shown), shown
    stuck = await room.room.door.read(await room.room.door.identify(room.owner_token), STUCK, Nothing())
    assert [(one.kind, one.line) for one in stuck.broke.shown] == [("at_prompt", "Waiting for permission: Bash")]
    async with visitor(room) as browser:
        assert "Waiting for permission: Bash" in (await browser.get("/")).text
    await hooked(room, hook_event_name="PostToolUse", tool_name="Bash")
    (past,) = [one for one in (await owner("overnight", hours=8))["broke"]["shown"] if one["subject"] == "@builder"]
    assert (past["kind"], past["over"]) == ("waited", True)
    assert "waits for a permission" in past["line"]


async def test_a_short_wait_at_a_prompt_is_no_line(room: RunningRoom) -> None:
    """The twin: the same wait, of less than five minutes."""
    owner = await room.owner()
    _, builder = await asked(room)
    await hooked(room, **PROMPTS["permission"])
    await beats(room, builder, 4)
    assert "at_prompt" not in [one["kind"] for one in (await owner("overnight"))["broke"]["shown"]]
