"""Any agent that speaks ACP, the Agent Client Protocol, on standard input and output.

The session gets the room as a server of its own: the bridge `teamroom connect`, which every agent can start.
"""

import asyncio
import contextlib
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence

import anyio

from teamroom.clients.listener.rpc import Json, Rpc, part
from teamroom.clients.listener.supervised import HarnessError, Send, Started
from teamroom.clients.session.lineage import TOLD
from teamroom.clients.session.program import own_words

PROTOCOL = 1

TOLD_SECONDS = 5.0
"""How long the first turn of a session waits until its agent has asked for the room's tools. Some never do."""

ROOM = "teamroom"

BEGUN = frozenset(
    {"agent_message_chunk", "agent_thought_chunk", "user_message_chunk", "tool_call", "tool_call_update", "plan"}
)
"""The updates of a session that only a turn has."""

CALLS = frozenset({"tool_call", "tool_call_update"})
"""Those of them that tell of a tool call."""

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

NAMED_TOOL = re.compile(rf"mcp__?{ROOM}(?:__|\.){TOOL}")
"""How agents name a tool of the room that say which tool they call, in `_meta`: as Qwen Code and Mistral Vibe do."""

NAMES = ("toolName", "tool_name")
"""Under which keys they do."""

EXPANSIONS = frozenset("$`")
"""What a shell runs even inside of quotes."""

CALLS_KNOWN = 64
"""Of how many tool calls of a turn the titles are known. Some agents ask for a permission with a call's id alone."""

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
        self._calls: dict[str, Json] = {}
        """What the agent said of the tool calls of the turn, by their ids."""

    async def begin(self) -> None:
        """Load the session that was given, with the room in it; begin another if the agent refuses that.

        Some agents have a session before they have asked its servers for their tools. The first turn waits for that.
        """
        capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        found = await self._rpc.call("initialize", protocolVersion=PROTOCOL, clientCapabilities=capabilities)
        can_load = part(found, "agentCapabilities").get("loadSession") is True
        async with _hearing_bridge() as (address, told):
            server = {**self._server, "env": [*self._server["env"], {"name": TOLD, "value": address}]}
            self._identity = await self._open(can_load, {"cwd": os.getcwd(), "mcpServers": [server]})
            with anyio.move_on_after(TOLD_SECONDS):
                await told.wait()

    async def _open(self, can_load: bool, where: Json) -> str:
        """Load the session that was given, if the agent can, or begin another; returns its id."""
        if self.session is not None and can_load:
            with contextlib.suppress(HarnessError):
                await self._rpc.call("session/load", sessionId=self.session, **where)
                return self.session
        self.session = None
        made = await self._rpc.call("session/new", **where)
        if not isinstance(made.get("sessionId"), str):
            raise HarnessError("gave its session no id")
        return str(made["sessionId"])

    async def turn(self, line: str, started: Started) -> None:
        """Send the line as a prompt, and wait for its end."""
        self._started, self._calls = started, {}
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
        update = part(params, "update")
        kind = str(update.get("sessionUpdate"))
        if method != "session/update" or kind not in BEGUN or self._started is None:
            return
        self._started()
        if kind in CALLS:
            self._note_call(update)

    def _note_call(self, call: Json) -> None:
        """Note what the agent says of a tool call. What it does not repeat stays so."""
        identity = call.get("toolCallId")
        if not isinstance(identity, str):
            return
        said = {name: call[name] for name in ("title", "kind", "_meta") if call.get(name) is not None}
        self._calls[identity] = {**self._calls.pop(identity, {}), **said}
        if len(self._calls) > CALLS_KNOWN:
            del self._calls[next(iter(self._calls))]

    def _call_of(self, question: Json) -> Json:
        """Return the tool call that a question is about: as the question says, or as it was told under its id."""
        call = part(question, "toolCall")
        identity = call.get("toolCallId")
        if call.get("title") is not None or not isinstance(identity, str):
            return call
        return {**self._calls.get(identity, {}), **{name: value for name, value in call.items() if value is not None}}

    def _answer(self, method: str, params: Json) -> Json | None:
        """Answer a question of the agent. Only a permission is known: the agent has no files or terminals here."""
        if method != "session/request_permission":
            return None
        wanted = "allow" if self._allows_room and is_rooms_call(self._call_of(params)) else "reject"
        options = params.get("options")
        for suffix in ("_once", "_always"):
            for option in options if isinstance(options, list) else []:
                if isinstance(option, dict) and option.get("kind") == wanted + suffix:
                    return {"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}
        return {"outcome": {"outcome": "cancelled"}}


@contextlib.asynccontextmanager
async def _hearing_bridge() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A socket in a private folder, to which the bridge connects once its agent has the room's tools."""
    told = asyncio.Event()

    def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.set()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="teamroom-") as folder:
        address = f"{folder}/told.sock"
        async with await asyncio.start_unix_server(take, address):
            yield address, told


def is_rooms_call(call: Json) -> bool:
    """Whether a tool call that needs a permission is one of the room's tools."""
    if str(call.get("kind")) in LOCAL_KINDS:
        return False
    meta, title = part(call, "_meta"), call.get("title")
    if names := [meta[key] for key in NAMES if key in meta]:
        return all(isinstance(name, str) and NAMED_TOOL.fullmatch(name) for name in names)
    found = ROOMS_TOOL.fullmatch(title) if isinstance(title, str) else None
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
