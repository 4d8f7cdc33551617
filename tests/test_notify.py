"""Escalations that reach people: the real server, the real apprise, and receivers on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.receivers import Receiver, receiver
from tests.rooms import RunningRoom, running_room

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """Olga's."""
    with receiver() as found:
        yield found


def told(*phones: Receiver, **settings: Any) -> dict[str, Any]:
    """Settings under which @olga has these channels; no digest, unless a test wants one."""
    return {"notify": {"olga": [phone.url for phone in phones]}, "notify_digest": "", **settings}


def entries(room: RunningRoom, act: str) -> list[Any]:
    return [entry for entry in room.entries() if entry["act"] == act]


async def test_a_question_arrives_once_and_says_who_asks_and_what_to_do(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone, room_name="acme")) as room:
        (builder,) = await room.enroll("builder")
        await builder("post_message", text="@olga which registry?", kind="ask")
        assert phone.letters == []
        await room.later(61)
        seq = entries(room, "post_message")[0]["seq"]
        assert phone.letters == [
            (
                "[Teamroom acme] needs you",
                f"needs you: @builder asks in M-1: “@olga which registry?”\nteamroom stream --after {seq - 1}",
            )
        ]
        await room.later(HOUR)
        assert phone.tries == 1
