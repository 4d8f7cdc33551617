"""What a client can do wrong below the tools: each is refused with a 4xx in words, and the server goes on (SAF6)."""

import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mcp
import pytest

from teamroom.server.door.door import Door
from teamroom.server.http.gate import HEALTH_PATHS
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, LEGACY, MODERN, Wire, message, reply
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


# ------------------------------------------------------------------ who may come in


@promise("SAF1")
@pytest.mark.parametrize("path", ["/mcp", "/metrics", "/handshake", "/recover", "/nowhere", *HEALTH_PATHS])
@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example", "127.0.0.1", "localhost:1", "127.0.0.1:{port}."),
        *("127.1:{port}", "127.0.0.1:{port}@evil", "[::1]", "127.0.0.1:0{port}"),
    ],
)
def test_a_foreign_host_is_refused_on_every_route_but_the_probes_which_say_nothing_of_the_room(
    room: RoomInThread, path: str, host: str | None
) -> None:
    value = None if host is None else host.format(port=room.port)
    method = "POST" if path == "/mcp" else "GET"
    answer = exchange(room, sent(room, f"{method} {path} HTTP/1.1", host=value), method)
    if path in HEALTH_PATHS:
        asked = exchange(room, sent(room, f"{method} {path} HTTP/1.1"))
        assert (answer.status, json.loads(answer.body)) == (200, {"ok": True})
        assert answer.body == asked.body, "who asks makes no difference"
    else:
        assert_refused(answer, 421, "not_allowed")


@promise("SAF1")
@pytest.mark.parametrize("path", ["/mcp", "/livez", "/healthz", "/readyz", "/nowhere"])
@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://localhost:1", "http://127.0.0.1:{port}"])
def test_a_web_page_of_any_origin_is_refused_on_every_route(room: RoomInThread, path: str, origin: str) -> None:
    method = "POST" if path == "/mcp" else "GET"
    data = sent(room, f"{method} {path} HTTP/1.1", origin=origin.format(port=room.port))
    assert_refused(exchange(room, data, method), 403, "not_allowed")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how many packets with data came")
def test_an_answer_comes_as_one_packet_however_many_pieces_it_is_written_in(room: RoomInThread) -> None:
    with room.wire() as wire:
        for number in range(1, 4):
            wire.send(sent(room))
            assert wire.answer().status == 200
            assert packets_with_data(wire) == number


DATA_SEGMENTS = slice(152, 156)
"""Where Linux's `tcp_info` has the number of packets with data that came."""


def packets_with_data(wire: Wire) -> int:
    """How many packets with data have come on a connection."""
    info = wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS.stop)
    return int.from_bytes(info[DATA_SEGMENTS], sys.byteorder)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_rooms_own_hosts_are_served(room: RoomInThread, host: str) -> None:
    assert exchange(room, sent(room, host=f"{host}:{room.port}")).status == 200


