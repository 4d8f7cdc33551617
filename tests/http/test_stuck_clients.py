"""Clients that stop reading: what they have open ends with their standing, and when they stand still (CTL4, SAF3)."""

import gc
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, Legacy, Modern, Wire, message, modern_headers, posted, reply, request
from tests.support.raw import (
    refusal as said,
)
from tests.support.room_in_thread import RoomInThread, is_within, room_in_thread
from tests.support.stopwatch import Stopwatch

GONE_SECONDS = 2.0
TINY_BUFFER = 2048
CLIENTS = 5
LARGE_TEXT = 11_800
ANSWERS = 150
"""Answers of two large texts, in words and as data: more than all buffers between server and client hold."""

SERVER = psutil.Process(os.getpid())

# The SDK forgets, unclosed, the streams of a call whose id is used again.
pytestmark = pytest.mark.filterwarnings("ignore:.*MemoryObject.*:pytest.PytestUnraisableExceptionWarning")

Opened = list[Wire]
Stuck = Callable[[RoomInThread, Legacy, str], Opened]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[RoomInThread]:
    """A room that would wait long before it cuts a client for standing still."""
    with room_in_thread(tmp_path / "room", stall_seconds=300) as served:
        served.enroll("bot")
        served.enroll("hanna", kind="human")
        served.enroll("rival", owner="hanna")
        with served.modern("rival") as rival:
            for number in range(2):
                reply(rival.call("post_message", {"text": f"{number}" * LARGE_TEXT}))
        yield served
        assert served.log.lines == []
    gc.collect()


# ------------------------------------------------------------------ ways to be stuck


def stuck_wires(room: RoomInThread, data: list[bytes]) -> Opened:
    """Connections that take next to nothing, each with something sent on it and nothing read."""
    wires = [room.wire(receive_bytes=TINY_BUFFER) for _ in data]
    for wire, sent in zip(wires, data, strict=True):
        wire.send(sent)
    return wires


def streams(room: RoomInThread, session: Legacy, name: str) -> Opened:
    """The GET stream of an older client."""
    headers = [("host", f"127.0.0.1:{room.port}"), ("authorization", f"Bearer {room.token(name)}")]
    opening = request("GET", "/mcp", [*headers, ("accept", "text/event-stream"), *session.session])
    return stuck_wires(room, [opening])


def older_waiting_calls(room: RoomInThread, session: Legacy, name: str) -> Opened:
    return stuck_wires(room, [older_wait(room, session, name, 100, seconds=50)])


def older_calls_with_one_id(room: RoomInThread, session: Legacy, name: str) -> Opened:
    """The SDK answers only the last call of one id in a session; the one before it would wait for ever."""
    opened: Opened = []
    for number in range(100, 100 + CLIENTS):
        opened += stuck_wires(room, [older_wait(room, session, name, number, seconds=50)])
        room.until_waiting()
        assert "tools" in session.post(message("tools/list", {}, number), session.session).json["result"]
        (newer,) = stuck_wires(room, [older_wait(room, session, name, 99, seconds=0.1)])
        with newer:  # it ends the wait before it, whose answer has nowhere to go
            reply(newer.answer())
    return opened


def older_wait(room: RoomInThread, session: Legacy, name: str, number: int, seconds: float) -> bytes:
    params = {"name": "wait_for_wake", "arguments": {"timeout_seconds": seconds}}
    return posted(room.port, room.token(name), message("tools/call", params, number), session.session)


def waiting_call(room: RoomInThread, name: str) -> bytes:
    params = {"name": "wait_for_wake", "arguments": {"timeout_seconds": 50}, "_meta": ENVELOPE}
    headers = modern_headers("tools/call", "wait_for_wake")
    return posted(room.port, room.token(name), message("tools/call", params), headers)


def listen(room: RoomInThread, name: str, *uris: str) -> bytes:
    params = {"notifications": {"resourceSubscriptions": list(uris)}, "_meta": ENVELOPE}
    headers = modern_headers("subscriptions/listen")
    return posted(room.port, room.token(name), message("subscriptions/listen", params), headers)


