"""Each limit: just within it is served, beyond it is refused in words, and nothing of it is kept (SAF3)."""

import asyncio
import select
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.settings import Settings
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, Modern, Wire, message, modern_headers, posted, refusal, reply, was_refused
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.stopwatch import Stopwatch

pytestmark = promise("SAF3")

DEFAULTS = Settings()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    """A room with the limits that it has when nobody changes them."""
    with room_in_thread(tmp_path_factory.mktemp("limits") / "room", refusals_per_hour=1000, **LIMITLESS) as served:
        served.enroll("bot", "rival")
        yield served
        assert served.log.lines == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RoomInThread]:
    """A room whose limits are reached soon."""
    limits = {
        "open_calls": 8,
        "sessions": 10,
        "body_seconds": 1,
        "stall_seconds": 1,
        "queue_acts": 16,
        "wait_seconds": 1,
    }
    with room_in_thread(tmp_path / "room", **limits) as served:
        served.enroll("bot", "rival", "third")
        yield served
        assert served.log.lines == []


@pytest.fixture
def bot(room: RoomInThread) -> Iterator[Modern]:
    with room.modern("bot") as client:
        yield client


# ------------------------------------------------------------------ the body


def test_the_limits_are_the_promised_ones() -> None:
    assert (DEFAULTS.body_bytes, DEFAULTS.json_depth) == (256 * 1024, 32)
    assert (DEFAULTS.open_calls, DEFAULTS.wait_seconds, DEFAULTS.wait_max_seconds) == (64, 45, 50)


def body_of(size: int) -> bytes:
    """A call whose body has this many bytes, in an argument that is not known."""
    params = {"name": "who", "arguments": {"filler": ""}, "_meta": ENVELOPE}
    short = message("tools/call", params)
    return short.replace(b'"filler":""', b'"filler":"' + b"x" * (size - len(short)) + b'"')


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_256_kib_is_read_and_one_of_a_byte_more_is_refused(room: RoomInThread, chunked: bool) -> None:
    for size, status in ((DEFAULTS.body_bytes, 200), (DEFAULTS.body_bytes + 1, 413)):
        body = body_of(size)
        assert len(body) == size
        data = posted(room.port, room.token("bot"), body, modern_headers("tools/call", "who"))
        if chunked:
            head = data[: -len(body)].replace(f"content-length: {size}".encode(), b"transfer-encoding: chunked")
            data = head + f"{size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        with room.wire() as wire:
            wire.send(data)
            answer = wire.answer()
        assert answer.status == status
        assert (reply(answer)["ignored"] == ["filler"]) if status == 200 else refusal(answer)["code"] == "too_large"


def test_a_body_that_is_declared_too_large_is_refused_before_it_arrives(room: RoomInThread) -> None:
    data = posted(room.port, room.token("bot"), b"", [("content-length", str(DEFAULTS.body_bytes + 1))])
    with room.wire() as wire:
        wire.send(data)
        assert wire.answer().status == 413


@pytest.mark.parametrize(("opening", "closing_"), [("[", "]"), ('{"a":', "}")])
def test_json_of_depth_32_is_read_and_of_depth_33_is_not(room: RoomInThread, opening: str, closing_: str) -> None:
    above = 3  # the message, its params, its arguments
    with room.modern("bot") as bot:
        for depth, is_read in ((DEFAULTS.json_depth, True), (DEFAULTS.json_depth + 1, False)):
            levels = depth - above
            text = '{"deep":%s}' % (opening * levels + "1" + closing_ * levels)
            body = message("tools/call", {"name": "who", "arguments": None, "_meta": ENVELOPE})
            answer = bot.post(body.replace(b"null", text.encode(), 1), modern_headers("tools/call", "who"))
            assert (reply(answer)["ignored"] == ["deep"]) if is_read else refusal(answer)["code"] == "too_large"


