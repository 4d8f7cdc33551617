"""The short way answers byte for byte as the SDK does: calls, refusals and malformed frames, in both protocol eras.

Two rooms with the same clock and the same randomness get the same bytes. One of them has no short way.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools
import pytest
from mcp.server.streamable_http import StreamableHTTPServerTransport
from starlette.types import Scope, Send

from teamroom.tools.serve import ASKING_TOOLS, TOOLS, WAITING_TOOLS
from tests.support.bad_arguments import NASTY
from tests.support.promises import house
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, LEGACY, Answer, Raw, message, modern_headers, posted
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.rooms import StillTime

pytestmark = house

PORT = b"127.0.0.1:PORT"
SHORT_TOOLS = sorted(TOOLS.keys() - ASKING_TOOLS - WAITING_TOOLS)


def same_bytes() -> Callable[[int], bytes]:
    """Randomness that is the same in every room."""
    numbers = itertools.count()
    return lambda size: hashlib.shake_256(str(next(numbers)).encode()).digest(size)


@dataclass
class Twins:
    """Two rooms that get the same bytes: one with the short way, and one without."""

    rooms: tuple[RoomInThread, RoomInThread]
    sessions: list[str] = field(default_factory=list)
    answered: list[bool] = field(default_factory=list)
    """Of each request that passed the gate of the first room, whether the short way took it."""

    def modern(self, body: bytes, name: str = "who", **headers: str | None) -> list[bytes]:
        """What both answer to a body in the newest protocol."""
        given = {**dict(modern_headers("tools/call", name)), **_dashed(headers)}
        return [_exchange(room, body, given) for room in self.rooms]

    def older(self, body: bytes, **headers: str | None) -> list[bytes]:
        """What both answer to a body in a session of an older client."""
        return [
            _exchange(room, body, {"mcp-session-id": session, "mcp-protocol-version": LEGACY, **_dashed(headers)})
            for room, session in zip(self.rooms, self.sessions, strict=True)
        ]

    def same(self, answers: list[bytes]) -> bytes:
        """The answer that both gave."""
        short, long = answers
        assert short == long, f"\n{short[:900]!r}\n{long[:900]!r}"
        return short


def _dashed(headers: dict[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _exchange(room: RoomInThread, body: bytes, headers: dict[str, str | None]) -> bytes:
    """All bytes that a room answers, as if its port were the other one's."""
    named = [(name, value) for name, value in headers.items() if value is not None]
    with room.wire() as wire:
        wire.send(posted(room.port, room.token("bot"), body, named))
        answer, read = Answer(), b""
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete and (data := wire.socket.recv(65_536)):
            parser.feed_data(data)
            read += data
    return read.replace(f"127.0.0.1:{room.port}".encode(), PORT)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    def served(name: str) -> Any:
        folder = tmp_path_factory.mktemp("short") / name
        return room_in_thread(folder, time=StillTime(), entropy=same_bytes(), **LIMITLESS)

    with served("short") as short, served("long") as long:
        _without_short_way(long)
        found = Twins((short, long))
        for room in found.rooms:
            _answer_older_clients_with_one_body(room)
        _count_short(short, found)
        for room in found.rooms:
            room.enroll("bot", "rival")
            found.sessions.append(session_of(room))
        yield found


def session_of(room: RoomInThread) -> str:
    """The id of a new session of an older client."""
    client = room.legacy("bot")
    client.wire.socket.close()
    return client.session[0][1]


def _without_short_way(room: RoomInThread) -> None:
    """Let the SDK answer everything."""

    async def for_the_sdk(scope: Scope, send: Send) -> bool:
        return False

    room.transports.short_way.answer = for_the_sdk  # type: ignore[method-assign]


def _answer_older_clients_with_one_body(room: RoomInThread) -> None:
    """Let the SDK answer an older client as the short way does: with JSON, and not with a stream."""
    sessions = room.transports.sessions
    make = sessions.make

    def make_json(id_: str, idle_seconds: float | None) -> StreamableHTTPServerTransport:
        made = make(id_, idle_seconds)
        made.is_json_response_enabled = True
        return made

    sessions.make = make_json  # type: ignore[method-assign]


def _count_short(room: RoomInThread, twins: Twins) -> None:
    answer = room.transports.short_way.answer

    async def counted(scope: Scope, send: Send) -> bool:
        twins.answered.append(await answer(scope, send))
        return twins.answered[-1]

    room.transports.short_way.answer = counted  # type: ignore[method-assign]


def call(name: Any, arguments: Any, id_: Any = 1, meta: Any = ENVELOPE, **more: Any) -> bytes:
    params = {"name": name, "arguments": arguments, "_meta": meta, **more}
    return message("tools/call", {key: value for key, value in params.items() if value is not LEFT_OUT}, id_)


