"""What a client can do wrong below the tools: each is refused with a 4xx in words, and the server goes on (SAF6)."""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teamroom.server.refusals import CODES
from tests.raw import (
    ENVELOPE,
    LEGACY,
    MODERN,
    Answer,
    Legacy,
    RoomInThread,
    Wire,
    is_within,
    message,
    modern_headers,
    reply,
    room_in_thread,
)

CALL = message("tools/call", {"name": "who", "arguments": {}, "_meta": ENVELOPE})
POST = "POST /mcp HTTP/1.1"
PARSER = "text/plain; charset=utf-8"


def sent(
    room: RoomInThread, line: str = POST, body: bytes = CALL, more: tuple[str, ...] = (), **headers: str | None
) -> bytes:
    """A good request, but for what is given; a header that is None is left out, `more` are header lines to add."""
    fixed: dict[str, str | None] = {
        "host": f"127.0.0.1:{room.port}",
        "authorization": f"Bearer {room.token('bot')}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
        **dict(modern_headers("tools/call", "who")),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [line, *(f"{name}: {value}" for name, value in fixed.items() if value is not None), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def in_session(session: Legacy, method: str, body: bytes = b"") -> dict[str, Any]:
    """What makes of a request one of an older client's session."""
    headers = {name.replace("-", "_"): value for name, value in session.session}
    return {"line": f"{method} /mcp HTTP/1.1", "body": body, "mcp_method": None, "mcp_name": None, **headers}


def exchange(room: RoomInThread, data: bytes, method: str = "POST") -> Answer:
    """One request on a connection of its own."""
    with room.wire() as wire:
        wire.send(data)
        return wire.answer(method)


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """The gate's refusal: a status, and the refusal as text and as data."""
    assert answer.complete
    assert answer.status == status, answer
    error = answer.json["error"]
    assert error["data"]["code"] == code
    assert code in CODES
    assert error["data"]["why"]
    assert error["data"]["fix"]
    assert all(part in error["message"] for part in error["data"].values())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("wire") / "room", body_seconds=1) as room:
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


@pytest.mark.parametrize("path", ["/mcp", "/", "/healthz", "/readyz", "/nowhere"])
@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example", "127.0.0.1", "localhost:1", "127.0.0.1:{port}."),
        *("127.1:{port}", "127.0.0.1:{port}@evil", "[::1]", "127.0.0.1:0{port}"),
    ],
)
def test_a_foreign_host_is_refused_on_every_route(room: RoomInThread, path: str, host: str | None) -> None:
    value = None if host is None else host.format(port=room.port)
    method = "POST" if path == "/mcp" else "GET"
    assert_refused(exchange(room, sent(room, f"{method} {path} HTTP/1.1", host=value), method), 421, "not_allowed")


