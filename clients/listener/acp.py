"""Any agent that speaks ACP, the Agent Client Protocol, on standard input and output.

The session gets the room as a server of its own: the bridge `teamroom connect`, which every agent can start.
"""

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence

from teamroom.clients.listener.rpc import Json, Rpc, part
from teamroom.clients.listener.supervised import HarnessError, Send, Started
from teamroom.clients.session.program import own_words

PROTOCOL = 1
ROOM = "teamroom"

BEGUN = frozenset(
    {"agent_message_chunk", "agent_thought_chunk", "user_message_chunk", "tool_call", "tool_call_update", "plan"}
)
"""The updates of a session that only a turn has."""

ENDED_WELL = frozenset({"end_turn", "max_tokens", "max_turn_requests"})
"""Why a turn stops, if nobody stopped it. Whether it was an answer, the member's calls say."""

ENDED_BADLY = frozenset({"refusal", "cancelled"})

TOOL = "[a-z]{1,20}(?:_[a-z]{1,20}){0,4}"
ROOMS_TOOL = re.compile(
    rf"(?:(?:mcp__?)?{ROOM}(?:__?|[.:/-])(?P<plain>{TOOL})|{TOOL} \({ROOM} MCP Server\))(?:: ?(?P<arguments>\{{.*))?"
)
"""How agents title a call of a tool of the room, some with its arguments.

A shell command can look like the first of both forms, and the second one is no command.
"""

EXPANSIONS = frozenset("$`")
"""What a shell runs even inside of quotes."""

LOCAL_KINDS = frozenset({"execute", "edit", "delete", "move", "read", "fetch", "search", "switch_mode"})
"""The kinds of calls that are no call of the room, whatever their title says."""


class Acp:
    """How an agent with a name is started and spoken to, for a member of the room."""

    variables: Mapping[str, str] = {}

    def __init__(self, name: str, member: str, allows_room: bool) -> None:
        self.name = name
        self._member, self._allows_room = member, allows_room

    def words(self, command: Sequence[str], session: str | None) -> list[str]:
        """Return the words that start it: the command has those of the protocol."""
        return [*command]

    def talk(self, send: Send, session: str | None, variables: Mapping[str, str]) -> "AcpTalk":
        """Return how it is spoken to."""
        command, *arguments = (*own_words(), "connect", "--as", self._member)
        environment = [{"name": name, "value": value} for name, value in variables.items()]
        server = {"name": ROOM, "command": command, "args": arguments, "env": environment}
        return AcpTalk(send, session, server, self._allows_room)


class AcpTalk:
    """A conversation with a running agent."""

    def __init__(self, send: Send, session: str | None, server: Json, allows_room: bool) -> None:
        self.session = session
        self._server, self._allows_room = server, allows_room
        self._rpc = Rpc(send, self._notice, self._answer)
        self._identity = ""
        self._started: Started | None = None

    async def begin(self) -> None:
        """Load the session that was given, with the room in it; begin another if the agent refuses that."""
        capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        found = await self._rpc.call("initialize", protocolVersion=PROTOCOL, clientCapabilities=capabilities)
        where = {"cwd": os.getcwd(), "mcpServers": [self._server]}
        can_load = part(found, "agentCapabilities").get("loadSession") is True
        if self.session is not None and can_load:
            with contextlib.suppress(HarnessError):
                await self._rpc.call("session/load", sessionId=self.session, **where)
                self._identity = self.session
                return
        self.session = None
        made = await self._rpc.call("session/new", **where)
        if not isinstance(made.get("sessionId"), str):
            raise HarnessError("gave its session no id")
        self._identity = made["sessionId"]

    async def turn(self, line: str, started: Started) -> None:
        """Send the line as a prompt, and wait for its end."""
        self._started = started
        self.session = self._identity  # one without a turn cannot be loaded
        try:
            text = {"type": "text", "text": line}
            ended = await self._rpc.call("session/prompt", sessionId=self._identity, prompt=[text])
        finally:
            self._started = None
        started()
        reason = str(ended.get("stopReason"))
        if reason not in ENDED_WELL:
            raise HarnessError(f"ended the turn: {reason if reason in ENDED_BADLY else 'no reason given'}")

    def hear(self, line: bytes) -> None:
        """Take in a message."""
        self._rpc.hear(line)

    def stop(self) -> None:
        """Cancel the turn."""
        if self._started is not None:
            self._rpc.notify("session/cancel", sessionId=self._identity)

    def _notice(self, method: str, params: Json) -> None:
        kind = part(params, "update").get("sessionUpdate")
        if method == "session/update" and str(kind) in BEGUN and self._started is not None:
            self._started()

    def _answer(self, method: str, params: Json) -> Json | None:
        """Answer a question of the agent. Only a permission is known: the agent has no files or terminals here."""
        if method != "session/request_permission":
            return None
        wanted = "allow" if self._allows_room and is_rooms_call(part(params, "toolCall")) else "reject"
        options = params.get("options")
        for suffix in ("_once", "_always"):
            for option in options if isinstance(options, list) else []:
                if isinstance(option, dict) and option.get("kind") == wanted + suffix:
                    return {"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}
        return {"outcome": {"outcome": "cancelled"}}


def is_rooms_call(call: Json) -> bool:
    """Whether a tool call that needs a permission is one of the room's tools."""
    title = call.get("title")
    if str(call.get("kind")) in LOCAL_KINDS or not isinstance(title, str):
        return False
    found = ROOMS_TOOL.fullmatch(title)
    if found is None:
        return False
    arguments = found["arguments"]
    if arguments is None:
        return True
    if found["plain"] is not None and not EXPANSIONS.isdisjoint(arguments):
        return False
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False