def large_answers(room: RoomInThread, name: str, count: int) -> bytes:
    params = {"name": "read_messages", "arguments": {}, "_meta": ENVELOPE}
    headers = modern_headers("tools/call", "read_messages")
    return posted(room.port, room.token(name), message("tools/call", params), headers) * count


def waiting_calls(room: RoomInThread, _: Legacy, name: str) -> Opened:
    return stuck_wires(room, [waiting_call(room, name)])


def listeners(room: RoomInThread, _: Legacy, name: str) -> Opened:
    return stuck_wires(room, [listen(room, name, "teamroom://board", "teamroom://stream")] * CLIENTS)


def full_pipes(room: RoomInThread, _: Legacy, name: str) -> Opened:
    """Calls behind answers that nobody takes: the server stands in the middle of sending."""
    return stuck_wires(room, [large_answers(room, name, ANSWERS) + waiting_call(room, name)] * CLIENTS)


def half_sent_calls(room: RoomInThread, _: Legacy, name: str) -> Opened:
    return stuck_wires(room, [waiting_call(room, name)[:-1]] * CLIENTS)


IDLE_AFTERWARDS = (waiting_calls, older_waiting_calls, listeners)
"""What is answered with the refusal: the answer waits for its reader, on a connection on which nothing runs."""

STUCK: dict[Stuck, int] = {
    streams: 1,
    older_waiting_calls: 1,
    older_calls_with_one_id: CLIENTS,
    waiting_calls: 1,
    listeners: CLIENTS,
    full_pipes: CLIENTS,
    half_sent_calls: CLIENTS,
}
"""Each way to be stuck, and how many requests stand still then."""


# ------------------------------------------------------------------ what the server has open


def answering(room: RoomInThread) -> int:
    return int(room.look(lambda _: room.connections.answering_now))


def sockets(room: RoomInThread) -> int:
    """How many connections the operating system keeps for the server."""
    found = SERVER.net_connections("tcp")
    return len([c for c in found if c.laddr.port == room.port and c.status != psutil.CONN_LISTEN])


def full(room: RoomInThread) -> int:
    """How many connections cannot send on."""
    sizes: list[int] = room.look(lambda _: [c.transport.get_write_buffer_size() for c in room.connections.open])
    return len([size for size in sizes if size > 0])


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def serves(room: RoomInThread, client: Modern) -> None:
    """Others are served while somebody is stuck, and at once."""
    for number in range(10):
        stopwatch = Stopwatch()
        reply(client.call("post_message", {"text": f"{number} of {secrets.token_hex(4)}"}))
        assert stopwatch.seconds < 1


def stick(room: RoomInThread, ways: list[Stuck], sessions: list[Legacy], stack: ExitStack) -> Opened:
    """Open everything, and wait until all of it stands still."""
    opened: Opened = []
    for way, session in zip(ways, sessions, strict=True):
        opened += [stack.enter_context(wire) for wire in way(room, session, "bot")]
    until(lambda: answering(room) == sum(STUCK[way] for way in ways))
    until(lambda: full(room) == (CLIENTS if full_pipes in ways else 0))
    return opened