@promise("SAF1")
@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "Bearer", "Bearer ", "Bearer x", "Basic {token}", "{token}", "Bearer {token}x", "Bearer {token} x"),
        *("Bearer,{token}", "Bearer \xff\xfe", "Bearer " + "x" * 20_000, 'Bearer "{token}"', "Bearer {TOKEN}"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
def test_no_request_without_a_token_is_accepted(room: RoomInThread, authorization: str | None, method: str) -> None:
    token = room.token("bot")
    value = None if authorization is None else authorization.format(token=token, TOKEN=token.upper())
    answer = exchange(room, sent(room, f"{method} /mcp HTTP/1.1", authorization=value), method)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    if method == "HEAD":
        assert answer.status == 401
    else:
        assert_refused(answer, 401, "not_allowed")


@promise("SAF1")
@pytest.mark.parametrize("line", ["POST /mcp?token={token} HTTP/1.1", "POST /mcp?access_token={token} HTTP/1.1"])
def test_a_token_in_the_address_or_a_cookie_gives_no_access(room: RoomInThread, line: str) -> None:
    token = room.token("bot")
    data = sent(
        room, line.format(token=token), authorization=None, cookie=f"token={token}; authorization=Bearer {token}"
    )
    assert_refused(exchange(room, data), 401, "not_allowed")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_case_of_the_authorization_scheme_does_not_matter(room: RoomInThread, scheme: str) -> None:
    assert exchange(room, sent(room, authorization=f"{scheme} {room.token('bot')}")).status == 200


def test_a_killed_member_is_refused_without_an_invitation_to_sign_in(room: RoomInThread) -> None:
    data = sent(room, authorization=f"Bearer {room.token('ghost')}")
    assert exchange(room, data).status == 200
    with room.modern("olga") as owner:
        reply(owner.call("kill", {"target": "ghost", "reason": "test"}))
    answer = exchange(room, data)
    assert (answer.status, answer.json["result"]["structuredContent"]["code"]) == (200, "killed")
    assert "www-authenticate" not in answer.headers


# ------------------------------------------------------------------ what is asked for


@pytest.mark.parametrize("path", ["//mcp", "/mcp/", "/MCP", "/mcp%00", "/healthz/../mcp", "/mcp/x", "*", "/%2e"])
def test_an_unknown_path_is_refused(room: RoomInThread, path: str) -> None:
    assert_refused(exchange(room, sent(room, f"POST {path} HTTP/1.1")), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
def test_a_probe_needs_no_token(room: RoomInThread, method: str, path: str) -> None:
    assert exchange(room, sent(room, f"{method} {path} HTTP/1.1", authorization=None), method).status == 200


def test_only_the_probe_of_readiness_looks_at_the_store(room: RoomInThread, monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_not_ready(self: Door) -> bool:
        return False

    monkeypatch.setattr(Door, "is_ready", is_not_ready)
    found = {path: exchange(room, sent(room, f"GET {path} HTTP/1.1")).status for path in HEALTH_PATHS}
    assert found == {"/livez": 200, "/healthz": 200, "/readyz": 503}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
def test_only_reads_are_served_outside_the_mcp_endpoint(room: RoomInThread, method: str, path: str) -> None:
    answer = exchange(room, sent(room, f"{method} {path} HTTP/1.1"))
    assert_refused(answer, 405, "invalid")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "HEAD", "GET", "DELETE"])
@pytest.mark.parametrize("version", [MODERN, LEGACY, None])
def test_a_method_that_the_endpoint_does_not_serve_is_refused(
    room: RoomInThread, method: str, version: str | None
) -> None:
    data = sent(room, f"{method} /mcp HTTP/1.1", b"", mcp_protocol_version=version)
    needs_a_session = version != MODERN and method in ("GET", "DELETE")
    assert exchange(room, data, method).status == (400 if needs_a_session else 405)


@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "*/*"),
        *("application/jsonp", "application/json-rpc", "application/json, text/plain", "text/plain; application/json"),
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(room: RoomInThread, content_type: str | None) -> None:
    assert_refused(exchange(room, sent(room, content_type=content_type)), 415, "invalid")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_is_json_with_any_parameters(room: RoomInThread, content_type: str) -> None:
    assert exchange(room, sent(room, content_type=content_type)).status == 200


@pytest.mark.parametrize("accept", [None, "", "text/html", "text/event-stream", "application/jsonp"])
@pytest.mark.parametrize("version", [MODERN, None])
def test_a_client_that_accepts_no_json_is_refused(room: RoomInThread, accept: str | None, version: str | None) -> None:
    data = sent(room, accept=accept, mcp_protocol_version=version)
    assert exchange(room, data).status in ((406,) if version else (400, 406))


@pytest.mark.parametrize("name", ["host", "origin", "authorization", "content-type"])
def test_a_header_that_decides_may_occur_only_once(room: RoomInThread, name: str) -> None:
    given: Any = {"origin": "http://evil.example"} if name == "origin" else {}
    twice = next(line for line in sent(room, **given).decode("latin-1").split("\r\n") if line.startswith(f"{name}: "))
    answer = exchange(room, sent(room, more=(twice,), **given))
    assert_refused(answer, 400, "invalid")
    assert name in answer.json["error"]["message"]


# ------------------------------------------------------------------ headers against the body


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"mcp_method": None}, -32020),
        ({"mcp_method": "tools/list"}, -32020),
        ({"mcp_method": "subscriptions/listen"}, -32020),
        ({"mcp_method": "TOOLS/CALL"}, -32020),
        ({"mcp_name": None}, -32020),
        ({"mcp_name": "kill"}, -32020),
        ({"mcp_name": "wait_for_wake"}, -32020),
        ({"mcp_name": "=?base64?d2hv"}, -32020),
        ({"mcp_name": "=?base64?!!!!?="}, -32020),
        ({"mcp_protocol_version": "1999-01-01"}, -32020),
        ({"mcp_protocol_version": "x" * 10_000}, -32020),
        ({"more": ("mcp-method: tools/call",)}, -32020),
        ({"more": ("mcp-name: kill",)}, -32020),
        ({"more": ("mcp-protocol-version: 2026-07-28",)}, -32020),
        ({"mcp_protocol_version": LEGACY}, -32600),
        ({"mcp_protocol_version": None}, -32600),
    ],
    ids=str,
)
def test_a_header_that_contradicts_the_body_is_refused(room: RoomInThread, headers: Any, code: int) -> None:
    answer = exchange(room, sent(room, **headers))
    assert answer.status == 400
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["message"]


