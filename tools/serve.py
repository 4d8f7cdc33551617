"""Serves `tools/list` and `tools/call`: checks the arguments, makes one call through the door, renders the reply."""

import weakref
from collections.abc import Callable
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from teamroom.server.acts.act import Act, Read
from teamroom.server.door.confirmations import Confirmation
from teamroom.server.door.door import Door
from teamroom.server.faults import Faults
from teamroom.server.http.answers import CallParams, SharedResult
from teamroom.server.identity import Caller
from teamroom.server.logs import without_secrets
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import cite
from teamroom.server.wake.calls import Calls
from teamroom.server.wake.listeners import Origin
from teamroom.server.wake.newest import (
    LISTENER,
    LISTENERS_KEYS,
    ended_run,
    listener_name,
    meta_of,
    run_report,
    woke_cursor,
)
from teamroom.server.wake.waiting import Waiting
from teamroom.tools import (
    approvals,
    authorizations,
    capabilities,
    control,
    decisions,
    letters,
    members,
    messages,
    overnight,
    presence,
    receipts,
    tasks,
)
from teamroom.tools.additions import additions
from teamroom.tools.arguments import Understood, names_of, read_arguments
from teamroom.tools.asking import Asking, require_typed
from teamroom.tools.first_call import FirstCalls
from teamroom.tools.tool import Tool

NOUNS = (
    presence,
    members,
    capabilities,
    messages,
    tasks,
    decisions,
    authorizations,
    approvals,
    control,
    receipts,
    letters,
    overnight,
)

TOOLS: dict[str, Tool] = {
    tool.name: tool for tool in sorted((tool for noun in NOUNS for tool in noun.TOOLS), key=lambda tool: tool.place)
}
"""Every tool by name, in the order of `tools/list`."""

KNOWN = names_of(iter(TOOLS.values()))
"""The names of all arguments."""

REQUEST_ID = "teamroom/request-id"
REQUEST_ID_CHARACTERS = 200

WAITING_TOOLS = frozenset(tool.name for tool in TOOLS.values() if tool.waits)
ASKING_TOOLS = frozenset(tool.name for tool in TOOLS.values() if tool.danger is not None)

Context = ServerRequestContext[Any, Any]

Result = dict[str, Any]
"""A `CallToolResult` as it is sent. The SDK checks it; as a model, it would first be taken apart again."""


