"""Codex as a harness that stays: `codex app-server`, which speaks JSON-RPC on standard input and output."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

import teamroom
from teamroom.clients.listener.rpc import Json, Rpc, part
from teamroom.clients.listener.supervised import HarnessError, Send, Started

NAME = "teamroom"

DECLINED: Mapping[str, Json] = {
    "item/commandExecution/requestApproval": {"decision": "decline"},
    "item/fileChange/requestApproval": {"decision": "decline"},
    "item/permissions/requestApproval": {"permissions": {}, "scope": "turn"},
    "item/tool/requestUserInput": {"answers": {}},
    "execCommandApproval": {"decision": "denied"},
    "applyPatchApproval": {"decision": "denied"},
}
"""What Codex asks a person for, and the answer that allows nothing."""

ELICITATION = "mcpServer/elicitation/request"
"""How Codex asks whether a tool of a server may be called, and passes on a server's own questions."""


class Codex:
    """How Codex is started and spoken to."""

    name = "Codex"
    variables: Mapping[str, str] = {}

    def __init__(self, allows_room: bool) -> None:
        self._allows_room = allows_room

    def words(self, command: Sequence[str], session: str | None) -> list[str]:
        """Return the words that start it."""
        return [*command, "app-server"]

    def talk(self, send: Send, session: str | None, variables: Mapping[str, str]) -> "CodexTalk":
        """Return how it is spoken to."""
        return CodexTalk(send, session, self._allows_room)


class CodexTalk:
    """A conversation with a running app server. A session is one of its threads."""

    def __init__(self, send: Send, session: str | None, allows_room: bool) -> None:
        self.session = session
        self._allows_room = allows_room
        self._rpc = Rpc(send, self._notice, self._answer)
        self._thread = ""
        self._turn: _Turn | None = None

    async def begin(self) -> None:
        """Resume the thread that was given; begin another if Codex refuses that."""
        client = {"name": NAME, "title": "Teamroom", "version": teamroom.__version__}
        await self._rpc.call("initialize", clientInfo=client)
        self._rpc.notify("initialized")
        where, found = {"cwd": os.getcwd()}, dict[str, Any]()
        if self.session is not None:
            with contextlib.suppress(HarnessError):
                found = await self._rpc.call("thread/resume", threadId=self.session, **where)
        if not found:
            self.session = None
            found = await self._rpc.call("thread/start", **where)
        identity = part(found, "thread").get("id")
        if not isinstance(identity, str):
            raise HarnessError("gave its thread no id")
        self._thread = identity

    async def turn(self, line: str, started: Started) -> None:
        """Send the line as the user's input, and wait for the end of that turn."""
        turn = self._turn = _Turn(started)
        try:
            text = {"type": "text", "text": line, "text_elements": []}
            begun = await self._rpc.call("turn/start", threadId=self._thread, input=[text])
            turn.expect(str(part(begun, "turn").get("id", "")))
            self.session = self._thread  # a thread without a turn cannot be resumed
            await turn.over.wait()
        finally:
            self._turn = None
        if turn.status != "completed":
            raise HarnessError(
                f"ended the turn: {turn.status if turn.status in ('failed', 'interrupted') else 'unknown'}"
            )

    def hear(self, line: bytes) -> None:
        """Take in a message."""
        self._rpc.hear(line)

    def stop(self) -> None:
        """Interrupt the turn."""
        if self._turn is not None:
            self._rpc.ask("turn/interrupt", threadId=self._thread, turnId=self._turn.id)

    def _notice(self, method: str, params: Json) -> None:
        if self._turn is not None and method in ("turn/started", "turn/completed"):
            self._turn.hear(method, part(params, "turn"))

    def _answer(self, method: str, params: Json) -> Json | None:
        """Answer what only a person could allow."""
        if method != ELICITATION:
            return DECLINED.get(method)
        is_approval = part(params, "_meta").get("codex_approval_kind") == "mcp_tool_call"
        allows = self._allows_room and is_approval and params.get("serverName") == NAME
        return {"action": "accept", "content": {}, "_meta": None} if allows else {"action": "decline", "content": None}


class _Turn:
    """A turn. What is said of it may come before the reply that has its id."""

    def __init__(self, started: Started) -> None:
        self.id, self.status = "", ""
        self.over = anyio.Event()
        self._started = started
        self._heard: list[tuple[str, Json]] = []

    def expect(self, identity: str) -> None:
        """Say which turn it is."""
        self.id = identity
        heard, self._heard = self._heard, []
        for method, turn in heard:
            self.hear(method, turn)

    def hear(self, method: str, turn: Json) -> None:
        """Take in that a turn started or ended."""
        if not self.id:
            self._heard = [*self._heard, (method, turn)][-HEARD:]
        elif turn.get("id") == self.id and method == "turn/started":
            self._started()
        elif turn.get("id") == self.id:
            self.status = str(turn.get("status", ""))
            self.over.set()


HEARD = 8
"""How many notifications are kept until the id of a turn is known."""