def test_brackets_in_texts_do_not_count_as_depth(bot: Modern) -> None:
    for text in ("[" * 5000, '\\"[{' * 500, '"' + "[" * 100, "\\" * 99 + "[" * 100):
        assert reply(bot.call("post_message", {"text": text}))["message"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_depth_cannot_hide_in_another_encoding(room: RoomInThread, bot: Modern, encoding: str) -> None:
    """In UTF-16 a letter may hold the byte of a quote, so that brackets would look like text."""
    arguments = '{"a":"\u2200","b":' + "[" * 60 + "]" * 60 + "}"
    body = message("tools/call", {"name": "who", "arguments": None, "_meta": ENVELOPE}).decode()
    answer = bot.post(body.replace("null", arguments, 1).encode(encoding), modern_headers("tools/call", "who"))
    assert answer.status == 400
    assert refusal(answer)["code"] == "invalid"


def test_the_room_stops_waiting_for_a_body_that_does_not_arrive(small: RoomInThread) -> None:
    data = posted(small.port, small.token("bot"), body_of(1000), modern_headers("tools/call", "who"))
    with small.wire() as slow, small.wire() as quick:
        slow.send(data[:-1])
        quick.send(data[:-1])
        quick.send(data[-1:])
        assert quick.answer().status == 200
        answer = slow.answer()
        assert (answer.status, refusal(answer)["code"]) == (408, "invalid")


# ------------------------------------------------------------------ calls, streams, sessions


def waiting_call(room: RoomInThread, name: str, seconds: float = 50) -> bytes:
    params = {"name": "wait_for_wake", "arguments": {"timeout_seconds": seconds}, "_meta": ENVELOPE}
    headers = modern_headers("tools/call", "wait_for_wake")
    return posted(room.port, room.token(name), message("tools/call", params), headers)


def answering(room: RoomInThread, count: int) -> None:
    """Wait until this many requests are being answered."""
    end = time.monotonic() + BOUND_SECONDS
    while room.look(lambda _: room.connections.answering_now) != count:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_member_has_64_calls_open_and_no_more(room: RoomInThread) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(room.wire()) for _ in range(DEFAULTS.open_calls)]
        for wire in wires:
            wire.send(waiting_call(room, "olga"))
        answering(room, DEFAULTS.open_calls)
        one_more = stack.enter_context(room.wire())
        one_more.send(waiting_call(room, "olga", 0))
        answer = one_more.answer()
        assert (answer.status, refusal(answer)["code"]) == (429, "rate_limited")
        assert answer.headers["retry-after"]
        with room.modern("rival") as rival:
            assert reply(rival.call("heartbeat", {}))["standing"] == "active", "others are not concerned"
        wires[0].socket.close()
        answering(room, DEFAULTS.open_calls - 1)
        one_more.send(waiting_call(room, "olga", 0))
        assert one_more.answer().status == 200, "one went, one comes"
    answering(room, 0)


def test_calls_that_are_still_being_sent_count_as_open(small: RoomInThread) -> None:
    """Otherwise any number could send their last byte at once, all of them after the check."""
    data = waiting_call(small, "bot", 0.5)
    limit = 8
    with ExitStack() as stack:
        wires = [stack.enter_context(small.wire()) for _ in range(2 * limit)]
        for wire in wires:
            wire.send(data[:-1])
        answering(small, limit)
        for wire in wires:
            wire.send(data[-1:])
        statuses = sorted(wire.answer().status for wire in wires)
    assert statuses == [200] * limit + [429] * limit


def test_streams_of_older_clients_count_as_open(small: RoomInThread) -> None:
    with ExitStack() as stack:
        for streams in range(8):
            session = stack.enter_context(small.legacy("rival"))
            answering(small, streams)
            session.wire.send(get_stream(small, "rival", session.session))
        answering(small, 8)
        answer = stack.enter_context(small.modern("rival")).call("who", {})
        assert (answer.status, refusal(answer)["code"]) == (429, "rate_limited")
        with small.modern("olga") as olga:
            reply(olga.call("pause", {"target": "rival", "reason": "let the streams end"}))
            answering(small, 0)
            reply(olga.call("resume", {"target": "rival", "reason": "test"}))


def get_stream(room: RoomInThread, name: str, session: list[tuple[str, str]]) -> bytes:
    headers = {"host": f"127.0.0.1:{room.port}", "authorization": f"Bearer {room.token(name)}", **dict(session)}
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"GET /mcp HTTP/1.1\r\n{lines}accept: text/event-stream\r\n\r\n".encode()


@promise("SAF10")
def test_for_a_further_session_of_an_older_client_its_longest_unused_one_is_ended(small: RoomInThread) -> None:
    """Only its own: another member's session is never ended to make room."""
    with ExitStack() as stack:
        others = [stack.enter_context(small.legacy("rival")) for _ in range(3)]
        sessions = [stack.enter_context(small.legacy("bot")) for _ in range(10)]
        sessions[1].wire.send(get_stream(small, "bot", sessions[1].session))
        answering(small, 1)
        assert sessions[0].call("who", {}).status == 200, "it was opened first, and used last"
        sessions += [stack.enter_context(small.legacy("bot")) for _ in range(4)]
        kept = [True, True, *[False] * 4, *[True] * 8]
        assert small.sessions(*sessions) == kept, "one has an open stream, and one was used last"
        assert small.sessions(*others) == [True] * 3
        answering(small, 1)  # the stream is open
        assert sessions[2].call("who", {}).status == 200, "it goes on in a new session"
        assert sum(small.sessions(*sessions)) == 10
        sessions[1].wire.socket.close()


@promise("SAF10")
def test_a_member_that_opens_sessions_without_end_has_ten_of_them(small: RoomInThread) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(small.legacy("rival"))
        for _ in range(50):
            newest = small.legacy("bot")
            assert newest.call("who", {}).status == 200
            newest.wire.socket.close()
        tasks = small.look(lambda _: len(asyncio.all_tasks()))
        for _ in range(50):
            small.legacy("bot").wire.socket.close()
        small.until_open((10_000, 0, tasks))
        assert small.open_now()[2] <= tasks
        assert other.call("who", {}).status == 200