class ToolServer:
    """The tools as the SDK calls them."""

    def __init__(
        self,
        door: Door,
        waiting: Waiting | None,
        asking: Asking,
        caller_of: Callable[[Context], Caller],
        session_of: Callable[[Context], object | None],
        faults: Faults,
        calls: Calls | None = None,
    ) -> None:
        self._door = door
        self._calls = calls or Calls("")
        self._faults = faults
        self._asking = asking
        self._waiting = waiting
        self._caller_of = caller_of
        self._session_of = session_of
        self._first_calls = FirstCalls()
        self._results: dict[int, tuple[weakref.ref[Any], SharedResult]] = {}
        """The results of replies that somebody else keeps, by the replies' identities."""

    async def list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """The tools that the caller is shown."""
        caller = self._caller_of(ctx)
        return types.ListToolsResult(tools=[tool.definition for tool in TOOLS.values() if tool.is_for(caller)])

    async def call(self, ctx: Context, params: CallParams) -> Result | types.InputRequiredResult:
        """Run a tool, or ask a person to confirm it.

        A refusal is a result with `isError`, so that every client shows it to its model.

        Raises MCPError for a fault of the room. The fault is logged; the error does not show it.
        """
        caller, meta = self._caller_of(ctx), meta_of(ctx.params)
        try:
            result = await self._carry_out(ctx, params, caller, meta)
            self._note_call(caller, meta)
            self._door.rates.refused.forget(caller, params.name)
            return result
        except Refusal as refusal:
            self._note_call(caller, meta, refusal.code)
            self._door.note_refused(caller, _known_name(params.name), refusal)
            return _result(refusal.text(), refusal.body(), is_error=True)
        except Exception:
            raise MCPError(INTERNAL_ERROR, self._faults.report(f"the tool {params.name[:60]!r}")) from None

    async def _carry_out(
        self, ctx: Context, params: CallParams, caller: Caller, meta: dict[str, Any]
    ) -> Result | types.InputRequiredResult:
        tool, understood = self._understand(caller, params.name, params.arguments)
        arguments = understood.arguments
        confirmation = await self._asking.confirm(ctx, params, tool, caller, arguments) if tool.danger else None
        if isinstance(confirmation, types.InputRequiredResult):
            return confirmation
        origin = _origin(meta, self._session_of(ctx))
        request_id = _request_id(meta)
        reply = await self._run(tool, caller, arguments, request_id, origin, confirmation)
        if isinstance(tool.does, Read) and tool.does.is_shared and origin.name is None and understood.is_plain:
            return self._shared(tool, reply, understood)
        words, data = render_reply(tool, reply, understood)
        brief = self._first_calls.brief(tool.name, caller, origin.session, meta, request_id)
        if brief is not None:
            words, data = f"{brief}\n\n{words}", {"brief": brief, **data}
        result = _result(words, data)
        return result if origin.name is None else {**result, "_meta": self._calls.said(caller.member)}

    def _shared(self, tool: Tool, reply: Any, understood: Understood) -> Result:
        """The result of a read whose reply many callers get: rendered once, as long as the door keeps the reply.

        It is dropped with the reply, so nothing is kept of a room whose replies the door does not keep.
        """
        key = id(reply)
        known = self._results.get(key)
        if known is not None and known[0]() is reply:
            return known[1]
        result = SharedResult(_result(*render_reply(tool, reply, understood)))
        self._results[key] = weakref.ref(reply, lambda gone: self._results.pop(key, None)), result
        return result

    async def call_on_page(
        self, caller: Caller, name: str, given: dict[str, Any], typed: str, request_id: str | None
    ) -> tuple[str, dict[str, Any]]:
        """Run a tool for a person who sent a form of the page; returns its words and its data.

        To send the form is the yes. `typed`: the name that the person typed, where the tool wants one. Raises Refusal.
        """
        try:
            tool, understood = self._understand(caller, name, given)
            require_typed(tool, understood.arguments, typed)
            if request_id is not None:
                require_request_id(request_id)
            reply = await self._run(tool, caller, understood.arguments, request_id, Origin(None, None), None)
            return render_reply(tool, reply, understood)
        except Refusal as refusal:
            self._door.note_refused(caller, _known_name(name), refusal)
            raise

    def _note_call(self, caller: Caller, meta: dict[str, Any], refused: str | None = None) -> None:
        """Count a call that is not a listener's."""
        if LISTENER not in meta:
            self._calls.note(caller.member, refused)

    def _understand(self, caller: Caller, name: str, given: dict[str, Any] | None) -> tuple[Tool, Understood]:
        """The tool of a call and its arguments. A call that makes no sense counts as refused. Raises Refusal."""
        try:
            tool = _find(name)
            return tool, read_arguments(tool, given, caller.name, KNOWN)
        except Refusal as refusal:
            self._door.rates.require_care(caller)
            self._door.rates.note_refusal(caller, refusal)
            raise

    async def _run(
        self,
        tool: Tool,
        caller: Caller,
        arguments: Any,
        request_id: str | None,
        origin: Origin,
        confirmation: Confirmation | None,
    ) -> Any:
        if tool.waits and self._waiting is not None:
            return await self._waiting.wait_for_wake(caller, arguments, origin)
        if isinstance(tool.does, Act) and confirmation is not None:
            reply = await self._door.act_confirmed(caller, tool.does, arguments, confirmation, request_id)
        elif isinstance(tool.does, Act):
            heard = None if self._waiting is None else await self._waiting.heard(caller, origin)
            reply = await self._door.act(caller, tool.does, arguments, request_id, heard)
        else:
            reply = await self._door.read(caller, tool.does, arguments)
            if self._waiting is not None:
                await self._waiting.hear_with_read(caller, origin)
        if origin.name is not None and self._waiting is not None and getattr(reply, "standing", "active") == "active":
            self._waiting.note_call(caller, origin.name)
        return reply


def _result(words: str, data: dict[str, Any], is_error: bool = False) -> Result:
    content = [{"text": words, "type": "text"}]
    return {"content": content, "structuredContent": data, "isError": is_error, "resultType": "complete"}


def render_reply(tool: Tool, reply: Any, understood: Understood) -> tuple[str, dict[str, Any]]:
    """A reply in words and as data."""
    words, data = tool.text(reply), reply.model_dump(mode="json", by_alias=True)
    for lines, more in additions(tool, reply, understood):
        words, data = f"{words}\n{lines}", {**data, **more}
    return words, data


def _find(name: str) -> Tool:
    tool = TOOLS.get(name)
    if tool is None:
        shown = cite(without_secrets(name[:60]))
        raise Refusal("not_found", f"There is no tool {shown}.", f"The tools are {', '.join(TOOLS)}.")
    return tool


def _known_name(name: str) -> str:
    """A tool's name; what else was called is counted under one name, because it can be any text."""
    return name if name in TOOLS else "unknown tool"


def _origin(meta: dict[str, Any], session: object | None) -> Origin:
    """Which listener calls, if one does. Raises Refusal `invalid`."""
    if LISTENERS_KEYS.isdisjoint(meta):
        return Origin(None, session)
    return Origin(listener_name(meta), session, run_report(meta), woke_cursor(meta), ended_run(meta))


def _request_id(meta: dict[str, Any]) -> str | None:
    value = meta.get(REQUEST_ID)
    return None if value is None else require_request_id(value)


def require_request_id(value: Any) -> str:
    """A request id that is a short text. Raises Refusal."""
    if not isinstance(value, str) or not 0 < len(value) <= REQUEST_ID_CHARACTERS or not value.isprintable():
        raise Refusal(
            "invalid",
            f"_meta {REQUEST_ID} must be a text of 1 to {REQUEST_ID_CHARACTERS} printable characters.",
            "Send a UUID, a new one for each new call.",
        )
    return value