def test_white_space_around_a_header_value_is_ignored(room: RoomInThread) -> None:
    assert exchange(room, sent(room)).status == 200
    request = sent(room).replace(b"mcp-name: who", b"mcp-name: \t who \t")
    assert request != sent(room)
    assert exchange(room, request).status == 200


def test_the_tool_that_runs_is_the_one_that_the_header_names(room: RoomInThread) -> None:
    """Two `name`s in one body: readers differ in which one counts, so it must be the one that the header names."""
    for first, last in (("who", "heartbeat"), ("heartbeat", "who")):
        params = f'{{"name":"{first}","name":"{last}","arguments":{{}},"_meta":{json.dumps(ENVELOPE)}}}'
        body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'.encode()
        assert exchange(room, sent(room, body=body)).status == (200 if last == "who" else 400)


WHAT_THE_SDK_READS = {
    "accept": ("application/json, text/event-stream", "text/event-stream", "*/*", "", "x"),
    "content-type": ("application/json", "text/plain", ""),
    "last-event-id": ("1", "", "x" * 5000, "\xff", "-1"),
    "mcp-session-id": ("{session}", "", "x", "\xff", "{session}, x"),
    "mcp-protocol-version": (MODERN, LEGACY, "2025-11-25", "2024-11-05", "1999-01-01", "", "\xff"),
    "mcp-method": ("tools/call", "", "\xff", "initialize", "subscriptions/listen"),
    "mcp-name": ("who", "", "\xff", "=?base64?d2hv?=", "wait_for_wake"),
    "mcp-param-name": ("x", "\xff"),
    "x-mcp-header": ("name",),
    "content-length": ("0",),
    "transfer-encoding": ("chunked",),
    "expect": ("100-continue", "x"),
    "te": ("trailers",),
    "connection": ("close", "keep-alive", "x"),
    "range": ("bytes=0-1",),
    "if-none-match": ("*",),
    "x-http-method-override": ("DELETE",),
    "x-forwarded-host": ("evil.example",),
}
"""Headers that the SDK and what is below it look at, with values that they may not expect."""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
@pytest.mark.parametrize("name", WHAT_THE_SDK_READS)
def test_no_header_and_no_method_causes_a_5xx(room: RoomInThread, method: str, name: str) -> None:
    for version in (MODERN, LEGACY, None):
        for value in WHAT_THE_SDK_READS[name]:
            with room.legacy("bot") as session, room.wire() as wire:
                own = {} if version == MODERN else {"mcp_session_id": session.session[0][1], "mcp_method": None}
                body = b"" if method != "POST" else CALL
                given = {name.replace("-", "_"): value.format(session=session.session[0][1])}
                headers: Any = {"mcp_protocol_version": version, **own, **given}
                wire.send(sent(room, f"{method} /mcp HTTP/1.1", body, **headers))
                wire.send(b"0\r\n\r\n" if name == "transfer-encoding" else b"")
                answer = wire.answer(method, enough=lambda answer: answer.status >= 200)
                assert 100 <= answer.status < 500, (version, value, answer)


def test_the_walk_knows_every_header_that_the_sdk_reads() -> None:
    """A new release may look at more of them."""
    found = set[str]()
    sdk = Path(mcp.__file__).parent
    for file in (*sdk.glob("server/*streamable_http*.py"), *sdk.glob("server/*security.py"), sdk / "shared/inbound.py"):
        found |= set(re.findall(r'headers\.get\("([a-z-]+)"', file.read_text()))
        found |= set(re.findall(r'_HEADER[^=\n]*= "([a-z-]+)"', file.read_text()))
    assert len(found) >= 8
    assert found <= {*WHAT_THE_SDK_READS, "host", "origin"}, "the gate has checked these two"


