"""What a caller without a valid token can take: bounded memory, bounded connections, and no line in the log for each.

Members' open connections stay, new ones are accepted, and the probes answer meanwhile.
"""

import asyncio
import errno
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.http import accepting
from teamroom.server.http.accepting import Accepting
from teamroom.server.http.connections import Connection, Connections
from teamroom.server.http.files import RESERVED_FILES, shares
from teamroom.server.http.gate import HEALTH_PATHS
from teamroom.server.http.protocol import HEAD_BYTES, HEADERS, THROWN_AWAY_BYTES
from teamroom.server.http.strangers import Rejections
from teamroom.server.identity import Caller
from teamroom.server.metrics import Metrics
from teamroom.server.settings import Settings
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, Wire, message, modern_headers, posted, reply
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.wire import CALL, assert_refused, exchange, sent

pytestmark = promise("SAF11")

MOST = 16
"""Strangers, and connections of a member, that the room of this file has open at once."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    limits = {"strangers": MOST, "connections": MOST, "open_calls": 8}
    with room_in_thread(tmp_path_factory.mktemp("strangers") / "room", **limits, **LIMITLESS) as room:
        room.enroll("bot", "rival")
        yield room


@pytest.fixture
def room(served: RoomInThread) -> Iterator[RoomInThread]:
    """The room of this file; after each test it serves, has logged no error, and nothing is left open."""
    yield served
    assert exchange(served, sent(served)).status == 200
    assert served.log.lines == []
    until(lambda: strangers(served) == 0)


def until(true: Any) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def strangers(room: RoomInThread) -> int:
    return int(room.look(lambda _: room.connections.strangers))


# ------------------------------------------------------------------ what comes before a token


def chunked(room: RoomInThread, authorization: str | None, trailers: str = "", **headers: str | None) -> bytes:
    """A call whose body is followed by trailers."""
    head = sent(
        room, body=b"", content_length=None, transfer_encoding="chunked", authorization=authorization, **headers
    )
    return head + b"%x\r\n%s\r\n0\r\n" % (len(CALL), CALL) + trailers.encode() + b"\r\n"


def test_a_trailer_never_counts_as_a_header(room: RoomInThread) -> None:
    token = f"Bearer {room.token('bot')}"
    assert exchange(room, chunked(room, token)).status == 200
    assert_refused(exchange(room, chunked(room, None, f"Authorization: {token}\r\n")), 401, "not_allowed")
    again = "Host: evil.example\r\nOrigin: http://evil.example\r\nAuthorization: Bearer x\r\nMcp-Name: kill\r\n"
    assert exchange(room, chunked(room, token, again)).status == 200
    answer = exchange(room, chunked(room, token, "Mcp-Name: who\r\n", mcp_name=None))
    assert answer.json["error"]["code"] == -32020, "the header is missing, whatever the trailer says"


def flood(wire: Wire, data: bytes, block: bytes) -> tuple[int, bytes]:
    """Send blocks until the room ends it; returns how much it took, and what it said."""
    taken = 0
    with pytest.raises(ConnectionError):  # noqa: PT012 - whichever block is the last
        wire.send(data)
        while taken < 64 << 20:
            wire.send(block)
            taken += len(block)
    said = b""
    try:
        while more := wire.socket.recv(65_536):
            said += more
    except ConnectionError:
        pass
    return taken, said


LONG = b"b" * 8000
ENDLESS = {
    "trailers": (b"2\r\n{}\r\n0\r\n", b"a: " + LONG + b"\r\n"),
    "one trailer": (b"2\r\n{}\r\n0\r\na: ", LONG),
    "the name of a trailer": (b"2\r\n{}\r\n0\r\n", LONG),
    "an extension of a chunk": (b"2;x=", LONG),
    "the length of a chunk": (b"", b"0" * 8000),
}


@pytest.mark.parametrize("who", ["bot", None])
@pytest.mark.parametrize("kind", ENDLESS)
def test_what_is_endless_around_a_body_is_cut(room: RoomInThread, kind: str, who: str | None) -> None:
    authorization = None if who is None else f"Bearer {room.token(who)}"
    head = sent(room, body=b"", content_length=None, transfer_encoding="chunked", authorization=authorization)
    begun, block = ENDLESS[kind]
    with room.wire() as wire:
        taken, _ = flood(wire, head + begun, block)
    assert taken < THROWN_AWAY_BYTES * 4


ENDLESS_HEADS = {
    "headers": (b"POST /mcp HTTP/1.1\r\n", b"a: " + LONG + b"\r\n"),
    "short headers": (b"POST /mcp HTTP/1.1\r\n", b"a:b\r\n" * 1600),
    "one header": (b"POST /mcp HTTP/1.1\r\na: ", LONG),
    "the name of a header": (b"POST /mcp HTTP/1.1\r\n", LONG),
    "an address": (b"GET /", LONG),
    "empty lines": (b"", b"\r\n" * 4000),
}


@pytest.mark.parametrize("kind", ENDLESS_HEADS)
def test_an_endless_head_is_refused_in_words_and_cut(room: RoomInThread, kind: str) -> None:
    begun, block = ENDLESS_HEADS[kind]
    with room.wire() as wire:
        taken, _ = flood(wire, begun, block)
    assert taken < THROWN_AWAY_BYTES * 4
    with room.wire() as wire:
        wire.send(begun + block * (4 * HEAD_BYTES // len(block)))
        assert_refused(wire.answer(), 431, "too_large")
        assert wire.ended()


def test_a_head_within_the_bounds_is_served_and_one_header_more_is_refused(room: RoomInThread) -> None:
    own = sent(room).partition(b"\r\n\r\n")[0].count(b"\r\n")
    for count, status in ((HEADERS - own, 200), (HEADERS - own + 1, 431)):
        answer = exchange(room, sent(room, more=tuple(f"x-{n}: 1" for n in range(count))))
        assert answer.status == status
    for size, status in ((HEAD_BYTES - 2000, 200), (HEAD_BYTES, 431)):  # in one packet, or in many
        assert exchange(room, sent(room, more=(f"x-long: {'x' * size}",))).status == status


def test_requests_that_are_sent_at_once_are_taken_in_one_after_another(room: RoomInThread) -> None:
    """Otherwise one packet of a stranger would become thousands of requests, each with its own memory."""
    probe = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % room.port
    with room.wire() as wire:
        before = room.look(lambda _: len(asyncio.all_tasks()))
        wire.send(probe * 1000)
        assert wire.answer().json == {"ok": True}
        assert room.look(lambda _: len(asyncio.all_tasks())) <= before + 2
        assert wire.ended()


def test_a_refusal_is_read_although_the_body_is_still_being_sent(room: RoomInThread) -> None:
    """A connection that is closed with something unread is reset, and takes the answer with it."""
    data = posted(room.port, None, b"x" * 250_000)
    for _ in range(20):
        with room.wire() as wire:
            wire.send(data)
            assert_refused(wire.answer(), 401, "not_allowed")


# ------------------------------------------------------------------ how long a stranger stays


def strange_calls(room: RoomInThread) -> dict[str, bytes]:
    """Whatever may be asked without a valid token."""
    nobody: dict[str, str | None] = {"authorization": None}
    asked = {
        "no token": sent(room, **nobody),
        "a wrong token": sent(room, authorization="Bearer tr_" + "0" * 64),
        "a token in a trailer": chunked(room, None, f"authorization: Bearer {room.token('bot')}\r\n"),
        "another host": sent(room, host="evil.example"),
        "another origin": sent(room, origin="http://evil.example"),
        "two tokens": sent(room, more=(f"authorization: Bearer {room.token('bot')}",)),
        "no path": sent(room, "POST /nowhere HTTP/1.1", **nobody),
        "a method": sent(room, "DELETE /livez HTTP/1.1", **nobody),
        "metrics": sent(room, "GET /metrics HTTP/1.1", b"", **nobody),
        "the end of a session": sent(room, "DELETE /mcp HTTP/1.1", b"", **nobody),
    }
    return asked | {path: sent(room, f"GET {path} HTTP/1.1", b"", **nobody) for path in HEALTH_PATHS}


def test_after_any_answer_to_a_stranger_the_connection_is_closed(room: RoomInThread) -> None:
    for kind, data in strange_calls(room).items():
        with room.wire() as wire:
            wire.send(data)
            answer = wire.answer()
            assert answer.headers.get("connection") == "close", kind
            assert wire.ended(), kind


def test_a_member_that_is_refused_stays_connected(room: RoomInThread) -> None:
    with room.wire() as wire:
        for data, status in (
            (sent(room, content_type="text/plain"), 415),
            (sent(room, body=b"no json"), 400),
            (sent(room, "GET /metrics HTTP/1.1", b""), 403),
            (sent(room), 200),
        ):
            wire.send(data)
            assert wire.answer().status == status


def test_for_a_further_stranger_the_longest_idle_one_is_closed(room: RoomInThread) -> None:
    with ExitStack() as stack:
        member = stack.enter_context(room.wire())
        member.send(sent(room))
        assert member.answer().status == 200
        silent = []
        for count in range(MOST):
            silent.append(stack.enter_context(room.wire()))
            silent[-1].send(b"POST /mcp HTTP/1.1\r\n" if count % 2 else b"")
            until(lambda count=count: strangers(room) == count + 1)
        for oldest in silent[:5]:
            assert stack.enter_context(room.modern("rival")).call("heartbeat", {}).status == 200
            assert oldest.ended()
        for probe in HEALTH_PATHS:
            assert exchange(room, sent(room, f"GET {probe} HTTP/1.1", b"", authorization=None), "GET").status == 200
        member.send(sent(room))
        assert member.answer().status == 200, "whose token was seen is not closed for strangers"
        assert strangers(room) <= MOST


def test_without_the_bound_strangers_would_stay(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", strangers=1000) as room, ExitStack() as stack:
        for _ in range(3 * MOST):
            stack.enter_context(room.wire())
        until(lambda: strangers(room) == 3 * MOST)


def test_strangers_whose_body_is_waited_for_give_way_too(room: RoomInThread) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(room.wire()) for _ in range(MOST)]
        for wire in slow:
            wire.send(posted(room.port, None, b"", [("content-length", "1000")]))
        until(lambda: strangers(room) == MOST)
        assert exchange(room, sent(room)).status == 200


def test_for_a_further_connection_of_a_member_its_own_longest_idle_one_is_closed(room: RoomInThread) -> None:
    waiting = message("tools/call", {"name": "wait_for_wake", "arguments": {"timeout_seconds": 50}, "_meta": ENVELOPE})
    with ExitStack() as stack:
        others, works = stack.enter_context(room.wire()), stack.enter_context(room.wire())
        others.send(sent(room, authorization=f"Bearer {room.token('rival')}"))
        assert others.answer().status == 200
        works.send(posted(room.port, room.token("bot"), waiting, modern_headers("tools/call", "wait_for_wake")))
        room.until_waiting()
        idle = [stack.enter_context(room.wire()) for _ in range(MOST + 3)]
        for wire in idle:
            wire.send(sent(room))
            assert wire.answer().status == 200
        assert all(wire.ended() for wire in idle[:4]), "one works, so four of them are too many"
        idle[4].send(sent(room))
        assert idle[4].answer().status == 200
        with room.modern("olga") as olga:
            reply(olga.call("post_message", {"text": "@bot wake up"}))
        assert reply(works.answer())["wakes"], "the oldest one worked, so it was not closed"
        others.send(sent(room, authorization=f"Bearer {room.token('rival')}"))
        assert others.answer().status == 200


# ------------------------------------------------------------------ descriptors


class Nothing(asyncio.Transport):
    """A connection that nobody is at the other end of."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