def test_a_session_that_nobody_uses_ends(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", session_idle_seconds=1) as room:
        room.enroll("bot")
        room.legacy("bot").close()  # the first one starts a task that stays
        before = room.open_now()[2]
        session = room.legacy("bot")
        assert session.call("who", {}).status == 200
        room.until_open((10_000, 0, before))
        assert room.sessions(session) == [False]
        assert session.call("who", {}).status == 200, "it goes on in a new one"
        session.wire.socket.close()
    assert (DEFAULTS.sessions, DEFAULTS.session_idle_seconds) == (64, 3600)


@pytest.mark.parametrize(("seconds", "code"), [(50, None), (50.01, "invalid"), (1e9, "invalid"), (-1, "invalid")])
def test_a_call_waits_for_50_seconds_at_most(small: RoomInThread, seconds: float, code: str | None) -> None:
    with small.wire() as wire:
        wire.send(waiting_call(small, "bot", seconds))
        if code is not None:
            assert refusal(wire.answer())["code"] == code
            return
        small.until_waiting()
        with small.modern("rival") as rival:
            reply(rival.call("post_message", {"text": "@bot wake up"}))
        assert reply(wire.answer())["wakes"]


def test_a_call_without_a_time_waits_as_long_as_the_room_decides(small: RoomInThread) -> None:
    with small.modern("bot") as bot:
        start, stopwatch = time.monotonic(), Stopwatch()
        assert reply(bot.call("wait_for_wake", {}))["wakes"] == []
        assert time.monotonic() - start > 0.9
        assert stopwatch.seconds < 3


def test_no_call_waits_longer_than_the_room_allows(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", wait_max_seconds=1) as room, room.modern("olga") as olga:
        start, stopwatch = time.monotonic(), Stopwatch()
        assert reply(olga.call("wait_for_wake", {"timeout_seconds": 50}))["wakes"] == []
        assert time.monotonic() - start > 0.9
        assert stopwatch.seconds < 3


# ------------------------------------------------------------------ the queue of the writer


class HeldWriter:
    """The room's writer, held inside an act until it is let go."""

    def __init__(self, room: RoomInThread) -> None:
        self._room, self._go, self._holds = room, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=room.run, args=(self._hold,))

    async def _hold(self) -> None:
        def work(_: Any) -> None:
            self._holds.set()
            self._go.wait(BOUND_SECONDS)

        def recover(_: Any, error: Exception) -> None:
            raise error

        await self._room.running.room.store.write(work, recover)

    def __enter__(self) -> "HeldWriter":
        self._thread.start()
        assert self._holds.wait(BOUND_SECONDS)
        return self

    def let_go(self) -> None:
        self._go.set()

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._thread.join()


def full_queue(room: RoomInThread, stack: ExitStack) -> list[Wire]:
    """Send 24 acts while the writer is held; returns the connections whose acts wait, once the others were refused."""
    wires = [stack.enter_context(room.wire()) for _ in range(24)]
    for i, wire in enumerate(wires):
        token = room.token(("bot", "rival", "third")[i % 3])
        params = {"name": "post_message", "arguments": {"text": f"number {i}"}, "_meta": ENVELOPE}
        wire.send(posted(room.port, token, message("tools/call", params), modern_headers("tools/call", "post_message")))
    refused: list[Wire] = []
    while len(refused) < 24 - 16:
        ready = select.select([wire.socket for wire in wires if wire not in refused], [], [], BOUND_SECONDS)[0]
        assert ready, "nobody was refused"
        for wire in [wire for wire in wires if wire.socket in ready]:
            busy = refusal(wire.answer())
            assert (busy["code"], busy["retry_after_seconds"], busy["receipt"]) == ("busy", 1, None)
            refused.append(wire)
    return [wire for wire in wires if wire not in refused]


def test_more_acts_than_may_wait_are_refused_as_busy(small: RoomInThread) -> None:
    """As many as may wait are carried out; more are refused at once, leave nothing, and are carried out later."""
    with HeldWriter(small) as writer, small.modern("olga") as olga, ExitStack() as stack:
        waiting = full_queue(small, stack)
        assert refusal(olga.call("post_message", {"text": "one too many"}))["code"] == "busy"
        writer.let_go()
        answers = [wire.answer() for wire in waiting]
        carried_out = {reply(answer)["message"] for answer in answers if not was_refused(answer)}
        assert len(carried_out) in (15, 16), "the act that holds the writer may count as one"
        assert reply(olga.call("post_message", {"text": "one too many"}))["message"]
    lines = small.look(lambda running: [entry["summary"] for entry in running.entries()])
    assert len([line for line in lines if "number" in line]) == len(carried_out)
    assert len([line for line in lines if "one too many" in line]) == 1


def test_reads_go_on_while_the_writer_is_busy(small: RoomInThread) -> None:
    with HeldWriter(small), ExitStack() as stack:
        full_queue(small, stack)
        small.running.time.forward(60)
        with small.modern("olga") as olga:
            assert not was_refused(olga.call("who", {}))