LEFT_OUT = object()

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("check_in", {}),
    ("check_in", {"mode": "every:60", "after": 3}),
    ("heartbeat", {}),
    ("post_message", {"text": 'grüße 日本 \u2028 \x7f \U0001f600 <b>&"\\', "summary": "é"}),
    ("post_message", {"text": "hello @rival and @nobody", "kind": "ask", "to": ["rival"]}),
    ("create_task", {"title": "a task", "needs": ["tool:docker"], "due": 3600.5, "priority": 3}),
    ("create_task", {"title": "another"}),
    ("claim_task", {"task": "T-2"}),
    ("claim_task", {"task": "T-2"}),
    ("update_task", {"task": "T-2", "fence": 1, "note": "half of it"}),
    ("update_task", {"task": "T-2", "fence": 9, "note": "half of it"}),
    ("read_board", {}),
    ("read_board", {"task": "T-2"}),
    ("read_messages", {"limit": 5}),
    ("read_messages", {"query": "grüße"}),
    ("who", {}),
    ("who", {"name": "rival"}),
    ("declare_capabilities", {"capabilities": ["tool:docker"]}),
    ("read_receipts", {"limit": 3}),
    ("overnight", {}),
    (
        "complete_task",
        {"task": "T-2", "fence": 1, "summary": "done", "evidence": [{"kind": "test", "ref": "1 passed"}]},
    ),
    ("no_such_tool", {}),
    ("who", {"Name": "rival", "nmae": 1, "also": None}),
    ("post_message", {"text": ""}),
    ("claim_task", {"task": "T-99"}),
    ("read_board", {"state": "wrong"}),
]

META: list[dict[str, Any]] = [
    {},
    {"teamroom/request-id": "once"},
    {"teamroom/request-id": "once"},
    {"teamroom/request-id": ""},
    {"teamroom/listener": "here", "teamroom/run": {"began": 1, "moved": 1}},
    {"progressToken": 7},
    {"progressToken": "seven"},
    {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "example.org/turn": [1]},
]
"""What calls carry next to their arguments."""


def test_calls_and_refusals_are_answered_as_the_sdk_does(twins: Twins) -> None:
    twins.answered.clear()
    for tool, arguments in CALLS:
        body = call(tool, arguments, f"call {tool}")
        assert twins.same(twins.modern(body, tool)).startswith(b"HTTP/1.1 200 ")
        assert twins.same(twins.older(call(tool, arguments, 7, LEFT_OUT))).startswith(b"HTTP/1.1 200 ")
    assert twins.answered == [True] * 2 * len(CALLS)


def test_every_tool_that_answers_at_once_is_answered_as_the_sdk_does(twins: Twins) -> None:
    twins.answered.clear()
    for tool in SHORT_TOOLS:
        twins.same(twins.modern(call(tool, {}), tool))
        twins.same(twins.older(call(tool, LEFT_OUT, -5, {})))
        twins.same(twins.older(call(tool, None, "")))
    assert twins.answered.count(True) >= 2 * len(SHORT_TOOLS)


def test_what_a_call_carries_is_read_as_the_sdk_reads_it(twins: Twins) -> None:
    twins.answered.clear()
    for meta in META:
        twins.same(twins.modern(call("heartbeat", {}, meta=ENVELOPE | meta), "heartbeat"))
        twins.same(twins.older(call("heartbeat", {}, meta=meta)))
    assert all(twins.answered)


def test_nasty_values_are_answered_as_the_sdk_does(twins: Twins) -> None:
    for value in NASTY:
        for tool, argument in (("who", "name"), ("post_message", "text"), ("read_messages", "limit")):
            body = call(tool, {argument: value})
            twins.same(twins.modern(body, tool))
            twins.same(twins.older(call(tool, {argument: value}, meta=LEFT_OUT)))


ENVELOPES: list[Any] = [
    LEFT_OUT,
    None,
    [],
    "x",
    {},
    *({key: value for key, value in ENVELOPE.items() if key != left} for left in ENVELOPE),
    *(
        {**ENVELOPE, key: value}
        for key in ENVELOPE
        for value in (None, 1, "", [], {}, {"name": "x"}, {"name": 1, "version": "1"})
    ),
    {**ENVELOPE, "io.modelcontextprotocol/logLevel": "wrong"},
    {**ENVELOPE, "io.modelcontextprotocol/logLevel": "info"},
    {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {"elicitation": 1}},
    {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "roots": {"listChanged": True}}},
    {**ENVELOPE, "io.modelcontextprotocol/related-task": {"taskId": 1}},
    *({**ENVELOPE, "progressToken": token} for token in (None, True, 1.5, [], {})),
    {**ENVELOPE, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
]

LONG = "io.modelcontextprotocol/clientInfo"
ENVELOPES.append({**ENVELOPE, LONG: {"name": "x" * 10_000, "version": "1"}})

