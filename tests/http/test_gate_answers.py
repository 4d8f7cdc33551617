"""What the gate refuses is answered under the request's own id: some clients wait for ever for any other."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.http import bodies
from teamroom.server.http.gate import REFUSED_BODY_BYTES, REFUSED_BODY_SECONDS
from teamroom.server.settings import Settings
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, Answer, Wire, message, modern_headers, posted, reply
from tests.support.room_in_thread import RoomInThread, is_within, room_in_thread
from tests.support.stopwatch import Stopwatch

pytestmark = promise("SAF6")

UNKNOWN = "tr_" + "0" * 64


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("gate") / "room", open_calls=1, **LIMITLESS) as room:
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


@promise("CTL3")
def test_the_refusal_of_a_killed_member_has_its_id_and_says_who_killed_it_and_why(room: RoomInThread) -> None:
    with room.modern("olga") as olga:
        reply(olga.call("kill", {"target": "doomed", "reason": "it ran wild"}))
    with room.wire() as wire:
        wire.send(call(room, room.token("doomed"), 5))
        answer = wire.answer()
    assert (answer.status, answer.json["id"]) == (200, 5)
    said = answer.json["result"]["structuredContent"]
    assert (said["code"], said["by"], said["reason"]) == ("killed", "olga", "it ran wild")
    assert said["why"] == "@doomed was killed by @olga: “it ran wild”."
    assert answer.json["result"]["isError"]
    assert "www-authenticate" not in answer.headers


def test_a_call_beyond_the_limit_is_refused_with_its_own_id(room: RoomInThread) -> None:
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
def test_a_message_without_an_id_is_refused_without_one(room: RoomInThread, body: bytes) -> None:
    with room.wire() as wire:
        wire.send(posted(room.port, UNKNOWN, body))
        answer = wire.answer()
    assert (answer.status, answer.json["id"]) == (401, None)


UNCLOSED = b'"' + b'\\"' * 131_000
"""A string that ends nowhere, as long as a body may be: whoever looks for its end from each mark looks for minutes."""


@pytest.mark.parametrize("opened", [b"[]" * 33, b"[" * 33], ids=["flat", "deep"])
def test_a_body_that_never_closes_its_string_is_answered_at_once(room: RoomInThread, opened: bytes) -> None:
    with room.wire() as wire, room.wire() as stranger:
        stranger.send(posted(room.port, UNKNOWN, opened + UNCLOSED))
        assert stranger.answer().status == 401
        wire.send(posted(room.port, room.token("bot"), opened + UNCLOSED, modern_headers("tools/call", "who")))
        assert wire.answer().status == 400


def test_a_naive_pattern_would_take_quadratic_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(marks: int) -> float:
        begun = time.process_time()
        bodies.is_deeper(b"[]" * 33 + b'"' + b'\\"' * marks, 32)
        return time.process_time() - begun

    assert seconds(131_000) < 1
    monkeypatch.setattr(bodies, "STRING", re.compile(rb'"(?:[^"\\]|\\.)*"'))
    assert seconds(4_000) > 16 * seconds(500)


def test_a_refused_client_that_never_sends_its_body_is_answered_soon(room: RoomInThread) -> None:
    with room.wire() as wire:
        stopwatch = Stopwatch()
        wire.send(posted(room.port, UNKNOWN, b"", [("content-length", "1000")]))
        assert wire.answer().status == 401
        assert stopwatch.seconds < 5


def test_an_endless_body_without_a_token_is_not_stored(tmp_path: Path, room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(posted(room.port, UNKNOWN, b"", [("content-length", str(10**9))]))
        assert wire.answer().status == 401


UNREAD = (b"", [("content-length", "1000")])
"""A body that is announced and never comes."""

ABOUT_A_SECOND = 2.0


@dataclass(frozen=True)
class Turned:
    """A client that the gate turns away: its token, and how it is answered."""

    token: str
    status: int
    code: str


@pytest.fixture(scope="module")
def turned_away(room: RoomInThread) -> Iterator[dict[str, Turned]]:
    """Every kind of client that the gate turns away whatever it asks for."""
    room.enroll("ended", "busy")
    with room.modern("olga") as olga:
        reply(olga.call("kill", {"target": "ended", "reason": "it deletes what others wrote!"}))
    with room.wire() as waiting:
        waiting.send(call(room, room.token("busy"), 1, "wait_for_wake", timeout_seconds=50))
        room.until_waiting()
        yield {
            "unknown": Turned(UNKNOWN, 401, "not_allowed"),
            "killed": Turned(room.token("ended"), 401, "killed"),
            "busy": Turned(room.token("busy"), 429, "rate_limited"),
        }


KINDS = ["unknown", "killed", "busy"]


def asked(room: RoomInThread, data: bytes) -> tuple[Answer, float]:
    """An answer on a connection of its own, and after how many seconds it came."""
    with room.wire() as wire:
        stopwatch = Stopwatch()
        wire.send(data)
        answer = wire.answer()
        return answer, stopwatch.seconds


@pytest.mark.parametrize("id_", [-7, 2**53, 10**199, "", "7", "x" * 200, 'a "quoted" \\ one'])
@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_carries_the_id_of_the_request_unchanged(
    room: RoomInThread, turned_away: dict[str, Turned], kind: str, id_: int | str
) -> None:
    turned = turned_away[kind]
    answer, _ = asked(room, call(room, turned.token, id_))
    assert (answer.json["id"], type(answer.json["id"])) == (id_, type(id_))
    if kind == "killed":  # its model must see it, so it is a result
        assert (answer.status, answer.json["result"]["structuredContent"]["code"]) == (200, "killed")
    else:
        assert (answer.status, answer.json["error"]["data"]["code"]) == (turned.status, turned.code)


@pytest.mark.parametrize("method", ["initialize", "server/discover", "tools/list", "no/such/method"])
def test_every_refusal_of_a_request_carries_its_id(room: RoomInThread, method: str) -> None:
    answer, _ = asked(room, posted(room.port, UNKNOWN, message(method, {}, "first")))
    assert (answer.status, answer.json["id"]) == (401, "first")


@pytest.mark.parametrize(("body", "id_"), [(b"no json", None), (message("x", {}, "b"), "b"), (b"{}", None)])
def test_a_pipelined_refusal_carries_its_own_id(room: RoomInThread, body: bytes, id_: str | None) -> None:
    """The next answer on a connection never carries the id of the one before."""
    with room.wire() as wire:
        wire.send(call(room, room.token("bot"), 1) + posted(room.port, UNKNOWN, body))
        assert [answer["id"] for answer in next_answers(wire, 2)] == [1, id_]


def next_answers(wire: Wire, count: int) -> list[Any]:
    """The bodies of answers that come one after another on one connection."""
    data, bodies = b"", list[Any]()
    while len(bodies) < count:
        head, found, rest = data.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        if found and len(rest) >= length:
            bodies.append(json.loads(rest[:length]))
            data = rest[length:]
        else:
            received = wire.socket.recv(65_536)
            assert received, f"the connection ended after {len(bodies)} answers"
            data += received
    return bodies


def deep(levels: int) -> bytes:
    """A request nested so deeply."""
    return b'{"jsonrpc":"2.0","id":6,"method":"x","params":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def large(size: int) -> bytes:
    """A request of so many bytes."""
    body = message("x", {"text": ""}, 6)
    return body.replace(b'""', b'"' + b"y" * (size - len(body)) + b'"')


DEPTH, BYTES = Settings().json_depth, REFUSED_BODY_BYTES

NO_ID: dict[str, bytes] = {
    "a notification": b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    "null": b'{"jsonrpc":"2.0","id":null,"method":"x"}',
    "false": b'{"jsonrpc":"2.0","id":false,"method":"x"}',
    "a list": b'{"jsonrpc":"2.0","id":[1],"method":"x"}',
    "not a number": b'{"jsonrpc":"2.0","id":NaN,"method":"x"}',
    "201 characters": message("x", {}, "x" * 201),
    "201 digits": message("x", {}, 10**200),
    "5000 digits": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"x"}',
    "of a batch": b"[" + message("x", {}) + b"]",
    "inside the parameters": b'{"jsonrpc":"2.0","method":"x","params":{"id":1}}',
    "in half a body": message("x", {})[:-1],
    "in UTF-16": message("x", {}).decode().encode("utf-16"),
    "of a text": b'"id"',
    "too deep": deep(DEPTH + 1),
    "too large": large(BYTES + 1),
}


@pytest.mark.parametrize("name", NO_ID)
def test_an_invalid_request_id_is_not_returned(room: RoomInThread, name: str) -> None:
    answer, seconds = asked(room, posted(room.port, UNKNOWN, NO_ID[name]))
    assert (answer.status, answer.json["id"]) == (401, None)
    assert answer.json["error"]["data"]["code"] == "not_allowed"
    assert seconds < ABOUT_A_SECOND


@pytest.mark.parametrize("body", [deep(DEPTH), large(BYTES)], ids=["as deep as may be", "as large as may be"])
def test_the_refusal_of_a_body_just_within_the_limits_carries_its_id(room: RoomInThread, body: bytes) -> None:
    answer, _ = asked(room, posted(room.port, UNKNOWN, body))
    assert (answer.status, answer.json["id"]) == (401, 6)


def test_the_refusal_of_a_body_that_is_not_json_carries_no_id(room: RoomInThread) -> None:
    answer, _ = asked(room, posted(room.port, UNKNOWN, message("x", {}), [("content-type", "text/plain")]))
    assert (answer.status, answer.json["id"]) == (401, None)


def test_a_refused_client_that_sends_no_body_waits_about_a_second(
    room: RoomInThread, turned_away: dict[str, Turned]
) -> None:
    with ExitStack() as stack:
        begun, stopwatch = time.monotonic(), Stopwatch()
        silent = {kind: stack.enter_context(room.wire()) for kind in KINDS}
        for kind, wire in silent.items():
            wire.send(posted(room.port, turned_away[kind].token, *UNREAD))
        served, seconds = asked(room, call(room, room.token("bot"), 1))
        assert served.status == 200
        assert seconds < REFUSED_BODY_SECONDS / 2
        for kind, wire in silent.items():
            answer = wire.answer()
            assert (answer.status, answer.json["id"]) == (turned_away[kind].status, None)
            assert time.monotonic() - begun > REFUSED_BODY_SECONDS * 0.9
            assert stopwatch.seconds < REFUSED_BODY_SECONDS + ABOUT_A_SECOND / 2


def test_the_room_does_not_wait_longer_for_a_body_that_arrives_byte_by_byte(room: RoomInThread) -> None:
    """The second is for the whole body, not for each piece of it."""
    begun, stopwatch = time.monotonic(), Stopwatch()
    with room.wire() as wire:
        wire.send(posted(room.port, UNKNOWN, *UNREAD))
        wire.socket.settimeout(REFUSED_BODY_SECONDS / 10)
        while time.monotonic() - begun < BOUND_SECONDS:
            wire.send(b" ")
            with suppress(TimeoutError):
                assert wire.answer().status == 401
                break
    assert stopwatch.seconds < ABOUT_A_SECOND


def test_a_body_that_arrives_after_its_refusal_is_not_taken_for_a_request(room: RoomInThread) -> None:
    """What looks like a request inside a refused body is never answered, let alone carried out."""
    hidden = call(room, room.token("bot"), "hidden", "post_message", text="smuggled in a refused body")
    with room.wire() as wire:
        wire.send(posted(room.port, UNKNOWN, b"", [("content-length", str(len(hidden)))]))
        assert wire.answer().status == 401
        wire.send(hidden + call(room, room.token("bot"), "open"))
        assert wire.answer().status == 0, "nothing more is answered here"
    with room.modern("olga") as olga:
        assert reply(olga.call("read_messages", {}))["messages"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_asks_before_it_sends_is_refused_at_once(
    room: RoomInThread, turned_away: dict[str, Turned], kind: str
) -> None:
    """It sends its body only when it is told to go on: a second of waiting would be a second for nothing."""
    turned = turned_away[kind]
    answer, seconds = asked(
        room, posted(room.port, turned.token, b"", [("content-length", "1000"), ("expect", "100-continue")])
    )
    assert (answer.status, answer.json["id"]) == (turned.status, None)
    assert seconds < REFUSED_BODY_SECONDS / 2


@pytest.mark.parametrize("length", [BYTES + 1, 10**9, 10**30])
def test_the_room_does_not_wait_for_a_body_that_is_declared_too_large(room: RoomInThread, length: int) -> None:
    answer, seconds = asked(room, posted(room.port, UNKNOWN, b"", [("content-length", str(length))]))
    assert answer.status in (400, 401)
    assert seconds < REFUSED_BODY_SECONDS / 2


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_room_waits_only_for_the_body_of_a_post(room: RoomInThread, method: str) -> None:
    head = posted(room.port, UNKNOWN, *UNREAD).replace(b"POST", method.encode(), 1)
    answer, seconds = asked(room, head)
    assert (answer.status, answer.json["id"]) == (401, None)
    assert seconds < REFUSED_BODY_SECONDS / 2


def test_callers_that_hang_up_in_mid_body_leave_nothing_open(room: RoomInThread) -> None:
    before = room.open_now()
    for _ in range(20):
        with room.wire() as wire:
            wire.send(posted(room.port, UNKNOWN, *UNREAD) + b"{")
    assert is_within(room.until_open(before), before)
    assert room.log.lines == []


def test_the_revoked_token_of_a_revived_member_does_not_mention_the_kill(room: RoomInThread) -> None:
    room.enroll("phoenix")
    dead = room.token("phoenix")
    with room.modern("olga") as olga:
        reply(olga.call("kill", {"target": "phoenix", "reason": "it ran wild"}))
        reply(olga.call("enroll", {"name": "phoenix", "revive": True}))
    answer, _ = asked(room, call(room, dead, 8))
    assert (answer.status, answer.json["id"], answer.json["error"]["data"]["code"]) == (401, 8, "not_allowed")
    assert "phoenix" not in answer.body.decode()


def test_a_reason_that_ends_with_an_exclamation_mark_is_shown_unchanged(
    room: RoomInThread, turned_away: dict[str, Turned]
) -> None:
    answer, _ = asked(room, call(room, turned_away["killed"].token, 1))
    said = answer.json["result"]["structuredContent"]
    assert said == {
        "code": "killed",
        "why": "@ended was killed by @olga: “it deletes what others wrote!”.",
        "fix": "Stop, and make no more calls. Tell the person who started you; only an owner can revive @ended.",
        "by": "olga",
        "reason": "it deletes what others wrote!",
    }
    words = answer.json["result"]["content"][0]["text"]
    assert words == f"Refused (killed): {said['why']} Fix: {said['fix']}"