def caller(number: int) -> Caller:
    return Caller(f"t{number}", "first", number, f"m{number}", "agent", "member", 1, "olga")


LONG_AGO = -1e9


@given(st.integers(32, 1 << 20), st.integers(16, 16_384))
def test_some_descriptors_are_left_to_the_rest_of_the_server(files: int, most: int) -> None:
    found = shares(files, most)
    assert files - found.all >= min(RESERVED_FILES, files // 2)
    assert 0 < found.strangers <= min(most, found.all // 2)
    assert found.members >= found.strangers


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200))
def test_never_more_is_open_than_there_are_descriptors_for(steps: list[tuple[int, bool]]) -> None:
    """Members, 0 being a stranger, connect one after another, and stay; some of them work."""
    connections = Connections(Settings(strangers=16, connections=16), Rejections(Metrics()), files=64)
    for number, works in steps:
        assert connections.make_room()
        connection = Connection(Nothing(), since=LONG_AGO)
        connections.add(connection)
        if number:
            scope = {"method": "POST", "state": {"connection": connection}}
            connections.admit(scope, caller(number))
            if works:
                connections.answering(scope, caller(number), is_stream=True).__enter__()
        assert len(connections.open) <= connections.shares.all
        assert connections.strangers <= connections.shares.strangers
        assert connection in connections.open, "who came last is not closed"