def ends(room: RoomInThread, ways: list[Stuck], control: tuple[str, dict[str, str]], gone: bool = True) -> None:
    """Stick, control, and look after two seconds at what is still open."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(room.legacy("bot")) for _ in ways]
        olga = stack.enter_context(room.modern("olga"))
        rival = stack.enter_context(room.modern("rival"))
        serves(room, rival)
        reply(olga.call("heartbeat", {}))
        until(lambda: answering(room) == 0)
        connections, _, tasks = room.open_now()
        stick(room, ways, sessions, stack)
        serves(room, rival)

        stopwatch = Stopwatch()
        reply(olga.call(*control))
        if control[1].get("target") != "room":
            serves(room, rival)
        kept = sum(STUCK[way] for way in ways if way in IDLE_AFTERWARDS)
        kept = 0 if control[0] in ("kill", "revoke") else kept  # who is gone for good keeps no connection
        if not gone:
            end = time.monotonic() + GONE_SECONDS
            until(lambda: time.monotonic() > end)
        found = room.until_open((connections + kept, 0, tasks), GONE_SECONDS if gone else 0, stopwatch)
        if not gone:
            assert answering(room) == sum(STUCK[way] for way in ways)
            assert found[0] == connections + kept + sum(STUCK[way] for way in ways)
            return
        assert is_within(found, (connections + kept, 0, tasks)), found
        assert sockets(room) == found[0]
        assert full(room) == 0


# ------------------------------------------------------------------ the tests


PAUSE = ("pause", {"target": "bot", "reason": "test"})


@promise("CTL4")
@pytest.mark.parametrize("way", STUCK)
def test_a_pause_ends_the_streams_of_a_client_that_never_reads(room: RoomInThread, way: Stuck) -> None:
    ends(room, [way], PAUSE)


@promise("CTL4")
@pytest.mark.parametrize(
    "control",
    [
        ("kill", {"target": "bot", "reason": "test"}),
        ("pause", {"target": "owner:olga", "reason": "test"}),
        ("pause", {"target": "room", "reason": "test"}),
        ("revoke", {"name": "bot"}),
    ],
    ids=lambda control: " ".join(control[1].values()),
)
def test_every_switch_ends_all_of_it_at_once(room: RoomInThread, control: tuple[str, dict[str, str]]) -> None:
    ways = [way for way in STUCK if way is not older_waiting_calls]  # of an agent's calls only the newest waits
    ends(room, ways, control)


@promise("CTL4")
def test_connections_that_are_not_ended_would_stay_open(room: RoomInThread) -> None:
    """The twin: to cancel what waits is not enough for a client that has stopped reading."""
    room.look(lambda running: running.room.bus.on_ended.clear())
    ends(room, [way for way in STUCK if way not in IDLE_AFTERWARDS], PAUSE, gone=False)


@promise("CTL4")
@pytest.mark.parametrize("way", IDLE_AFTERWARDS)
@pytest.mark.parametrize("control", ["pause", "kill"])
def test_a_stuck_client_that_reads_again_learns_why_its_call_ended(
    room: RoomInThread, way: Stuck, control: str
) -> None:
    with ExitStack() as stack:
        session = stack.enter_context(room.legacy("bot"))
        opened = stick(room, [way], [session], stack)
        with room.modern("olga") as olga:
            reply(olga.call(control, {"target": "bot", "reason": "test"}))
        until(lambda: answering(room) == 0)
        if control == "kill":
            until(lambda: sockets(room) == 0)  # the server's end of each is closed, and its last answer lies ready
        for wire in opened:
            refusal = said(wire.answer())
            assert refusal["code"] == {"pause": "paused", "kill": "killed"}[control]
            assert "@olga" in refusal["why"]
            assert "test" in refusal["why"]


# ------------------------------------------------------------------ clients that stand still by themselves


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[RoomInThread]:
    """A room that cuts a client which takes nothing for a second."""
    with room_in_thread(tmp_path / "room", stall_seconds=1) as served:
        served.enroll("bot")
        with served.modern("bot") as bot:
            for number in range(2):
                reply(bot.call("post_message", {"text": f"{number}" * LARGE_TEXT}))
        yield served
        assert served.log.lines == []


@promise("SAF3")
def test_a_client_that_reads_nothing_is_disconnected(impatient: RoomInThread) -> None:
    before = impatient.open_now()
    (wire,) = stuck_wires(impatient, [large_answers(impatient, "bot", ANSWERS)])
    with closing(wire.socket):
        until(lambda: full(impatient) == 1)
        assert is_within(impatient.until_open(before, 3), before)


@promise("SAF3")
def test_a_client_that_reads_slowly_gets_everything(impatient: RoomInThread) -> None:
    """The twin: standing still ends a connection, being slow does not."""
    with impatient.wire(receive_bytes=262_144) as wire:
        wire.send(large_answers(impatient, "bot", ANSWERS))
        until(lambda: full(impatient) == 1)
        start, taken = time.monotonic(), 0
        while taken < ANSWERS * 2 * 2 * LARGE_TEXT:
            data = wire.socket.recv(65_536)
            assert data, f"cut off after {taken} bytes"
            taken += len(data)
            time.sleep(0.01)  # the slowness
        assert time.monotonic() - start > 1


@promise("SAF3")
def test_a_client_that_waits_with_nothing_to_read_is_not_disconnected(impatient: RoomInThread) -> None:
    with impatient.wire(receive_bytes=TINY_BUFFER) as wire:
        wire.send(waiting_call(impatient, "bot"))
        impatient.until_waiting()
        end = time.monotonic() + 1.5
        until(lambda: time.monotonic() > end)
        with impatient.modern("olga") as olga:
            reply(olga.call("post_message", {"text": "@bot still there?"}))
        assert reply(wire.answer())["wakes"]


# ------------------------------------------------------------------ listeners that never read


def listening(room: RoomInThread) -> int:
    return int(room.look(lambda running: running.room.push.count))


@promise("SAF3")
def test_listeners_that_never_read_cannot_exceed_the_cap_of_their_member(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", open_calls=5) as room, ExitStack() as stack:
        room.enroll("bot")
        opened = [stack.enter_context(wire) for wire in listeners(room, None, "bot")]  # type: ignore[arg-type]
        until(lambda: listening(room) == CLIENTS)
        for wire in stuck_wires(room, [listen(room, "bot", "teamroom://stream")] * 10):
            with wire:
                answer = wire.answer()
                assert (answer.status, said(answer)["code"]) == (429, "rate_limited")
        assert (listening(room), len(opened)) == (5, 5)
        with room.modern("olga") as olga:
            reply(olga.call("post_message", {"text": "the room goes on"}))


@promise("SAF3")
def test_abandoned_sessions_do_not_keep_a_member_from_listening(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", open_calls=5) as room, ExitStack() as stack:
        room.enroll("bot", "other")
        sessions = [stack.enter_context(room.legacy("bot")) for _ in range(8)]
        for session in sessions:
            assert session.ask("resources/subscribe", {"uri": "teamroom://board"}).json["result"] == {}
        assert listening(room) == 5
        newest = room.look(lambda running: running.room.push.followers("board"))
        assert len(newest) == 5
    gc.collect()


@promise("SAF3")
def test_listeners_that_never_read_cannot_exceed_the_cap_of_the_room(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", listeners=5) as room, ExitStack() as stack:
        room.enroll("bot", "other")
        opened = [stack.enter_context(wire) for wire in listeners(room, None, "bot")]  # type: ignore[arg-type]
        until(lambda: listening(room) == CLIENTS)
        for wire in stuck_wires(room, [listen(room, "other", "teamroom://stream")] * 10):
            with wire:
                assert said(wire.answer())["code"] == "busy"
        with room.legacy("other") as session:
            assert said(session.ask("resources/subscribe", {"uri": "teamroom://stream"}))["code"] == "busy"
        assert listening(room) == 5
        opened[0].socket.close()
        until(lambda: listening(room) == 4)
        with stuck_wires(room, [listen(room, "other", "teamroom://stream")])[0]:
            until(lambda: listening(room) == 5)


@promise("SAF3")
def test_a_listener_that_never_reads_is_disconnected_while_others_get_their_pushes(tmp_path: Path) -> None:
    uris = [f"teamroom://stream/{number}" for number in range(60)]
    with room_in_thread(tmp_path / "room", stall_seconds=1, push_seconds=0) as room:
        room.enroll("bot", "reader")
        (stuck,) = stuck_wires(room, [listen(room, "bot", *uris)])
        with stuck, room.wire() as reads, room.modern("olga") as olga:
            until(lambda: listening(room) == 1)
            reads.send(listen(room, "reader", "teamroom://stream"))
            until(lambda: listening(room) == 2)
            for number in range(2000):
                reply(olga.call("post_message", {"text": f"{number}"}))
                if full(room):
                    break
            assert full(room) == 1
            until(lambda: listening(room) == 1)
            assert stuck.ended()
            told = reads.answer(enough=lambda answer: b"resources/updated" in answer.body)
            assert b"resources/updated" in told.body
