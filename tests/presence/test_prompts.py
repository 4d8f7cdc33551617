"""A harness that waits at a prompt is shown as such: neither at work nor a zombie, and its person is told once."""

from typing import Any

import pytest

from tests.presence.test_zombies import HOUR, MINUTE, beats, said, verdict
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

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
