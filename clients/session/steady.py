"""The room for programs that stay: across its restarts, and still under a pause."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx2

from teamroom.clients.session.connection import ANSWER_SECONDS, CONNECT_SECONDS
from teamroom.clients.session.failure import NOT_AUTHORISED, USAGE, Failure, UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.protocol import (
    Request,
    call_tool,
    read_answer,
    read_resource,
    resource_json,
    tool_reply,
)
from teamroom.clients.session.streams import http_client

AGAIN_SECONDS = (0.5, 30.0)
"""How long until a room that does not answer is called again: at first, and at most."""

HELD_SECONDS = 10.0
"""How often a paused member asks at most whether it may go on."""

WAIT_SECONDS = 45.0
"""How long one call waits for wakes."""

REQUEST_ID_BYTES = 12
LISTENER_BYTES = 4

ASK_AGAIN = frozenset({"busy", "storage"})
"""Refusals that pass by themselves."""

STALE_CURSOR = frozenset({"invalid", "expired", "conflict"})
"""Refusals of a cursor that the room does not know any more, say because it was restored: check in anew."""

Tell = Callable[..., None]
"""How the program says something: the event's name, its words, and facts for programs."""

Read = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Takes what was asked for out of a result. Raises Failure."""


def new_listener() -> str:
    """What a program that listens on for long says it is: when it began, so that the room knows the newest."""
    return f"{time.time_ns() // 1_000_000:013}-{secrets.token_hex(LISTENER_BYTES)}"


class SteadyRoom:
    """Calls that come through, however long it takes. Every method raises Failure where waiting does not help.

    A call that may have been carried out before its answer was lost is sent with the same request id, so that it is
    carried out once. `is_steady` False: nothing is waited for, so that one round ends. `listener`: which listener of
    its member calls, as `new_listener` says it.
    """

    def __init__(
        self,
        place: Place,
        token: Callable[[], str],
        tell: Tell,
        held_seconds: float = HELD_SECONDS,
        is_steady: bool = True,
        listener: str | None = None,
    ) -> None:
        self._place, self._token, self._tell = place, token, tell
        self._held_seconds, self._is_steady, self._listener = held_seconds, is_steady, listener
        self._holding = anyio.Lock()
        self._is_away = False

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float = ANSWER_SECONDS, **arguments: Any
    ) -> dict[str, Any]:
        """Call a tool; returns its structured reply."""
        request_id = request_id or secrets.token_hex(REQUEST_ID_BYTES)
        return await self._through(call_tool(tool, arguments, request_id, self._listener), tool_reply, answer_seconds)

    async def wait(self, after: int | None, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait for wakes; returns the reply of `wait_for_wake`."""
        answer_seconds = ANSWER_SECONDS + seconds
        return await self.call("wait_for_wake", answer_seconds=answer_seconds, after=after, timeout_seconds=seconds)

    async def me(self) -> dict[str, Any]:
        """Who the caller is; a paused member may ask."""
        return await self._through(read_resource("teamroom://me"), resource_json)

    async def _through(self, request: Request, read: Read, answer_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        pause, longest = AGAIN_SECONDS
        while True:
            try:
                reply = read(await self._once(request, answer_seconds))
            except Failure as failure:
                code = failure.body.get("code")
                if not self._is_steady or failure.exit_code in (USAGE, NOT_AUTHORISED):
                    raise
                if code == "paused":
                    await self._hold(failure)
                    continue
                if code is not None and code not in ASK_AGAIN:
                    raise
                self._away(failure)
                await anyio.sleep(min(float(failure.body.get("retry_after_seconds", pause)), longest))
                pause = min(2 * pause, longest)
            else:
                self._back()
                return reply

    async def _once(self, request: Request, answer_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """The result of a request that is sent once, with the token of this moment."""
        url = self._place.endpoint
        headers = request.headers(self._token())
        try:
            async with http_client(url, httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS)) as http:
                answer = await http.post(url, content=request.body(1), headers=headers)
        except httpx2.TransportError:
            raise UnreachableError(url) from None
        return read_answer(url, answer.headers.get("content-type", ""), answer.content)

    async def _hold(self, failure: Failure) -> None:
        """Do nothing until the pause is over; of several calls that are held, one asks."""
        async with self._holding:
            is_told = False
            while True:
                try:
                    beat = tool_reply(await self._once(call_tool("heartbeat", {}, listener=self._listener)))
                    if beat["standing"] != "paused":
                        break
                except Failure as other:
                    if other.exit_code in (USAGE, NOT_AUTHORISED):
                        raise
                if not is_told:
                    self._tell("paused", f"Paused: {failure.why} Holding still until a resume.", why=failure.why)
                    is_told = True
                await anyio.sleep(self._held_seconds)
            if is_told:
                self._tell("resumed", "Going on.")

    def _away(self, failure: Failure) -> None:
        if not self._is_away:
            self._tell("away", f"{failure.why} Going on once it answers.", why=failure.why)
        self._is_away = True

    def _back(self) -> None:
        if self._is_away:
            self._tell("back", "The room answers.")
        self._is_away = False
