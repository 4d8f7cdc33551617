"""What a client can do wrong with its connection: bodies without an end, heads without one, cuts, sessions (SAF6)."""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, Answer, Wire, message
from tests.support.room_in_thread import RoomInThread, is_within, room_in_thread
from tests.support.wire import CALL, assert_refused, exchange, in_session, sent

pytestmark = promise("SAF6")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("wire") / "room", body_seconds=1, **LIMITLESS) as room:
        room.enroll("bot", "rival", "ghost")
        room.legacy("bot").close()  # the first stream of events starts a task that stays
        yield room


@pytest.fixture
def room(served: RoomInThread) -> Iterator[RoomInThread]:
    """The room of this file; after each test it serves, has logged no error, and nothing is left open."""
    before = served.open_now()
    yield served
    assert exchange(served, sent(served)).json["result"]["structuredContent"]["members"]
    assert served.log.lines == []
    assert is_within(served.until_open(before), before)


# ------------------------------------------------------------------ how long a body is


@pytest.mark.parametrize("length", ["-1", "+5", "0x10", "abc", "5, 5", "1e3", "", " ", "9" * 20, "9" * 5000])
def test_a_content_length_that_is_not_a_number_is_refused(room: RoomInThread, length: str) -> None:
    assert_refused(exchange(room, sent(room, content_length=length)), 400, "invalid")


@pytest.mark.parametrize("more", ["transfer-encoding: chunked", "content-length: 5", "transfer-encoding: gzip"])
def test_two_ways_to_find_the_end_of_a_body_are_refused(room: RoomInThread, more: str) -> None:
    """Otherwise a second request could hide in the body of the first (request smuggling)."""
    assert_refused(exchange(room, sent(room, more=(more,))), 400, "invalid")


def test_bytes_after_a_length_that_is_too_short_are_not_a_request(room: RoomInThread) -> None:
    answer = exchange(room, sent(room, content_length=str(len(CALL) - 5)))
    assert answer.status == 400


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_a_body_in_chunks_is_a_body(room: RoomInThread) -> None:
    pieces = b"".join(chunk(CALL[i : i + 7]) for i in range(0, len(CALL), 7)) + b"0\r\n\r\n"
    head = sent(room, body=b"", content_length=None, transfer_encoding="chunked")
    assert exchange(room, head + pieces).status == 200


@pytest.mark.parametrize("pieces", [b"zz\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", b"5\r\nabc", b"5\r\nabcdefgh\r\n"])
def test_broken_chunks_are_refused(room: RoomInThread, pieces: bytes) -> None:
    head = sent(room, body=b"", content_length=None, transfer_encoding="chunked")
    assert exchange(room, head + pieces).status in (400, 408)


# ------------------------------------------------------------------ connections


def pipelined(room: RoomInThread, count: int, stranger: int) -> list[Answer]:
    """The answers to requests that are sent at once, of which one has no token."""
    calls = [message("tools/call", {"name": "who", "arguments": {}, "_meta": ENVELOPE}, id_) for id_ in range(count)]
    nobody: Any = {"authorization": None}
    with room.wire() as wire:
        wire.send(b"".join(sent(room, body=body, **(nobody if i == stranger else {})) for i, body in enumerate(calls)))
        return many_answers(wire, count)


def test_pipelined_requests_are_answered_in_order(room: RoomInThread) -> None:
    answers = pipelined(room, 20, stranger=20)
    assert [(answer.status, answer.json["id"]) for answer in answers] == [(200, i) for i in range(20)]


@promise("SAF11")
def test_after_a_call_without_a_token_nothing_more_is_answered(room: RoomInThread) -> None:
    answers = pipelined(room, 20, stranger=7)
    assert [(answer.status, answer.json["id"]) for answer in answers] == [*((200, i) for i in range(7)), (401, 7)]


def many_answers(wire: Wire, count: int) -> list[Answer]:
    """Answers that arrive on one connection until it ends, split by their lengths."""
    data, answers = b"", list[Answer]()
    while len(answers) < count:
        head, found, rest = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if not found or len(rest) < length:
            if not (more := wire.socket.recv(65_536)):
                break
            data += more
            continue
        headers = {"content-type": "application/json"}
        answers.append(Answer(int(head.split(b" ")[1]), headers, rest[:length], complete=True))
        data = rest[length:]
    return answers


