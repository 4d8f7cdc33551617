"""Confirmation of dangerous acts: a person confirms exactly what will be done, in clients of both eras (CTL7).

Clients of 2026-07-28 get the question as the result of their call, and call again with the person's answer. The SDK
seals both, and binds them to the member, the tool and its arguments. Older clients get the question over the stream
of their call. In both eras, the act itself is checked again once the answer has arrived.
"""

import contextlib
import hashlib
import hmac
from typing import Any

import anyio
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from teamroom.server.acts.act import Act
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.wake.bus import Bus
from teamroom.tools.tool import Tool

Context = ServerRequestContext[Any, Any]

CHAT = "chat"
"""The label of tokens for chat clients, where a model writes and a person reads."""

CONFIRM = "confirm"


class Asking:
    """Asks a person to confirm, where a tool requires it and the client can show a question."""

    def __init__(self, door: Door, bus: Bus, settings: Settings) -> None:
        self._door = door
        self._bus = bus
        self._seconds = settings.confirm_seconds

    async def confirm(
        self, ctx: Context, params: types.CallToolRequestParams, tool: Tool, caller: Caller, arguments: Any
    ) -> types.InputRequiredResult | None:
        """The question, for a client that calls again; None once the act may run. Raises Refusal."""
        danger, act = tool.danger, tool.does
        is_chat = caller.token_label == CHAT
        if danger is None or not isinstance(act, Act) or not (danger.always or is_chat):
            return None
        if not _can_ask(ctx):
            if is_chat:
                raise Refusal(
                    "not_allowed",
                    "This token is for a chat client, and this client cannot ask you to confirm.",
                    f"Run in a shell: {danger.shell(arguments)}",
                    subject=tool.name,
                )
            return None
        if params.request_state == CONFIRM:
            _require_yes((params.input_responses or {}).get(CONFIRM), tool)
            return None
        await self._door.rehearse(caller, act, arguments)
        question = types.ElicitRequestFormParams(message=danger.question(arguments), requested_schema=_FORM)
        if ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            asked = {CONFIRM: types.ElicitRequest(params=question)}
            return types.InputRequiredResult(input_requests=asked, request_state=CONFIRM)
        _require_yes(await self._ask(ctx, caller, question), tool)
        return None

    async def _ask(self, ctx: Context, caller: Caller, question: types.ElicitRequestFormParams) -> Any:
        """Ask an older client while its call waits; None if no answer came or the caller was stopped meanwhile."""
        with contextlib.suppress(NoBackChannelError, MCPError), self._bus.running(caller.member):
            with anyio.move_on_after(self._seconds):
                return await ctx.session.elicit_form(
                    question.message, question.requested_schema, related_request_id=ctx.request_id
                )
        return None


_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {CONFIRM: {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": [CONFIRM],
}


def seal_answers(key: bytes, room: str, caller_of: Any, seconds: float) -> RequestStateBoundary:
    """A seal for questions to modern clients, under a key that outlives the process, for one token and one room."""
    secret = hmac.new(key, b"questions", hashlib.sha256).digest()
    security = RequestStateSecurity(
        keys=[secret], ttl=seconds, bind_principal=lambda ctx: str(caller_of(ctx).token_id), audience=room
    )
    return RequestStateBoundary(security, default_audience=room)


def _can_ask(ctx: Context) -> bool:
    """Whether the client declared that it can show a person a form."""
    capabilities = ctx.session.client_capabilities
    asks = capabilities.elicitation if capabilities is not None else None
    return asks is not None and (asks.form is not None or asks.url is None)


def _require_yes(answer: Any, tool: Tool) -> None:
    if (
        isinstance(answer, types.ElicitResult)
        and answer.action == "accept"
        and (answer.content or {}).get(CONFIRM) is True
    ):
        return
    outcomes = {"accept": "the answer was no", "decline": "the answer was no", "cancel": "the question was dismissed"}
    how = outcomes[answer.action] if isinstance(answer, types.ElicitResult) else "no answer came"
    raise Refusal(
        "not_allowed",
        f"Nothing was done, because nobody confirmed {tool.name} ({how}).",
        "Call it again only if the person asks for it again.",
        subject=tool.name,
    )
