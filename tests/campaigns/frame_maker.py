"""Frames as no client should send them: good requests of both protocol eras, broken at random in every layer.

A frame is made from a seed and its number alone, so that one that was found can be made again.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from teamroom.tools.serve import TOOLS
from teamroom.tools.tool import Tool
from tests.support.bad_arguments import LIKELY, LIKELY_NUMBERS, NASTY, UNKNOWN_ARGUMENTS
from tests.support.raw import ENVELOPE, LEGACY, MODERN, Headers, Raw, modern_headers, posted, request, to_json

METHODS = [
    *("initialize", "server/discover", "ping", "tools/list", "tools/call", "resources/list"),
    *("resources/templates/list", "resources/read", "prompts/list", "prompts/get", "completion/complete"),
    *("resources/subscribe", "resources/unsubscribe", "logging/setLevel", "sampling/createMessage", "roots/list"),
    *("notifications/initialized", "notifications/cancelled", "notifications/progress", "tasks/get", "events/list"),
    *("rpc.discover", "", "tools/call\n", "__init__", "x" * 3000),
]
URIS = [
    *("me", "inbox", "stream", "stream/1", "board", "roster", "plants", "policy", "tasks/T-1", "members/bot"),
    *("messages/M-1", "receipts/1", "inbox?x", "tasks/", "tasks/T-1/..", "members/" + "x" * 200, "\u202e", "%00"),
]
PROMPTS = ["catch-up", "hand-over", "stand-up", "inbox", "decide", "assign", "stop-everything", "nothing", ""]
VERSIONS = [MODERN, LEGACY, "2025-11-25", "2025-03-26", "2024-11-05", "1999-01-01", "", "x" * 500, "\x01"]
HTTP_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "FOO", "post"]
PATHS = [
    "/mcp",
    "/mcp/",
    "//mcp",
    "/",
    "/metrics",
    "/readyz",
    "/livez",
    "/healthz",
    "/../mcp",
    "/mcp?x=1",
    "/%2e%2e",
    "*",
]
HEADER_VALUES = [
    "",
    " ",
    "null",
    "x" * 9000,
    "\xff",
    "a, b",
    "*/*",
    "127.0.0.1",
    "http://evil.example",
    "0",
    "-1",
    "1e9",
]


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes to send. `whole`: an answer must come; else the server may rightly wait for more, or close.

    `streams`: what is answered may stay open, so that its head is enough.
    """

    kind: str
    data: bytes
    whole: bool = True
    streams: bool = False