def test_http_1_0_is_served_and_closed(room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(sent(room, "POST /mcp HTTP/1.0"))
        assert wire.answer().status == 200
        assert wire.ended()
    assert_refused(exchange(room, sent(room, "POST /mcp HTTP/1.0", host=None)), 421, "not_allowed")


@pytest.mark.parametrize(
    "data",
    [
        b"GET\r\n\r\n",
        b"FOO /mcp HTTP/1.1\r\n\r\n",
        b"POST /mcp HTTP/9.9\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT evil:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /mcp HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nhost: a\x00b\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\n: x\r\n\r\n",
    ],
)
def test_bytes_that_are_not_http_are_answered_with_400_and_the_connection_closes(
    room: RoomInThread, data: bytes
) -> None:
    with room.wire() as wire:
        wire.send(data)
        answer = wire.answer()
        assert answer.status in (400, 421)
        assert answer.status == 421 or wire.ended()


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.0"])
def test_an_upgrade_to_another_protocol_is_not_made(room: RoomInThread, protocol: str) -> None:
    headers: Any = {
        "upgrade": protocol,
        "connection": "upgrade",
        "sec_websocket_key": "eA==",
        "sec_websocket_version": "13",
    }
    assert_refused(exchange(room, sent(room, **headers)), 400, "invalid")
    ask = sent(room, "GET /livez HTTP/1.1", b"", content_length=None, authorization=None, **headers)
    assert exchange(room, ask, "GET").json == {"ok": True}, "what needs no body is answered as it is"


def test_a_client_that_expects_a_continue_gets_it(room: RoomInThread) -> None:
    data = sent(room, expect="100-continue")
    with room.wire() as wire:
        wire.send(data[: -len(CALL)])
        assert wire.answer().status == 100
        wire.send(CALL)
        assert wire.answer().status == 200


def test_a_client_that_expects_a_continue_without_a_token_is_refused(room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(sent(room, expect="100-continue", authorization=None)[: -len(CALL)])
        assert wire.answer().status == 401


def reset(connection: socket.socket) -> None:
    """End a connection with RST, as a crashed client's machine does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_request_cut_anywhere_leaves_nothing_open(room: RoomInThread) -> None:
    whole = sent(room)

    @settings(deadline=None)
    @given(st.integers(0, len(whole)), st.booleans())
    def cut(at: int, politely: bool) -> None:
        wire = room.wire()
        wire.send(whole[:at])
        if politely:
            wire.socket.close()
        else:
            reset(wire.socket)

    cut()


ANYTHING = [
    b"\r\n",
    b"\r\n\r\n",
    b"\x00",
    b":",
    b" ",
    b"\xff",
    b'"',
    b"{",
    b"}",
    b"0",
    b"9999999",
    b"HTTP/1.0",
    b"chunked",
]


def test_no_bytes_break_the_server(room: RoomInThread) -> None:
    whole = sent(room)
    position = st.integers(0, len(whole) - 1)
    change = st.tuples(position, st.integers(0, 3), st.sampled_from(ANYTHING) | st.binary(max_size=3))

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(change, min_size=1, max_size=4))
    def send(changes: list[tuple[int, int, bytes]]) -> None:
        data = whole
        for at, dropped, put in changes:
            data = data[:at] + put + data[at + dropped :]
        with room.wire() as wire:
            wire.socket.settimeout(0.1)
            wire.send(data)
            try:
                answer = wire.answer()
            except (TimeoutError, ConnectionError):
                return  # it waits for the rest of a body, or it gave up at once
            assert answer.status < 500, answer

    send()


# ------------------------------------------------------------------ sessions of older clients


@promise("ID2")
def test_a_session_serves_only_the_member_that_opened_it(room: RoomInThread) -> None:
    session = room.legacy("bot")
    body = message("tools/call", {"name": "who", "arguments": {}})
    for method in ("POST", "GET", "DELETE"):
        for who in ("rival", "olga"):
            stolen = sent(room, **in_session(session, method, body), authorization=f"Bearer {room.token(who)}")
            answer = exchange(room, stolen, method)
            assert answer.status == 404
            assert "Session not found" in answer.json["error"]["message"]
    assert session.call("who", {}).status == 200, "it lives on"
    assert exchange(room, sent(room, **in_session(session, "DELETE"))).status == 200
    assert session.call("who", {}).status == 404
    session.close()


def test_equal_ids_of_two_members_never_cross(room: RoomInThread) -> None:
    """Answers belong to connections and sessions, not to the ids that clients choose."""
    sessions = [room.legacy("bot"), room.legacy("rival")]
    body = message("resources/read", {"uri": "teamroom://me"}, id_=7)
    for _ in range(20):
        wires = [room.wire() for _ in sessions]
        for wire, session, name in zip(wires, sessions, ("bot", "rival"), strict=True):
            headers = in_session(session, "POST", body)
            wire.send(sent(room, **headers, authorization=f"Bearer {room.token(name)}"))
        for wire, name in zip(wires, ("bot", "rival"), strict=True):
            assert f'"name":"{name}"' in wire.answer().json["result"]["contents"][1]["text"]
            wire.socket.close()
    for session in sessions:
        session.close()


def test_ending_a_session_ends_its_waiting_call(room: RoomInThread) -> None:
    waiting = message("tools/call", {"name": "wait_for_wake", "arguments": {"timeout_seconds": 50}})
    with room.legacy("bot") as session, room.wire() as wire:
        wire.send(sent(room, **in_session(session, "POST", waiting)))
        room.until_waiting()
        assert exchange(room, sent(room, **in_session(session, "DELETE"))).status == 200
        assert wire.answer().complete


# ------------------------------------------------------------------ the head of a request


@promise("SAF3")
def test_an_endless_request_head_is_cut_off(room: RoomInThread) -> None:
    """Before a token was seen, nobody may make the server keep megabytes."""
    with room.wire() as wire:
        wire.send(b"POST /mcp HTTP/1.1\r\n" + (b"x-filler: " + b"y" * 8000 + b"\r\n") * 128)
        assert 400 <= wire.answer().status < 500


@promise("SAF3")
def test_a_connection_on_which_no_request_comes_is_closed(room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(b"POST /mcp HTTP/1.1\r\n")
        assert wire.ended()
