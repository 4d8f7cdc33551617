"""When a watchdog's repair is over: the member acted, or it is connected and nothing waits for it."""

from typing import Any

import pytest

from teamroom.clients.watchdog.repair import Before, before
from tests.support.promises import promise
from tests.support.rooms import RunningRoom

pytestmark = promise("PRS2")

KNOWN = Before("2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T08:00:00Z", False)
LATER = "2026-01-01T11:00:00Z"

WELL = {
    "presence": "live",
    "last_call": KNOWN.last_call,
    "last_progress": KNOWN.last_progress,
    "last_act": KNOWN.last_act,
    "listening": False,
    "wake_waits_since": None,
}


@pytest.mark.parametrize(
    ("seen", "acts"),
    [
        ({}, None),
        ({"last_act": LATER}, True),
        ({"last_progress": LATER}, True),
        ({"last_act": LATER, "wake_waits_since": KNOWN.last_call}, True),
        ({"last_call": LATER}, False),
        ({"listening": True}, False),
        ({"last_call": LATER, "wake_waits_since": KNOWN.last_call}, None),
        ({"last_call": LATER, "listening": True, "wake_waits_since": KNOWN.last_call}, None),
        ({"last_act": LATER, "presence": "zombie"}, None),
        ({"last_call": LATER, "presence": "suspect"}, None),
    ],
)
def test_a_poll_alone_never_says_that_a_member_acts(seen: dict[str, Any], acts: bool | None) -> None:
    sign = KNOWN.sign({**WELL, **seen})
    assert (None if sign is None else sign.acts) == acts


async def test_the_room_says_of_a_member_when_it_acted_and_whether_a_wake_waits(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder", mode="live")

    async def look() -> dict[str, Any]:
        return dict((await owner("who", name="builder"))["members"][0])

    await builder("heartbeat")
    known = before(await look())
    await owner("post_message", text="@builder are you there?")
    room.time.forward(60)
    await builder("heartbeat")
    await builder("wait_for_wake", timeout_seconds=0)
    assert known.sign(await look()) is None, "its listener polls, and its model has done nothing"
    await builder("check_in")
    await builder("post_message", text="here")
    sign = known.sign(await look())
    assert sign is not None
    assert sign.acts
