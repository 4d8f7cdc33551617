"""What the gate refuses is answered under the request's own id: some clients wait for ever for any other."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.raw import ENVELOPE, RoomInThread, message, modern_headers, posted, reply, room_in_thread

UNKNOWN = "tr_" + "0" * 64


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("gate") / "room", open_calls=1) as room:
        room.enroll("bot", "doomed")
        yield room


def call(room: RoomInThread, token: str, id_: Any, tool: str = "who", **arguments: Any) -> bytes:
    body = message("tools/call", {"name": tool, "arguments": arguments, "_meta": ENVELOPE}, id_)
    return posted(room.port, token, body, modern_headers("tools/call", tool))


@pytest.mark.parametrize("id_", [1, "seven", 0, "é"])
def test_a_refused_call_is_answered_under_its_own_id(room: RoomInThread, id_: int | str) -> None:
    with room.wire() as wire:
        wire.send(call(room, UNKNOWN, id_))
        answer = wire.answer()
    assert (answer.status, answer.json["id"]) == (401, id_)
    assert answer.json["error"]["data"]["code"] == "not_allowed"


def test_a_killed_members_call_says_under_its_id_by_whom_and_why(room: RoomInThread) -> None:
    with room.modern("olga") as olga:
        reply(olga.call("kill", {"target": "doomed", "reason": "it ran wild"}))
    with room.wire() as wire:
        wire.send(call(room, room.token("doomed"), 5))
        answer = wire.answer()
    assert (answer.status, answer.json["id"]) == (401, 5)
    assert answer.json["error"]["data"]["code"] == "killed"
    assert answer.json["error"]["data"]["why"] == "@doomed was killed by @olga: it ran wild."
    assert "www-authenticate" not in answer.headers


def test_a_call_too_many_is_refused_under_its_own_id(room: RoomInThread) -> None:
    with room.wire() as waiting, room.wire() as more:
        waiting.send(call(room, room.token("bot"), 1, "wait_for_wake", timeout_seconds=50))
        room.until_waiting()
        more.send(call(room, room.token("bot"), 2))
        answer = more.answer()
        assert (answer.status, answer.json["id"]) == (429, 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"no json",
        b'{"id": true}',
        b'{"id": 1.5}',
        b'{"id": {}}',
        b"[" * 1000,
        b'{"id": "%s"}' % (b"x" * 999),
    ],
    ids=lambda body: body[:12].decode(),
)
def test_what_has_no_id_is_refused_without_one(room: RoomInThread, body: bytes) -> None:
    with room.wire() as wire:
        wire.send(posted(room.port, UNKNOWN, body))
        answer = wire.answer()
    assert (answer.status, answer.json["id"]) == (401, None)


def test_a_refused_client_that_never_sends_its_body_does_not_wait_for_long(room: RoomInThread) -> None:
    with room.wire() as wire:
        begun = time.monotonic()
        wire.send(posted(room.port, UNKNOWN, b"", [("content-length", "1000")]))
        assert wire.answer().status == 401
        assert time.monotonic() - begun < 5


def test_an_endless_body_of_a_stranger_is_not_kept(tmp_path: Path, room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(posted(room.port, UNKNOWN, b"", [("content-length", str(10**9))]))
        assert wire.answer().status == 401
