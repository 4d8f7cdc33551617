"""Clients that send exactly the bytes a test wants."""

import contextlib
import json
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httptools

from tests.support.bounds import BOUND_SECONDS

MODERN = "2026-07-28"
LEGACY = "2025-06-18"

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Raw:
    """A piece of JSON text that goes out as it stands: what no JSON writer would write."""

    text: str

    def __repr__(self) -> str:
        return f"Raw({self.text[:40]!r}{'…' if len(self.text) > 40 else ''} of {len(self.text)})"


def to_json(value: Any) -> str:
    """A value as JSON, with raw pieces put in as they are."""
    try:
        return _WRITER.encode(value)
    except TypeError:  # of a raw piece
        return _with_raw_pieces(value)


_WRITER = json.JSONEncoder(separators=(",", ":"))


def _with_raw_pieces(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_with_raw_pieces(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_with_raw_pieces, value)) + "]"
    return json.dumps(value)


@dataclass
class Answer:
    """One HTTP response, as far as it came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    @property
    def json(self) -> Any:
        """What the body says: JSON, or the last event of an event stream."""
        if "text/event-stream" not in self.headers.get("content-type", ""):
            return json.loads(self.body)
        events = [line[5:].strip() for line in self.body.splitlines() if line.startswith(b"data:")]
        return json.loads([event for event in events if event][-1])

    # what httptools calls
    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class Wire:
    """One TCP connection to a room."""

    def __init__(self, port: int, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(BOUND_SECONDS)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "POST", enough: Callable[[Answer], bool] | None = None) -> Answer:
        """The next response; only so much of it as is `enough`, where the rest does not come by itself."""
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            data = self.socket.recv(65_536)
            if not data:
                break
            parser.feed_data(data)
            answer.status = parser.get_status_code()
            if method == "HEAD" or (enough is not None and enough(answer)):
                break
        return answer

    def ended(self) -> bool:
        """Whether the server has ended the connection; waits for it, and takes what still comes."""
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


def request(method: str, path: str, headers: Headers, body: bytes = b"") -> bytes:
    """One HTTP/1.1 request as bytes, with nothing added."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def posted(port: int, token: str | None, body: bytes, headers: Headers = (), path: str = "/mcp") -> bytes:
    """A POST to the MCP endpoint, or to another path. Given headers take the place of those that a good one has."""
    fixed = {
        "host": f"127.0.0.1:{port}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
        **({"authorization": f"Bearer {token}"} if token is not None else {}),
    }
    given = {name.lower() for name, _ in headers}
    return request("POST", path, [*((n, v) for n, v in fixed.items() if n not in given), *headers], body)


def modern_headers(method: str, name: str | None = None) -> list[tuple[str, str]]:
    """The headers that repeat the body of a modern request."""
    named = [("mcp-name", _header_value(name))] if name is not None else []
    return [("mcp-protocol-version", MODERN), ("mcp-method", method), *named]


def _header_value(name: str) -> str:
    """A name as a header carries it. What is no plain word needs the SDK, which is loaded only for that."""
    if _PLAIN.fullmatch(name):
        return name
    from mcp.shared.inbound import encode_header_value

    return encode_header_value(name)


_PLAIN = re.compile(r"[A-Za-z0-9_./:-]+")


def message(method: str, params: Any, id_: Any = 1) -> bytes:
    """A JSON-RPC request."""
    return to_json({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode()


class Modern:
    """A member whose calls are single requests of the newest protocol."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token, self.wire, self._id = port, token, Wire(port), 0

    def call(self, tool: str, arguments: Any, meta: dict[str, Any] | None = None) -> Answer:
        """Call a tool with anything for arguments."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, tool, meta)

    def read(self, uri: str) -> Answer:
        """Read a resource."""
        return self.ask("resources/read", {"uri": uri}, uri)

    def ask(
        self, method: str, params: dict[str, Any], name: str | None = None, meta: dict[str, Any] | None = None
    ) -> Answer:
        """Send a request; `name` is what the header Mcp-Name repeats."""
        self._id += 1
        body = message(method, {**params, "_meta": {**ENVELOPE, **(meta or {})}}, self._id)
        return self.post(body, modern_headers(method, name))

    def post(self, body: bytes, headers: Headers) -> Answer:
        """POST bytes; the connection is opened again when the server had closed it."""
        sent = posted(self.port, self.token, body, headers)
        with contextlib.suppress(ConnectionError):
            self.wire.send(sent)
            answer = self.wire.answer()
            if answer.complete:
                return answer
        self.wire.socket.close()
        self.wire = Wire(self.port)
        self.wire.send(sent)
        return self.wire.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.wire.socket.close()


class Legacy(Modern):
    """A member with a session of the protocol that has a handshake."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(port, token)
        client = {"name": "raw", "version": "0"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        self._session: list[tuple[str, str]] = []
        self._session = [("mcp-session-id", self.post(message("initialize", params, 0), ()).headers["mcp-session-id"])]
        self._session.append(("mcp-protocol-version", LEGACY))
        self.post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', self._session)

    @property
    def session(self) -> list[tuple[str, str]]:
        """The headers of the session."""
        return self._session

    def close(self) -> None:
        """End the session, which the server would keep otherwise."""
        host, token = f"127.0.0.1:{self.port}", f"Bearer {self.token}"
        with Wire(self.port) as wire:
            wire.send(request("DELETE", "/mcp", [("host", host), ("authorization", token), *self._session]))
            wire.answer()
        super().close()

    def ask(
        self, method: str, params: dict[str, Any], name: str | None = None, meta: dict[str, Any] | None = None
    ) -> Answer:
        """Send a request; this protocol repeats nothing in headers."""
        self._id += 1
        return self.post(message(method, {**params, **({"_meta": meta} if meta else {})}, self._id), self._session)


def reply(answer: Answer) -> dict[str, Any]:
    """The structured reply of a tool that was carried out."""
    result = answer.json["result"]
    assert not result.get("isError"), result
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def refusal(answer: Answer) -> dict[str, Any]:
    """The refusal in an answer of the gate or of a tool."""
    said = answer.json
    body: dict[str, Any] = said["error"]["data"] if "error" in said else said["result"]["structuredContent"]
    assert body["why"]
    assert body["fix"]
    return body


def was_refused(answer: Answer) -> bool:
    """Whether an answer is an error of the protocol or a refusal of the room."""
    return "error" in answer.json or bool(answer.json["result"].get("isError"))