@dataclass
class FrameMaker:
    """Makes frames for a room on a port, with tokens that are good, dead and made up, and an open session."""

    port: int
    tokens: list[str]
    strangers: list[str]
    seed: int
    token: str = ""
    session: Headers = ()
    """A session of the older protocol, and the token that opened it: one at a time calls in it."""
    _asked: int = 0

    def make(self, number: int) -> Frame:
        """The frame of that number."""
        dice = random.Random(f"{self.seed}:{number}")
        return dice.choices(KINDS, WEIGHTS)[0](self, dice)

    # -------------------------------------------------------------- the layers, from the innermost out

    def call(self, dice: random.Random) -> Frame:
        """A tool's call, its arguments broken in up to three places."""
        tool = dice.choice(list(TOOLS.values()))
        params = {"name": dice.choice([tool.name] * 19 + ["nothing"]), "arguments": _arguments(dice, tool)}
        return Frame("call", self._request(dice, "tools/call", params, params["name"]))

    def ask(self, dice: random.Random) -> Frame:
        """Any method with params of its own kind, or any others."""
        method = dice.choice(METHODS)
        params, name = _params(dice, method)
        if dice.random() < 0.3:
            params = dice.choice([_broken(dice), {**params, dice.choice(list(params) or ["x"]): _broken(dice)}])
        streams = method in ("resources/subscribe", "initialize")
        return Frame("method", self._request(dice, method, params, name), streams=streams)

    def envelope(self, dice: random.Random) -> Frame:
        """A message that is no request, or not one of JSON-RPC."""
        message: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": dice.randrange(9),
            "method": dice.choice(METHODS),
            "params": {},
        }
        for _ in range(dice.randrange(1, 4)):
            key = dice.choice(["jsonrpc", "id", "method", "params", "result", "error", "extra"])
            if dice.random() < 0.3:
                message.pop(key, None)
            else:
                message[key] = _broken(dice)
        body = to_json([message] * dice.randrange(3) if dice.random() < 0.1 else message)
        return Frame("envelope", self._post(dice, body.encode(errors="replace"), self._era(dice, "tools/call", None)))

    def body(self, dice: random.Random) -> Frame:
        """A good body with bytes changed, cut out, doubled or put in, its length right."""
        params = {"name": "post_message", "arguments": {"text": "plain words"}, "_meta": ENVELOPE}
        body = bytearray(to_json({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode())
        for _ in range(dice.randrange(1, 6)):
            _change(dice, body)
        headers = list(modern_headers("tools/call", "post_message"))
        if dice.random() < 0.2:
            headers.append(("content-type", dice.choice(["text/plain", "application/json; charset=utf-16", ""])))
        return Frame("body", self._post(dice, bytes(body), headers))

    def head(self, dice: random.Random) -> Frame:
        """A good call whose line and headers say something else."""
        body = to_json({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}}).encode()
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "authorization": f"Bearer {dice.choice([*self.tokens, *self.strangers])}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            **dict(dice.choice([modern_headers("tools/list"), self.session])),
        }
        lines = list(headers.items())
        for _ in range(dice.randrange(1, 4)):
            place = dice.randrange(len(lines))
            name = lines[place][0]
            change = dice.randrange(4)
            if change == 0:
                del lines[place]
            elif change == 1:
                lines.append((name, dice.choice(HEADER_VALUES)))
            else:
                lines[place] = (name, dice.choice([*HEADER_VALUES, *VERSIONS]))
        method, path = dice.choice([("POST", "/mcp")] * 3 + [(dice.choice(HTTP_METHODS), dice.choice(PATHS))])
        return Frame("head", request(method, path, lines, body), whole=False)

    def bytes(self, dice: random.Random) -> Frame:
        """A good request with its bytes changed or cut, so that it may be no HTTP any more."""
        data = bytearray(self.call(dice).data)
        for _ in range(dice.randrange(1, 4)):
            _change(dice, data)
        if dice.random() < 0.3:
            del data[dice.randrange(len(data)) :]
        return Frame("bytes", bytes(data), whole=False)

    def stream(self, dice: random.Random) -> Frame:
        """A stream that is opened, with what it asks for broken."""
        uris = [f"teamroom://{dice.choice(URIS)}" for _ in range(dice.randrange(4))]
        asked: Any = {"resourceSubscriptions": uris, "toolsListChanged": dice.random() < 0.5}
        if dice.random() < 0.4:
            asked[dice.choice(["resourceSubscriptions", "toolsListChanged", "other"])] = _broken(dice)
        if dice.random() < 0.3:
            headers = [("host", f"127.0.0.1:{self.port}"), ("authorization", f"Bearer {self.token}"), *self.session]
            data = request("GET", "/mcp", [*headers, ("accept", "text/event-stream")])
        else:
            params = {"notifications": asked, "_meta": ENVELOPE}
            body = to_json({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).encode()
            data = self._post(dice, body, modern_headers("subscriptions/listen"))
        return Frame("stream", data, streams=True)

    # -------------------------------------------------------------- what they share

    def _request(self, dice: random.Random, method: str, params: Any, name: str | None) -> bytes:
        """A request in either era, under a token that is good nine times of ten."""
        self._asked += 1  # an id that is used again while its call is open gets no answer of its own
        id_: Any = dice.choice([self._asked] * 3 + [f"{dice.choice(NASTY)} {self._asked}"])
        if dice.random() < 0.3:
            body = to_json({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
            token = dice.choice([self.token] * 9 + self.tokens)
            return posted(self.port, token, body.encode(errors="replace"), self.session)
        if isinstance(params, dict):
            meta = ENVELOPE if dice.random() < 0.95 else _broken(dice)
            params = {**params, "_meta": meta}
        body = to_json({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
        return self._post(dice, body.encode(errors="replace"), self._era(dice, method, name))

    def _era(self, dice: random.Random, method: str, name: str | None) -> Headers:
        headers = modern_headers(_header(method), None if name is None else _header(name))
        if dice.random() < 0.05:
            headers = [(key, dice.choice([value, dice.choice(VERSIONS)])) for key, value in headers]
        return headers

    def _post(self, dice: random.Random, body: bytes, headers: Headers) -> bytes:
        token = dice.choice([*self.tokens] * 9 + self.strangers)
        return posted(self.port, token, body, headers)


KINDS: list[Callable[[FrameMaker, random.Random], Frame]] = [
    FrameMaker.call,
    FrameMaker.ask,
    FrameMaker.envelope,
    FrameMaker.body,
    FrameMaker.head,
    FrameMaker.bytes,
    FrameMaker.stream,
]
WEIGHTS = [45, 15, 10, 10, 10, 7, 3]


def _header(text: str) -> str:
    """A text as a header can carry it."""
    return "".join(c for c in text if " " < c < "\x7f")[:200]


def _change(dice: random.Random, data: bytearray) -> None:
    place = dice.randrange(len(data)) if data else 0
    change = dice.randrange(4)
    if change == 0 and data:
        data[place] ^= 1 << dice.randrange(8)
    elif change == 1:
        del data[place : place + dice.randrange(1, 9)]
    elif change == 2:
        data[place:place] = data[place : place + dice.randrange(1, 40)]
    else:
        data[place:place] = dice.choice([b"\x00", b"\xff\xfe", b"\r\n", b"{", b"]", b'"', b"\\u", b"[" * 40, b"1e999"])


def _broken(dice: random.Random) -> Any:
    return dice.choice([value for value in NASTY if not _is_long(value)] if dice.random() < 0.98 else NASTY)


def _is_long(value: Any) -> bool:
    return len(value.text if isinstance(value, Raw) else value if isinstance(value, str | list | dict) else "") > 1000


def _params(dice: random.Random, method: str) -> tuple[dict[str, Any], str | None]:
    """Params that fit a method, and the name that a header repeats."""
    if method in ("resources/read", "resources/subscribe", "resources/unsubscribe"):
        uri = f"teamroom://{dice.choice(URIS)}"
        return {"uri": uri}, uri
    if method == "prompts/get":
        name = dice.choice(PROMPTS)
        return {"name": name, "arguments": {"task": dice.choice(LIKELY["task"]), "to": "rival"}}, name
    if method == "completion/complete":
        reference = {"type": "ref/prompt", "name": dice.choice(PROMPTS)}
        return {"ref": reference, "argument": {"name": "task", "value": dice.choice(["", "T-", "\x00"])}}, None
    if method == "initialize":
        client = {"name": "frames", "version": "0"}
        return {"protocolVersion": dice.choice(VERSIONS), "capabilities": {}, "clientInfo": client}, None
    if method == "notifications/cancelled":
        return {"requestId": dice.randrange(9), "reason": "no longer needed"}, None
    return ({"name": "who", "arguments": {}}, "who") if method == "tools/call" else ({}, None)


def _arguments(dice: random.Random, tool: Tool) -> Any:
    """Arguments for a tool as they are meant, then broken in up to three places."""
    if dice.random() < 0.05:
        return _broken(dice)
    schema = tool.definition.input_schema
    arguments = _meant(dice, schema, tool.name)
    names = [*schema.get("properties", {}), dice.choice(UNKNOWN_ARGUMENTS)]
    for _ in range(dice.randrange(4)):
        name = dice.choice(names)
        if dice.random() < 0.5:
            arguments[name] = _broken(dice)
        else:
            arguments.pop(name, None)
    if tool.waits:
        arguments["timeout_seconds"] = dice.choice([0, 0, 0.01, Raw("NaN"), "0"])
    if arguments and dice.random() < 0.05:
        first = next(iter(arguments))
        twice = [(first, _broken(dice)), *arguments.items()]
        return Raw("{" + ",".join(f"{json.dumps(name)}:{to_json(value)}" for name, value in twice) + "}")
    return arguments


def _meant(dice: random.Random, schema: dict[str, Any], name: str) -> Any:
    """A value that fits a field's schema and may be meant."""
    if "anyOf" in schema:
        return _meant(dice, dice.choice(schema["anyOf"]), name)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return [_meant(dice, schema["items"], name) for _ in range(dice.randrange(4))]
    if kind == "object":
        required = schema.get("required", ())
        fields = schema.get("properties", {}).items()
        return {key: _meant(dice, value, key) for key, value in fields if key in required or dice.random() < 0.5}
    return dice.choice(LIKELY_NUMBERS.get(str(kind), LIKELY.get(name, ["plain words", "@rival look"])))
