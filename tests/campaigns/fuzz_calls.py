"""Bytes as calls of tools and resources in a room that has work in it; anything but a reply or a refusal is a fault."""

import asyncio
import json
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Never, cast

from mcp import types

from teamroom.resources.resource import SCHEME
from teamroom.resources.serve import ResourceServer
from teamroom.server.clock import steady_clock, wall_clock
from teamroom.server.faults import Faults
from teamroom.server.record.chain import Verifier
from teamroom.server.refusals import CODES, UNRECORDED, Refusal
from teamroom.server.settings import Settings
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.listeners import Listeners
from teamroom.server.wake.newest import LISTENER
from teamroom.server.wake.waiting import Waiting
from teamroom.tools.asking import CONFIRM, Asking
from teamroom.tools.serve import REQUEST_ID, TOOLS, ToolServer
from teamroom.tools.tool import Tool
from tests.campaigns.fuzz_bytes import Choices
from tests.campaigns.invariants import chain_faults, half_acts
from tests.models.world import BEGINNING, Plan, World
from tests.support.bad_arguments import LIKELY, LIKELY_NUMBERS, NASTY, UNKNOWN_ARGUMENTS
from tests.support.raw import to_json

CALLS = 16
"""So many calls are made of one input at most."""

TEXT_CHARACTERS = 20_000
CHECK_ONE_IN = 16
"""After one input in so many, told by its bytes, the whole log and all its effects are checked."""

CALLERS = ("bot", "rival", "olga", "hanna", "watch", "victim")
KINDS = ("time", "resource", "again", *["tool"] * 9)
PASSED_SECONDS = (1, 70, 1000, 4000, 100_000)
ANSWERS = ({"action": "accept", "content": {CONFIRM: True}}, {"action": "decline"}, {"action": "cancel"})

PLAN = Plan(
    {"hanna": {"kind": "human"}, "bot": {}, "rival": {}, "watch": {"role": "watchdog"}, "victim": {"owner": "hanna"}}
)


def calls(data: bytes) -> None:
    """Make up to 16 calls in a room of their own, and now and then check what they left."""
    room = FurnishedRoom(PLAN)
    try:
        _loop.run_until_complete(_made(room, Choices(data)))
        if zlib.crc32(data) % CHECK_ONE_IN == 0:
            room.check()
    finally:
        room.end()


class FurnishedRoom(World):
    """A room with tasks in several states, an offer, a message and a review."""

    @property
    def store(self) -> SqliteStore:
        """The store behind the room's door."""
        return self._store

    def check(self) -> None:
        """The log verifies, and no act stands half."""
        found = [*chain_faults(self._life, Verifier(None, b"")), *half_acts(self._life)]
        assert found == [], found

    def _furnish(self) -> tuple[Path, dict[str, str]]:
        folder, tokens = super()._furnish()
        self._live_on(folder)
        self.callers = {name: self.identify(token) for name, token in tokens.items()}
        for number in range(1, 5):
            self._done("bot", "create_task", title=f"work {number}")
        self._done("bot", "post_message", text="@rival hello")
        for task in ("T-1", "T-2"):
            self._done("bot", "claim_task", task=task)
        self._done("bot", "hand_off", task="T-1", fence=1, to="rival", note="yours")
        self._done("bot", "complete_task", task="T-2", fence=1, summary="done", evidence=[])
        _loop.run_until_complete(self._store.close())
        return folder, tokens

    def _done(self, name: str, tool: str, **arguments: Any) -> None:
        reply = self.act(name, cast(Any, TOOLS[tool].does), **arguments)
        assert not isinstance(reply, Refusal), reply.text()


class Raised(Faults):
    """Faults of ours, not reported but raised as they are."""

    def __init__(self) -> None:
        pass

    def report(self, what: str) -> Never:
        """Raise the exception that is being handled."""
        error = sys.exc_info()[1]
        assert error is not None
        raise error


class Client:
    """What calls come in on: the servers of tools and of resources, and who calls."""

    def __init__(self, room: FurnishedRoom) -> None:
        bus, settings = Bus(), Settings()
        listeners = Listeners(room.door, room.store, wall_clock, steady_clock, settings)
        bus.stopping = True  # a call that waits for a wake is answered at once
        self._tools = ToolServer(
            room.door,
            Waiting(room.door, bus, listeners, settings),
            Asking(room.door, bus, settings),
            _caller_of,
            lambda ctx: None,
            Raised(),
        )
        self._resources = ResourceServer(room.door, _caller_of, Raised())
        self._room = room

    async def call(self, choices: Choices, name: str, tool: str, arguments: Any) -> None:
        """Call a tool, from a client that can ask a person or cannot."""
        asks, meta = choices.number(3), {}
        if choices.number(8) == 1:
            meta[REQUEST_ID] = choices.pick(["one", "", " ", 7, "x" * 201, "two\n"])
        if choices.number(8) == 1:
            meta[LISTENER] = choices.pick(["1764000000000-a", "1764000000001-b", "", 7, "1764000000000-A", "0-a\n"])
        params = types.CallToolRequestParams(name=tool, arguments=arguments)
        if asks == 2:
            answer = types.ElicitResult.model_validate(choices.pick(ANSWERS))
            params = params.model_copy(update={"request_state": CONFIRM, "input_responses": {CONFIRM: answer}})
        answered = await self._tools.call(self._context(name, asks > 0, meta), params)
        _judge(answered)

    async def read(self, name: str, uri: str) -> None:
        """Read a resource."""
        try:
            read = await self._resources.read_as(uri, self._room.callers[name])
        except Refusal as refusal:
            _judge_refusal(refusal.body())
        else:
            read.model_dump_json()

    def _context(self, name: str, asks: bool, meta: dict[str, Any]) -> Any:
        capabilities = SimpleNamespace(elicitation=SimpleNamespace(form=True, url=None) if asks else None)
        return SimpleNamespace(
            caller=self._room.callers[name],
            params={"_meta": meta},
            protocol_version="2026-07-28",
            session=SimpleNamespace(client_capabilities=capabilities),
        )


