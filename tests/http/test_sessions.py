"""Sessions of older clients that the room does not know: after a restart, an idle hour, or made up (SAF6, ID2)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import LEGACY, MODERN, Answer, message, reply
from tests.support.room_in_thread import RoomInThread, is_within, room_in_thread
from tests.support.wire import sent

pytestmark = promise("SAF6", "ID2")

VERSIONS = (None, "2025-03-26", LEGACY, "2025-11-25", MODERN)
MADE_UP = ("x", "0" * 32, "../..", "2.00.00", "1.", "..", "x" * 200)
NO_IDS = ("x" * 201, "x" * 10_000, "a b", "\xff", "")
WHO = message("tools/call", {"name": "who", "arguments": {}})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("sessions") / "room", push_seconds=0, **LIMITLESS) as room:
        room.enroll("bot", "rival")
        room.legacy("bot").close()  # the first stream of events starts a task that stays
        yield room


@pytest.fixture
def room(served: RoomInThread) -> Iterator[RoomInThread]:
    """The room of this file; after each test it has logged no error, and no session is left."""
    before = served.open_now()
    yield served
    assert served.log.lines == []
    assert is_within(served.until_open(before), before)


def asked(
    room: RoomInThread,
    id_: str,
    method: str = "POST",
    body: bytes = WHO,
    who: str = "bot",
    version: str | None = LEGACY,
) -> Answer:
    """The answer to one request under a session id; of a stream, its beginning."""
    own: dict[str, Any] = {} if version == MODERN else {"mcp_method": None, "mcp_name": None}
    headers = {"mcp_session_id": id_, "mcp_protocol_version": version, **own}
    if version == MODERN and method == "POST":
        body = sent(room).partition(b"\r\n\r\n")[2]
    data = sent(
        room,
        f"{method} /mcp HTTP/1.1",
        body if method == "POST" else b"",
        authorization=f"Bearer {room.token(who)}",
        **headers,
    )
    with room.wire() as wire:
        wire.send(data)
        return wire.answer(method, enough=lambda answer: method == "GET" and answer.status == 200)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_session_is_served_for_every_method_in_both_eras(room: RoomInThread, version: str | None) -> None:
    for id_ in MADE_UP:
        answer = asked(room, id_, version=version)
        assert answer.status == 200, id_
        assert reply(answer)["members"]
        others = [asked(room, id_, method, version=version).status for method in ("GET", "DELETE")]
        assert others == ([405, 405] if version == MODERN else [200, 200]), "the newest protocol has no sessions"
        notified = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
        if version != MODERN:
            assert asked(room, f"{id_}-"[-200:], body=notified, version=version).status == 202
            assert asked(room, id_, "PUT", version=version).status in (404, 405)


@pytest.mark.parametrize("id_", NO_IDS)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_what_is_no_session_id_is_refused(room: RoomInThread, method: str, id_: str) -> None:
    answer = asked(room, id_, method)
    assert answer.status in (400, 404)
    assert answer.json["error"]["message"]


def test_a_client_that_shakes_hands_again_under_its_old_id_gets_on(room: RoomInThread) -> None:
    client = {"name": "raw", "version": "0"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    answer = asked(room, "old", body=message("initialize", params))
    assert answer.json["result"]["protocolVersion"] == "2025-11-25"
    assert asked(room, "old").status == 200


def test_many_calls_at_once_under_one_unknown_id_are_all_served(room: RoomInThread) -> None:
    """A client opens its stream and calls at the same moment, as soon as the room is back."""
    wires = [room.wire() for _ in range(12)]
    for number, wire in enumerate(wires):
        body = message("tools/call", {"name": "who", "arguments": {}}, number)
        method = "GET" if number == 5 else "POST"
        headers = {"mcp_session_id": "one", "mcp_protocol_version": LEGACY, "mcp_method": None, "mcp_name": None}
        wire.send(sent(room, f"{method} /mcp HTTP/1.1", b"" if method == "GET" else body, **headers))
    stream = wires.pop(5)
    assert stream.answer("GET", enough=lambda answer: answer.status > 0).status == 200
    assert [wire.answer().json["id"] for wire in wires] == [n for n in range(12) if n != 5]
    for wire in (*wires, stream):
        wire.socket.close()


def test_a_session_that_its_client_ended_stays_ended(room: RoomInThread) -> None:
    session = room.legacy("bot")
    id_ = session.session[0][1]
    assert asked(room, id_, "DELETE").status == 200
    assert [asked(room, id_, method).status for method in ("POST", "GET", "DELETE")] == [404] * 3
    session.wire.socket.close()


def test_the_session_of_another_member_stays_unknown_also_after_a_restart(tmp_path: Path) -> None:
    """The id says whose it is: neither does the thief get in, nor is the owner locked out by a first call of his."""
    with room_in_thread(tmp_path / "room", **LIMITLESS) as room:
        room.enroll("bot", "rival")
        tokens, session = dict(room.running.tokens), room.legacy("bot")
        id_ = session.session[0][1]
        assert [asked(room, id_, m, who="rival").status for m in ("POST", "GET", "DELETE")] == [404] * 3
        session.wire.socket.close()
    with room_in_thread(tmp_path / "room", **LIMITLESS) as room:
        room.running.tokens.update(tokens)
        for who in ("rival", "olga"):
            for method in ("POST", "GET", "DELETE"):
                answer = asked(room, id_, method, who=who)
                assert (answer.status, answer.json["error"]["message"]) == (404, "Session not found")
        assert (
            "You are @bot" in asked(room, id_, body=message("resources/read", {"uri": "teamroom://me"})).body.decode()
        )
        member, nonce, mark = id_.split(".")
        forged = f"{int(member) + 1}.{nonce}.{mark}"
        assert asked(room, forged).status == 200, "it is nobody's, so it means nothing"


def test_a_made_up_id_is_its_first_callers_as_long_as_it_is_open(room: RoomInThread) -> None:
    with room.wire() as wire:
        headers = {"mcp_session_id": "mine", "mcp_protocol_version": LEGACY, "mcp_method": None, "mcp_name": None}
        wire.send(sent(room, "GET /mcp HTTP/1.1", b"", **headers))
        assert wire.answer("GET", enough=lambda answer: answer.status == 200).status == 200
        assert asked(room, "mine").status == 200
        assert asked(room, "mine", who="rival").status == 404


def test_a_continued_session_gets_pushes_for_what_it_follows_again(room: RoomInThread) -> None:
    headers = {"mcp_session_id": "back", "mcp_protocol_version": LEGACY, "mcp_method": None, "mcp_name": None}
    with room.wire() as stream, room.modern("rival") as rival:
        stream.send(sent(room, "GET /mcp HTTP/1.1", b"", **headers))
        assert stream.answer("GET", enough=lambda answer: answer.status == 200).status == 200
        follow = message("resources/subscribe", {"uri": "teamroom://inbox"}, 5)
        assert asked(room, "back", body=follow).json["result"] == {}
        reply(rival.call("post_message", {"text": "@bot are you back?"}))
        pushed = b""
        while b"resources/updated" not in pushed:
            data = stream.socket.recv(65_536)
            assert data, "the stream ended without a push"
            pushed += data


def test_sessions_that_mean_nothing_end_no_session_that_works(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", sessions=3, **LIMITLESS) as room:
        room.enroll("bot", "rival")
        room.legacy("bot").close()
        before = room.open_now()
        with contextlib.ExitStack() as stack:
            other = stack.enter_context(room.legacy("rival"))
            for number in range(30):
                assert asked(room, f"made-up-{number}").status == 200
            assert room.sessions(other) == [True]
        room.until_open(before)