FRAMES: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"[" + call("who", {}) + b"]",
    call("who", {})[:-1],
    call("who", {}) + b"x",
    call("who", {}) + b" \n",
    call("who", {}).replace(b'"2.0"', b'"1.0"'),
    call("who", {}).replace(b'"2.0"', b"2.0"),
    call("who", {}).replace(b'"id":1,', b""),
    call("who", {}).replace(b'"id":1,', b'"id":1,"id":2,'),
    call("who", {}).replace(b'"method"', b'"more":1,"method"'),
    call("who", {}).replace(b"tools/call", b"tools/cell"),
    call("who", {}).replace(b"tools/call", b"ping"),
    *(call("who", {}, id_) for id_ in (None, True, 1.5, 1.0, 2**70, "", "x" * 500, [], {}, Raw("1e2"), Raw("-0"))),
    *(call(name, {}) for name in (None, 1, [], {}, "", "WHO", "who ", "wh\u00f6", "x" * 300)),
    *(call("who", arguments) for arguments in (None, [], 1, "x", "{}", True)),
    *(call("who", {}, task=task) for task in (None, {}, {"ttl": 1})),
    *(call("who", {}, requestState=state) for state in (None, "x", 1)),
    *(call("who", {}, inputResponses=responses) for responses in (None, {}, 1)),
    call("who", {}, cursor=1),
    message("tools/call", []),
    message("tools/call", None),
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
    call("who", {"name": Raw("NaN")}),
    call("who", {"name": Raw('"\\ud800"')}),
    call("who", {}).replace(b'"who"', b'"who","name":"heartbeat"'),
]

ACCEPTED = ("", "*/*", "application/*", "text/event-stream", "text/html", "application/json;q=0.5", "APPLICATION/JSON")
VERSIONS = (None, "", "2025-06-18", "2025-11-25", "2024-11-05", "2099-01-01")

HEADERS: list[dict[str, str | None]] = [{"accept": accept} for accept in ACCEPTED]
HEADERS += [{"mcp_protocol_version": version} for version in VERSIONS]
HEADERS += [{"mcp_method": method} for method in (None, "", "tools/list", "Tools/Call")]
HEADERS += [{"mcp_name": name} for name in (None, "", "heartbeat", "Who", "=?base64?d2hv?=", "=?base64?d2h?=")]
HEADERS += [{"mcp_session_id": id_} for id_ in (None, "", "x", "y" * 300)]
HEADERS += [{"mcp_param_x": "1"}, {"last_event_id": "1"}, {"MCP_Name": "who"}]


def test_malformed_frames_are_answered_as_the_sdk_does(twins: Twins) -> None:
    for frame in FRAMES:
        twins.same(twins.modern(frame))
        twins.same(twins.older(frame))


def test_envelopes_are_judged_as_the_sdk_does(twins: Twins) -> None:
    for meta in ENVELOPES:
        twins.same(twins.modern(call("who", {}, meta=meta)))
        twins.same(twins.modern(call("who", {}, meta=meta)))
        twins.same(twins.older(call("who", {}, meta=meta)))


def test_a_long_envelope_is_judged_and_not_remembered(twins: Twins) -> None:
    twins.answered.clear()
    for size, is_short in ((100, True), (10_000, False)):
        meta = {**ENVELOPE, LONG: {"name": "y" * size, "version": "1"}}
        assert twins.same(twins.modern(call("who", {}, meta=meta))).startswith(b"HTTP/1.1 200 ")
        assert twins.answered.pop() is is_short


def test_headers_are_judged_as_the_sdk_does(twins: Twins) -> None:
    for headers in HEADERS:
        twins.same(twins.modern(call("who", {}), **headers))
        twins.same(twins.older(call("who", {}, meta=LEFT_OUT), **headers))


def test_a_short_way_that_trusts_every_envelope_is_found(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: the corpus tells a careless short way from the SDK."""
    monkeypatch.setattr("teamroom.server.http.short.is_valid", lambda envelope: True)
    differ = [meta for meta in ENVELOPES if len(set(twins.modern(call("who", {}, meta=meta)))) > 1]
    assert len(differ) >= 5


def test_an_older_client_is_answered_with_one_json_body_and_a_waiting_call_with_a_stream(tmp_path: Path) -> None:
    waits = message("tools/call", {"name": "wait_for_wake", "arguments": {"timeout_seconds": 0.01}})
    with room_in_thread(tmp_path / "room") as room:
        room.enroll("bot")
        headers: dict[str, str | None] = {"mcp-session-id": session_of(room), "mcp-protocol-version": LEGACY}
        assert b"content-type: application/json" in _exchange(room, call("who", {}, meta=LEFT_OUT), headers)
        assert b"content-type: text/event-stream" in _exchange(room, waits, headers)


def test_a_fault_is_answered_as_the_sdk_does(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("teamroom.tools.serve.render_reply", broken)
    for room in twins.rooms:
        room.look(lambda running: setattr(running.room.faults, "report", lambda what: "a fault"))
    answer = twins.same(twins.modern(call("heartbeat", {}), "heartbeat"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "a fault"
    twins.same(twins.older(call("heartbeat", {}, meta=LEFT_OUT)))