def test_who_is_being_looked_at_is_never_closed_for_another() -> None:
    connections = Connections(Settings(strangers=16), Rejections(Metrics()))
    asked = [Connection(Nothing(), is_checked=True, since=LONG_AGO) for _ in range(16)]
    for connection in asked:
        connections.add(connection)
    assert not connections.make_room(), "the next one waits in the operating system's queue"
    connections.turn_away({"state": {"connection": asked[5]}})
    assert connections.make_room()
    assert set(asked) - connections.open == {asked[5]}


def test_who_has_just_arrived_is_left_to_send_its_request() -> None:
    connections = Connections(Settings(strangers=16), Rejections(Metrics()))
    for _ in range(16):
        connections.add(Connection(Nothing(), since=time.monotonic() + 1))
    assert not connections.make_room()
    for connection in connections.open:
        connection.since = LONG_AGO
    assert connections.make_room()


class Exhausted(socket.socket):
    """A listening socket whose process has no descriptor left for a while."""

    failures = 3

    def accept(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_a_server_without_a_descriptor_goes_on_accepting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "FAILED_SECONDS", 0.01)
    made = asyncio.Event()

    class Noted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()
            made.set()

    with Exhausted() as listener:
        listener.bind(("127.0.0.1", 0))
        server = Accepting(listener, Noted, Connections(Settings(), Rejections(Metrics())))
        server.start(16)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        async with asyncio.timeout(BOUND_SECONDS):
            await made.wait()
            assert await reader.read() == b""
        writer.close()
        server.close()
        await server.wait_closed()
    assert listener.failures == 0
    assert len(re.findall("no connection can be accepted", caplog.text)) == 3, "each try said so, and no more"