@pytest.mark.parametrize("path", ["/mcp", "/", "/healthz", "/readyz", "/nowhere"])
@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://localhost:1", "http://127.0.0.1:{port}"])
def test_a_web_page_of_any_origin_is_refused_on_every_route(room: RoomInThread, path: str, origin: str) -> None:
    method = "POST" if path == "/mcp" else "GET"
    data = sent(room, f"{method} {path} HTTP/1.1", origin=origin.format(port=room.port))
    assert_refused(exchange(room, data, method), 403, "not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_rooms_own_hosts_are_served(room: RoomInThread, host: str) -> None:
    assert exchange(room, sent(room, host=f"{host}:{room.port}")).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "Bearer", "Bearer ", "Bearer x", "Basic {token}", "{token}", "Bearer {token}x", "Bearer {token} x"),
        *("Bearer,{token}", "Bearer \xff\xfe", "Bearer " + "x" * 20_000, 'Bearer "{token}"', "Bearer {TOKEN}"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
def test_nobody_comes_in_without_a_token(room: RoomInThread, authorization: str | None, method: str) -> None:
    token = room.token("bot")
    value = None if authorization is None else authorization.format(token=token, TOKEN=token.upper())
    answer = exchange(room, sent(room, f"{method} /mcp HTTP/1.1", authorization=value), method)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    if method == "HEAD":
        assert answer.status == 401
    else:
        assert_refused(answer, 401, "not_allowed")


@pytest.mark.parametrize("line", ["POST /mcp?token={token} HTTP/1.1", "POST /mcp?access_token={token} HTTP/1.1"])
def test_a_token_in_the_address_or_a_cookie_opens_nothing(room: RoomInThread, line: str) -> None:
    token = room.token("bot")
    data = sent(
        room, line.format(token=token), authorization=None, cookie=f"token={token}; authorization=Bearer {token}"
    )
    assert_refused(exchange(room, data), 401, "not_allowed")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_opens_the_room_whatever_the_case_of_its_scheme(room: RoomInThread, scheme: str) -> None:
    assert exchange(room, sent(room, authorization=f"{scheme} {room.token('bot')}")).status == 200


def test_a_killed_member_is_told_so_and_not_invited(room: RoomInThread) -> None:
    data = sent(room, authorization=f"Bearer {room.token('ghost')}")
    assert exchange(room, data).status == 200
    with room.modern("olga") as owner:
        reply(owner.call("kill", {"target": "ghost", "reason": "test"}))
    answer = exchange(room, data)
    assert_refused(answer, 401, "killed")
    assert "www-authenticate" not in answer.headers


# ------------------------------------------------------------------ what is asked for


@pytest.mark.parametrize("path", ["/", "//mcp", "/mcp/", "/MCP", "/mcp%00", "/healthz/../mcp", "/mcp/x", "*", "/%2e"])
def test_an_unknown_path_is_refused(room: RoomInThread, path: str) -> None:
    assert_refused(exchange(room, sent(room, f"POST {path} HTTP/1.1")), 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reading_is_served_beside_the_mcp_endpoint(room: RoomInThread, method: str, path: str) -> None:
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
def test_a_header_that_decides_stands_only_once(room: RoomInThread, name: str) -> None:
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


def test_the_tool_of_the_body_is_never_another_than_the_headers(room: RoomInThread) -> None:
    """Two `name`s in one body: readers differ in which one counts, so it must be the one that the header names."""
    for first, last in (("who", "heartbeat"), ("heartbeat", "who")):
        params = f'{{"name":"{first}","name":"{last}","arguments":{{}},"_meta":{json.dumps(ENVELOPE)}}}'
        body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'.encode()
        assert exchange(room, sent(room, body=body)).status == (200 if last == "who" else 400)


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
def test_a_body_that_is_no_single_request_is_refused(room: RoomInThread, name: str) -> None:
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
def test_a_notification_is_acknowledged_and_no_more(room: RoomInThread, version: str) -> None:
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


# ------------------------------------------------------------------ how long a body is


@pytest.mark.parametrize("length", ["-1", "+5", "0x10", "abc", "5, 5", "1e3", "", " ", "9" * 20, "9" * 5000])
def test_a_length_that_is_no_number_is_refused(room: RoomInThread, length: str) -> None:
    answer = exchange(room, sent(room, content_length=length))
    assert (answer.status, answer.headers["content-type"]) == (400, PARSER)


@pytest.mark.parametrize("more", ["transfer-encoding: chunked", "content-length: 5", "transfer-encoding: gzip"])
def test_two_ways_to_find_the_bodys_end_are_refused(room: RoomInThread, more: str) -> None:
    """Otherwise a second request could hide in the body of the first (request smuggling)."""
    answer = exchange(room, sent(room, more=(more,)))
    assert (answer.status, answer.headers["content-type"]) == (400, PARSER)


def test_what_follows_a_length_that_is_too_short_is_no_request(room: RoomInThread) -> None:
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


def test_pipelined_requests_are_answered_in_order_each_for_itself(room: RoomInThread) -> None:
    calls = [message("tools/call", {"name": "who", "arguments": {}, "_meta": ENVELOPE}, id_) for id_ in range(20)]
    nobody: Any = {"authorization": None}
    requests = [sent(room, body=body, **({} if i % 5 else nobody)) for i, body in enumerate(calls)]
    with room.wire() as wire:
        wire.send(b"".join(requests))
        answers = many_answers(wire, len(requests))
    assert [answer.status for answer in answers] == [200 if i % 5 else 401 for i in range(20)]
    assert [answer.json["id"] for answer in answers if answer.status == 200] == [i for i in range(20) if i % 5]


def many_answers(wire: Wire, count: int) -> list[Answer]:
    """Answers that arrive on one connection, split by their lengths."""
    data, answers = b"", list[Answer]()
    while len(answers) < count:
        head, found, rest = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if not found or len(rest) < length:
            data += wire.socket.recv(65_536)
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
def test_what_is_no_http_is_answered_with_400_and_closed(room: RoomInThread, data: bytes) -> None:
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
    for method in ("GET", "POST"):
        answer = exchange(room, sent(room, f"{method} /mcp HTTP/1.1", **headers), method)
        assert 400 <= answer.status < 500


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(room: RoomInThread) -> None:
    data = sent(room, expect="100-continue")
    with room.wire() as wire:
        wire.send(data[: -len(CALL)])
        assert wire.answer().status == 100
        wire.send(CALL)
        assert wire.answer().status == 200


def test_a_client_that_asks_without_a_token_is_not_told_to_go_on(room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(sent(room, expect="100-continue", authorization=None)[: -len(CALL)])
        assert wire.answer().status == 401


def reset(connection: socket.socket) -> None:
    """End a connection with RST, as a crashed client's machine does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_request_cut_anywhere_leaves_nothing_open(room: RoomInThread) -> None:
    whole = sent(room)

    @settings(max_examples=60, deadline=None)
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

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@pytest.mark.parametrize("id_", ["", "0" * 32, "x", "x" * 10_000, "../..", "\xff"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_an_unknown_session_is_refused(room: RoomInThread, method: str, id_: str) -> None:
    body = message("tools/call", {"name": "who", "arguments": {}})
    data = sent(room, f"{method} /mcp HTTP/1.1", body, mcp_protocol_version=LEGACY, mcp_session_id=id_)
    answer = exchange(room, data, method)
    assert answer.status in (400, 404)
    assert answer.json["error"]["message"]


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


def test_an_endless_head_is_cut(room: RoomInThread) -> None:
    """Before a token was seen, nobody may make the server keep megabytes."""
    with room.wire() as wire:
        wire.send(b"POST /mcp HTTP/1.1\r\n" + (b"x-filler: " + b"y" * 8000 + b"\r\n") * 128)
        assert 400 <= wire.answer().status < 500


def test_a_connection_on_which_no_request_comes_is_closed(room: RoomInThread) -> None:
    with room.wire() as wire:
        wire.send(b"POST /mcp HTTP/1.1\r\n")
        assert wire.ended()
