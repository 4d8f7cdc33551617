"""Confirmation of dangerous acts: a person confirms exactly what will be done, in clients of both eras (CTL7).

Clients of 2026-07-28 get the question as the result of their call, and call again with the person's answer. The SDK
seals both, and binds them to the token, the tool and its arguments. Older clients get the question over the stream
of their call. In both eras, the act itself is checked again once the answer has arrived, and uses the answer up.
"""

import contextlib
import hashlib
import hmac
import json
import sys
from typing import Any

import anyio
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from teamroom.server.acts.act import Act
from teamroom.server.door.confirmations import Confirmation
from teamroom.server.door.door import Door
from teamroom.server.http.answers import CallParams
from teamroom.server.identity import CHAT, Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.names import AT, normalize_name
from teamroom.server.settings import Settings
from teamroom.server.wake.bus import Bus
from teamroom.tools.danger import Danger
from teamroom.tools.tool import Tool

Context = ServerRequestContext[Any, Any]

CONFIRM = "confirm"
TYPED = "name"
"""The names of a question, and of the one field that a person can have to fill in."""


class Asking:
    """Asks a person to confirm, where a tool requires it and the client can show a question."""

    def __init__(self, door: Door, bus: Bus, settings: Settings) -> None:
        self._door = door
        self._bus = bus
        self._seconds, self._url = settings.confirm_seconds, settings.members_url

    async def confirm(
        self, ctx: Context, params: CallParams, tool: Tool, caller: Caller, arguments: Any
    ) -> types.InputRequiredResult | Confirmation | None:
        """The question, for a client that calls again; or the confirmation of the act; None if it needs none.

        Raises Refusal.
        """
        danger, act = tool.danger, tool.does
        is_chat = caller.token_kind == CHAT
        if danger is None or not isinstance(act, Act) or not (danger.always or is_chat):
            return None
        page = f"{self._url}{danger.page(arguments)}"
        if not _can_ask(ctx):
            if is_chat:
                raise Refusal(
                    "not_allowed",
                    "This token is for a chat client, and this client cannot ask you to confirm.",
                    f"On the page: {page}. Or run in a shell: {danger.shell(arguments)}",
                    subject=tool.name,
                )
            return None
        if (asked := _asked_before(params.request_state)) is not None:
            _require_yes((params.input_responses or {}).get(CONFIRM), tool, arguments, page)
            return asked
        asked = await self._door.rehearse(caller, act, arguments)
        message = danger.question(arguments)
        if danger.shows is not None:
            message = f"{message}\n\n{danger.shown(await self._door.read(caller, danger.shows, arguments))}"
        question = types.ElicitRequestFormParams(message=message, requested_schema=_form(danger, arguments))
        if ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            requests = {CONFIRM: types.ElicitRequest(params=question)}
            return types.InputRequiredResult(input_requests=requests, request_state=_state_of(asked))
        _require_yes(await self._ask(ctx, caller, question), tool, arguments, page)
        return asked

    async def _ask(self, ctx: Context, caller: Caller, question: types.ElicitRequestFormParams) -> Any:
        """Ask an older client while its call waits; None if no answer came or the caller was stopped meanwhile."""
        with contextlib.suppress(NoBackChannelError, MCPError), self._bus.running(caller.member):
            with anyio.move_on_after(self._seconds):
                return await ctx.session.elicit_form(
                    question.message, question.requested_schema, related_request_id=ctx.request_id
                )
        return None


def _form(danger: Danger, arguments: Any) -> dict[str, Any]:
    """What a person fills in besides accepting: nothing, or the name of what cannot be taken back."""
    if danger.typed is None:
        return {"type": "object", "properties": {}}
    name = {"type": "string", "title": f"Type the name {danger.typed(arguments)} to confirm"}
    return {"type": "object", "properties": {TYPED: name}, "required": [TYPED]}


def _state_of(asked: Confirmation) -> str:
    """A question as a client sends it back, sealed by the SDK."""
    return f"{CONFIRM} {asked.nonce} {asked.epoch} {asked.until.hex()}"


def _asked_before(state: str | None) -> Confirmation | None:
    """The question that a client sends back with its answer; None for a new call."""
    match (state or "").split(" "):
        case [word, nonce, epoch, until] if word == CONFIRM:
            return Confirmation(nonce, int(epoch), float.fromhex(until))
    return None


def seal_answers(key: bytes, room: str, caller_of: Any) -> RequestStateBoundary:
    """A seal for questions to modern clients, under a key that outlives the process, for one token and one room."""
    secret = hmac.new(key, b"questions", hashlib.sha256).digest()
    security = RequestStateSecurity(
        codec=TimelessCodec(secret), bind_principal=lambda ctx: str(caller_of(ctx).token_id), audience=room
    )
    return RequestStateBoundary(security, default_audience=room)


class TimelessCodec:
    """Seals states as the SDK does, without the times by the wall clock that the SDK puts in and checks.

    How long an answer counts, the room decides by its own clock: see `use_up`.
    """

    def __init__(self, secret: bytes) -> None:
        self._codec = AESGCMRequestStateCodec([secret])

    def seal(self, payload: bytes) -> str:
        """Seal a state."""
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        """The sealed state, as if it were sealed at all times. Raises InvalidRequestState."""
        claims = json.loads(self._codec.unseal(token))
        return json.dumps({**claims, "iat": 0, "exp": sys.float_info.max}).encode()


def _can_ask(ctx: Context) -> bool:
    """Whether the client declared that it can show a person a form."""
    capabilities = ctx.session.client_capabilities
    asks = capabilities.elicitation if capabilities is not None else None
    return asks is not None and (asks.form is not None or asks.url is None)


def _require_yes(answer: Any, tool: Tool, arguments: Any, page: str) -> None:
    """Check that a person accepted the question, and typed the name if the tool wants one. Raises Refusal.

    `page`: where the person can do it instead. Some clients declare that they can ask, and then show nothing.
    """
    why = _no(answer, tool.danger, arguments)
    if why is not None:
        raise Refusal(
            "not_allowed",
            f"Nothing was done, because nobody confirmed {tool.name} ({why}).",
            f"Call it again only if the person asks for it again. The person can also do it on the page: {page}",
            subject=tool.name,
        )


def _no(answer: Any, danger: Danger | None, arguments: Any) -> str | None:
    """Why an answer is no yes; None if it is one."""
    if not isinstance(answer, types.ElicitResult):
        return "no answer came"
    if answer.action != "accept":
        return {"decline": "the answer was no", "cancel": "the question was dismissed"}[answer.action]
    return _mistyped((answer.content or {}).get(TYPED), danger, arguments)


def require_typed(tool: Tool, arguments: Any, typed: str) -> None:
    """Check that a person typed the name of what cannot be taken back. Raises Refusal."""
    if (why := _mistyped(typed, tool.danger, arguments)) is not None:
        raise Refusal(
            "not_allowed", f"Nothing was done, because {why}.", "Type the name as it is shown.", subject=tool.name
        )


def _mistyped(typed: Any, danger: Danger | None, arguments: Any) -> str | None:
    """Why what was typed does not confirm an act; None if it does, or if nothing need be typed."""
    if danger is None or danger.typed is None:
        return None
    if not isinstance(typed, str) or not typed.strip():
        return "its name was not typed"
    is_same = normalize_name(typed.strip()).lstrip(AT) == normalize_name(danger.typed(arguments))
    return None if is_same else "another name was typed"