@pytest.mark.parametrize("id_", ["1", "", "an id of another server"])
def test_a_client_that_names_its_last_event_gets_a_stream_as_any_other(room: RoomInThread, id_: str) -> None:
    """The events of the room have no ids, so nothing can be sent again."""
    with room.legacy("bot") as session, room.wire() as wire:
        wire.send(sent(room, **in_session(session, "GET"), last_event_id=id_))
        answer = wire.answer("GET", enough=lambda answer: answer.status > 0)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")


# ------------------------------------------------------------------ bodies


BODIES: dict[str, tuple[bytes, int | str]] = {
    "empty": (b"", -32700),
    "half": (CALL[:-3], -32700),
    "words": (b"hello", -32700),
    "trailing": (CALL + b"}", -32700),
    "not utf-8": (CALL.replace(b"who", b"\xff\xfe\xfd"), -32700),
    "latin-1": (CALL.replace(b"who", b"wh\xf6"), -32700),
    "a number too long to read": (CALL.replace(b'"id":1', b'"id":' + b"9" * 5000), -32700),
    "utf-16": (CALL.decode().encode("utf-16"), "invalid"),
    "utf-16 without its mark": (CALL.decode().encode("utf-16-be"), "invalid"),
    "utf-32": (CALL.decode().encode("utf-32"), "invalid"),
    "zeros": (b"\x00" * 100, "invalid"),
    "deep": (b"[" * 33 + b"]" * 33, "too_large"),
    "deep and never closed": (b"[" * 250_000, "too_large"),
    "deep objects": (b'{"a":' * 33 + b"1" + b"}" * 33, "too_large"),
    "empty batch": (b"[]", -32600),
    "batch": (b"[" + CALL + b"," + CALL + b"]", -32600),
    "text": (b'"tools/call"', -32600),
    "null": (b"null", -32600),
    "result": (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600),
    "error": (b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}', -32600),
    "no method": (b'{"jsonrpc":"2.0","id":1}', -32600),
    "old version": (CALL.replace(b'"2.0"', b'"1.0"'), -32600),
    "id true": (CALL.replace(b'"id":1', b'"id":true'), -32600),
    "id null": (CALL.replace(b'"id":1', b'"id":null'), -32600),
    "params a list": (message("tools/call", [1]), -32600),
    "no envelope": (message("tools/call", {"name": "who", "arguments": {}}), -32602),
    "arguments a list": (message("tools/call", {"name": "who", "arguments": [1], "_meta": ENVELOPE}), -32602),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_a_single_request_is_refused(room: RoomInThread, name: str) -> None:
    body, code = BODIES[name]
    answer = exchange(room, sent(room, body=body))
    if isinstance(code, str):
        assert_refused(answer, 400, code)
    else:
        assert answer.status == 400
        assert answer.json["error"]["code"] == code


OLDER = {"no envelope": 200, "arguments a list": 200, "result": 202, "error": 202, "id null": 202, "id true": 202}
"""An older call needs no envelope, wrong parameters are said in its stream, and answers are taken, and dropped."""


@pytest.mark.parametrize("name", BODIES)
def test_an_older_client_with_such_a_body_is_refused_too(room: RoomInThread, name: str) -> None:
    with room.legacy("bot") as session:
        answer = exchange(room, sent(room, **in_session(session, "POST", BODIES[name][0])))
        assert answer.status == OLDER.get(name, 400)


@pytest.mark.parametrize("version", [MODERN, LEGACY])
def test_a_notification_is_only_acknowledged(room: RoomInThread, version: str) -> None:
    body = b'{"jsonrpc":"2.0","method":"notifications/whatever","params":{}}'
    with room.legacy("bot") as session:
        data = in_session(session, "POST", body) if version == LEGACY else {"body": body}
        answer = exchange(room, sent(room, **data))
    assert (answer.status, answer.body.strip()) == (202, b"")


@pytest.mark.parametrize(
    "method", ["tools/delete", "", "tools/call\x00", "events/stream", "subscriptions/listen", "x" * 500]
)
def test_an_unknown_method_is_refused_in_both_eras(room: RoomInThread, method: str) -> None:
    body = message(method, {"_meta": ENVELOPE})
    answer = exchange(room, sent(room, body=body, mcp_method=method.rstrip("\x00"), mcp_name=None))
    assert answer.status in (400, 404)
    assert answer.json["error"]["code"] in (-32601, -32020, -32602)
    with room.legacy("bot") as session:
        said = exchange(room, sent(room, **in_session(session, "POST", message(method, {}))))
        assert said.json["error"]["code"] in (-32601, -32602)