def _caller_of(context: Any) -> Any:
    return context.caller


async def _made(room: FurnishedRoom, choices: Choices) -> None:
    client, last = Client(room), ("bot", "who", None)
    for _ in range(CALLS):
        if not choices.left:
            return
        name, kind = choices.pick(CALLERS), choices.pick(KINDS)
        if kind == "time":
            room.now += choices.pick(PASSED_SECONDS)
        elif kind == "resource":
            await client.read(name, choices.pick(["", SCHEME, *RESOURCES]) + choices.text(200))
        else:
            if kind == "tool":
                tool = choices.pick(list(TOOLS.values()))
                last = (name, tool.name, _arguments(choices, tool))
            await client.call(choices, *last)


RESOURCES = [f"{SCHEME}{path}" for path in ("tasks/T-", "members/", "messages/M-", "receipts/", "stream/")]


def _judge(answered: Any) -> None:
    """A reply, a question or a refusal, each of which can be sent. The SDK takes what a tool returned as it is sent."""
    if isinstance(answered, dict):
        answered = types.CallToolResult.model_validate(answered)
    answered.model_dump_json(by_alias=True)
    if isinstance(answered, types.CallToolResult) and answered.is_error:
        _judge_refusal(answered.structured_content or {})


def _judge_refusal(body: dict[str, Any]) -> None:
    json.dumps(body).encode()
    assert body["code"] in CODES - UNRECORDED, body
    assert body["why"], body
    assert body["fix"], body


# ------------------------------------------------------------------ arguments out of bytes

_NOTHING = object()
_NUMBERS = {"number": [*LIKELY_NUMBERS["number"], 60, BEGINNING + 600], "boolean": LIKELY_NUMBERS["boolean"]}


def _parsed(written: str) -> Any:
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return _NOTHING


_NASTY = [value for value in (_parsed(to_json(value)) for value in NASTY) if value is not _NOTHING]


def _arguments(choices: Choices, tool: Tool) -> Any:
    """Arguments for a tool: each field as it is meant, left out, or anything else; or any JSON at all."""
    how, schema = choices.number(16), tool.definition.input_schema
    if how == 15:
        written = _parsed(choices.text(TEXT_CHARACTERS))
        return written if isinstance(written, dict) else None
    required = schema.get("required", ())
    arguments = {
        name: _value(choices, field, name, name in required) for name, field in schema.get("properties", {}).items()
    }
    if how == 14:
        arguments[choices.pick(UNKNOWN_ARGUMENTS)] = 1
    return {name: value for name, value in arguments.items() if value is not _NOTHING}


def _value(choices: Choices, field: dict[str, Any], name: str, required: bool) -> Any:
    match choices.number(10):
        case 0:
            return _meant(choices, field, name) if required else _NOTHING
        case 1 | 2 | 3 | 4:
            return _meant(choices, field, name)
        case 5:
            return choices.pick(_NASTY)
        case 6:
            return choices.text(TEXT_CHARACTERS)
        case 7:
            return [choices.text(TEXT_CHARACTERS) for _ in range(choices.number(4))]
        case 8:
            return _parsed(choices.text(TEXT_CHARACTERS))
        case _:
            return _NOTHING


def _meant(choices: Choices, field: dict[str, Any], name: str) -> Any:
    """A value that fits a field's schema and may be meant."""
    if "enum" in field:
        return choices.pick(field["enum"])
    kind = field.get("type")
    if kind == "array":
        return [_meant(choices, field["items"], name) for _ in range(choices.number(4))]
    if kind == "object":
        made = {
            key: _value(choices, part, key, key in field.get("required", ()))
            for key, part in field.get("properties", {}).items()
        }
        return {key: value for key, value in made.items() if value is not _NOTHING}
    return choices.pick(_NUMBERS.get(str(kind)) or LIKELY_NUMBERS.get(str(kind)) or LIKELY.get(name, ["plain words"]))


_loop = asyncio.new_event_loop()

SEEDS = [
    bytes([caller, KINDS.index("tool"), tool, 0, *[how] * 12])
    for tool in range(len(TOOLS))
    for caller in (0, 2)
    for how in (0, 1, 2)
]
"""Each tool called once as it is meant, by an agent and by the owner, with none, one and two of the options."""
