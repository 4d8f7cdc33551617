"""Claude Code as a harness that stays: `claude -p` with JSON messages, one a line, on standard input and output."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from teamroom.clients.listener.supervised import HarnessError, Send, Started

OPTIONS = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json"),
    *("--verbose", "--replay-user-messages"),
)
PERMISSION = ("--allowedTools", "mcp__teamroom")
"""How a run without a terminal is allowed the room's tools. Whatever else needs a permission is refused."""

ID_BYTES = 8

SUBTYPE = re.compile("[a-z_]{1,40}")
"""What a result is called that may be shown."""


class Claude:
    """How Claude Code is started and spoken to."""

    name = "Claude Code"
    variables: Mapping[str, str] = {}

    def __init__(self, allows_room: bool) -> None:
        self._allows_room = allows_room

    def words(self, command: Sequence[str], session: str | None) -> list[str]:
        """Return the words that start it."""
        resumes = ("--resume", session) if session is not None else ()
        return [*command, *(PERMISSION if self._allows_room else ()), *OPTIONS, *resumes]

    def talk(self, send: Send, session: str | None, variables: Mapping[str, str]) -> "ClaudeTalk":
        """Return how it is spoken to."""
        return ClaudeTalk(send, session)


class ClaudeTalk:
    """A conversation with a running Claude Code."""

    def __init__(self, send: Send, session: str | None) -> None:
        self.session = session
        self._send = send
        self._ready = anyio.Event()
        self._turn: _Turn | None = None

    async def begin(self) -> None:
        """Wait until it answers. It begins its session with the first message."""
        self._ask("initialize")
        await self._ready.wait()

    async def turn(self, line: str, started: Started) -> None:
        """Send the line as a message of the user; the turn lasts until its result."""
        turn = self._turn = _Turn(started)
        message = {"role": "user", "content": line}
        self._write({"type": "user", "message": message, "parent_tool_use_id": None})
        try:
            await turn.over.wait()
        finally:
            self._turn = None
        if turn.result.get("is_error"):
            subtype = str(turn.result.get("subtype"))
            raise HarnessError(f"ended the turn with {subtype if SUBTYPE.fullmatch(subtype) else 'an error'}")

    def hear(self, line: bytes) -> None:
        """Take in a message."""
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError
        kind = message.get("type")
        if kind == "control_response":
            self._ready.set()
        elif isinstance(session := message.get("session_id"), str) and kind in ("system", "result"):
            self.session = session
        if self._turn is not None:
            self._turn.hear(kind, message)

    def stop(self) -> None:
        """Interrupt the turn."""
        if self._turn is not None:
            self._ask("interrupt")

    def _ask(self, subtype: str) -> None:
        identity = secrets.token_hex(ID_BYTES)
        self._write({"type": "control_request", "request_id": identity, "request": {"subtype": subtype}})

    def _write(self, message: Mapping[str, Any]) -> None:
        self._send(json.dumps(message).encode())


class _Turn:
    """A turn: it begins once Claude Code shows the message that it was sent, and ends with the next result."""

    def __init__(self, started: Started) -> None:
        self.over = anyio.Event()
        self.result: dict[str, Any] = {}
        self._started, self._has_begun = started, False

    def hear(self, kind: Any, message: dict[str, Any]) -> None:
        if kind == "user" and message.get("isReplay"):
            self._has_begun = True
            self._started()
        elif kind == "result" and self._has_begun:
            self.result = message
            self.over.set()
