"""Requests as bytes, good but for what a test makes wrong."""

from typing import Any

from teamroom.server.refusals import CODES
from tests.support.raw import ENVELOPE, Answer, Legacy, message, modern_headers
from tests.support.room_in_thread import RoomInThread

CALL = message("tools/call", {"name": "who", "arguments": {}, "_meta": ENVELOPE})
POST = "POST /mcp HTTP/1.1"


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
