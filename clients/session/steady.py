"""The asynchronous client of long-running programs: it waits through restarts of the room and through pauses."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio
import httpx2

from teamroom.clients.session.connection import ANSWER_SECONDS, CONNECT_SECONDS
from teamroom.clients.session.failure import NOT_AUTHORISED, USAGE, Failure, UnreachableError
from teamroom.clients.session.handshake import UnprovenError
from teamroom.clients.session.place import Place
from teamroom.clients.session.protocol import (
    CALLS,
    Request,
    call_tool,
    read_answer,
    read_resource,
    resource_json,
    tool_reply,
)
from teamroom.clients.session.streams import http_client

AGAIN_SECONDS = (0.5, 30.0)
"""The first and the longest wait before calling a room that does not answer again."""

PAUSED_SECONDS = 10.0
"""How often a paused member asks whether it was resumed."""

WAIT_SECONDS = 45.0
"""How long one `wait_for_wake` waits."""

REQUEST_ID_BYTES = 12
LISTENER_BYTES = 4

ASK_AGAIN = frozenset({"busy", "storage"})
"""Refusals that a later try may not get."""

STALE_CURSOR = frozenset({"invalid", "expired", "conflict"})
"""Refusals of a cursor that the room no longer knows, for example after a restore. Check in again."""

Tell = Callable[..., None]
"""Reports an event: its name, its words, and facts for programs."""

Read = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Reads the reply from a result. Raises Failure."""

Look = Callable[[], Awaitable[Mapping[str, float]]]
"""Looks at the run that is on; returns what a listener reports of it."""


def new_listener(root: str = "") -> str:
    """Return the id of a new listener. It begins with the time, so that the room knows the newest.

    `root`: what the ids of the listeners have in common that one harness starts after each other; "" for a new one.
    """
    return f"{time.time_ns() // 1_000_000:013}-{root or secrets.token_hex(LISTENER_BYTES)}"


def root_of(listener: str) -> str:
    """Return what an id has in common with those of the same harness."""
    return listener.partition("-")[2]


class SteadyRoom:
    """A room whose calls are retried until they succeed. Methods raise Failure where waiting does not help.

    A retry has the request id of the first try, so the room carries out the call once. With `is_steady` False, calls
    are not retried. `listener` is the id of the calling listener, from `new_listener`.
    """

    def __init__(
        self,
        place: Place,
        token: Callable[[], str],
        tell: Tell,
        paused_seconds: float = PAUSED_SECONDS,
        is_steady: bool = True,
        listener: str | None = None,
    ) -> None:
        self._place, self._token, self._tell = place, token, tell
        self._paused_seconds, self._is_steady, self._listener = paused_seconds, is_steady, listener
        self._pausing = anyio.Lock()
        self._is_away = False
        self._has_answered = False
        self._news: dict[str, Any] = {}
        self.calls: str | None = None
        """What the room said last of the member's calls that are not this listener's; a room may not say it."""

    def say(self, key: str, value: Any) -> None:
        """Say something of this listener's wakes with its next calls, until one of them is answered."""
        self._news[key] = value

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float = ANSWER_SECONDS, **arguments: Any
    ) -> dict[str, Any]:
        """Call a tool; returns its structured reply."""
        request_id = request_id or secrets.token_hex(REQUEST_ID_BYTES)

        async def request() -> Request:
            return call_tool(tool, arguments, request_id, self._listener, news=self._news)

        return await self._through(request, tool_reply, answer_seconds)

    async def beat(self, look: Look | None = None) -> None:
        """Send a heartbeat. Each try reports the run as it is then; without `look`, none is on."""
        request_id = secrets.token_hex(REQUEST_ID_BYTES)

        async def request() -> Request:
            run = None if look is None else await look()
            return call_tool("heartbeat", {}, request_id, self._listener, run, self._news)

        await self._through(request, tool_reply)

    async def has_called(self, before: str | None) -> bool:
        """Whether the member called the room since the room said `before`, other than through this listener.

        A server that started since then knows only the calls that it got itself. An older one counts none.
        """
        await self.beat()
        return self.was_called(before)

    def was_called(self, before: str | None) -> bool:
        """Whether the room has said since that the member called it, as in `has_called`."""
        mark, _, count = (self.calls or "").rpartition(":")
        if self.calls is None or before is None:
            return True
        return self.calls != before if mark == before.rpartition(":")[0] else count != "0"

    async def wait(self, after: int | None, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait for wakes; returns the reply of `wait_for_wake`."""
        answer_seconds = ANSWER_SECONDS + seconds
        return await self.call("wait_for_wake", answer_seconds=answer_seconds, after=after, timeout_seconds=seconds)

    async def me(self) -> dict[str, Any]:
        """Read who the caller is. A paused member may ask."""
        return await self._through(partial(_always, read_resource("teamroom://me")), resource_json)

    async def _through(
        self, request: Callable[[], Awaitable[Request]], read: Read, answer_seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        pause, longest = AGAIN_SECONDS
        while True:
            sent = await request()
            try:
                result = await self._once(sent, answer_seconds)
                reply = read(result)
            except Failure as failure:
                code = failure.body.get("code")
                if not self._is_steady or self._is_final(failure):
                    raise
                if code == "paused":
                    await self._wait_until_resumed(failure)
                    continue
                if code not in (None, *ASK_AGAIN) and not isinstance(failure, UnprovenError):
                    raise
                self._away(failure)
                await anyio.sleep(min(float(failure.body.get("retry_after_seconds", pause)), longest))
                pause = min(2 * pause, longest)
            else:
                self._back()
                self._news = {key: value for key, value in self._news.items() if sent.meta.get(key) != value}
                self.calls = (result.get("_meta") or {}).get(CALLS, self.calls)
                return reply

    def _is_final(self, failure: Failure) -> bool:
        """Whether no later try can succeed.

        Once the room has answered, a server that cannot prove itself is another program, while the room is down.
        """
        if isinstance(failure, UnprovenError):
            return not self._has_answered
        return failure.exit_code in (USAGE, NOT_AUTHORISED)

    async def _once(self, request: Request, answer_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Send a request once, with the current token; returns its result."""
        url = self._place.endpoint
        headers = request.headers(self._token())
        try:
            async with http_client(url, httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS)) as http:
                answer = await http.post(url, content=request.body(1), headers=headers)
        except httpx2.TransportError:
            raise UnreachableError(url) from None
        self._has_answered = True
        return read_answer(url, answer.headers.get("content-type", ""), answer.content)

    async def _wait_until_resumed(self, failure: Failure) -> None:
        """Wait until the pause is over. Of several waiting calls, only one asks."""
        async with self._pausing:
            is_reported = False
            while True:
                try:
                    beat = tool_reply(await self._once(call_tool("heartbeat", {}, listener=self._listener)))
                    if beat["standing"] != "paused":
                        break
                except Failure as other:
                    if self._is_final(other):
                        raise
                if not is_reported:
                    self._tell("paused", f"Paused: {failure.why} Waiting to be resumed.", why=failure.why)
                    is_reported = True
                await anyio.sleep(self._paused_seconds)
            if is_reported:
                self._tell("resumed", "Resumed.")

    def _away(self, failure: Failure) -> None:
        if not self._is_away:
            self._tell("away", f"{failure.why} Waiting until it answers.", why=failure.why)
        self._is_away = True

    def _back(self) -> None:
        if self._is_away:
            self._tell("back", "The room answers again.")
        self._is_away = False


async def _always(request: Request) -> Request:
    return request
