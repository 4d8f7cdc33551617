"""A room as a member's live listener calls it: it names itself, reports the run that is on, and waits for wakes."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from teamroom.clients.session.connection import ANSWER_SECONDS
from teamroom.clients.session.protocol import CALLS, RUNTIME, WAIT_TOOL, Request, call_tool, tool_reply
from teamroom.clients.session.room import REQUEST_ID_BYTES, Room, longest_answer
from teamroom.clients.session.session import ASK_AGAIN, Session
from teamroom.clients.session.whereabouts import Whereabouts

WAIT_SECONDS = 45.0
"""How long one `wait_for_wake` waits."""

LISTENER_BYTES = 4

STALE_CURSOR = frozenset({"invalid", "expired", "conflict"})
"""Refusals of a cursor that the room no longer knows, for example after a restore. Check in again."""

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


class ListeningRoom(Room):
    """A room that a listener calls. Its calls do not count as those of the member.

    `listener`: the listener's id, from `new_listener`; None for a program that only calls. `where`: says where it runs
    with its calls. `options`: as for Room.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        token: str | Callable[[], str],
        listener: str | None,
        where: Whereabouts | None = None,
        **options: Any,
    ) -> None:
        self._listener, self._where = listener, where
        self._news: dict[str, Any] = {}
        self.calls: str | None = None
        """What the room said last of the member's calls that are not this listener's; a room may not say it."""
        super().__init__(url, token, **options)

    def _open_session(self, **options: Any) -> Session:
        return super()._open_session(listener=self._listener, again=ASK_AGAIN | {"rate_limited"}, **options)

    def say(self, key: str, value: Any) -> None:
        """Say something of this listener's wakes with its next calls, until one of them is answered."""
        self._news[key] = value

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Call a tool; returns its structured reply."""
        answer_seconds = answer_seconds or longest_answer(tool, arguments)
        return await self._call(tool, arguments, request_id, answer_seconds)

    async def beat(self, look: Look | None = None) -> None:
        """Send a heartbeat. Each try reports the run as it is then; without `look`, none is on."""
        await self._call("heartbeat", {}, None, ANSWER_SECONDS, look)

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
        return await self.call(WAIT_TOOL, after=after, timeout_seconds=seconds)

    async def _call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        request_id: str | None,
        answer_seconds: float,
        look: Look | None = None,
    ) -> dict[str, Any]:
        request_id = request_id or secrets.token_hex(REQUEST_ID_BYTES)
        said: Mapping[str, Any] = {}

        async def prepare() -> Request:
            nonlocal said
            if self._where is not None and (place := self._where.due()) is not None:
                self.say(RUNTIME, place)
            run, said = None if look is None else await look(), dict(self._news)
            return call_tool(tool, arguments, request_id, self._listener, run, said)

        def read(result: Mapping[str, Any]) -> dict[str, Any]:
            reply = tool_reply(result)
            self._news = {key: value for key, value in self._news.items() if said.get(key) != value}
            self.calls = (result.get("_meta") or {}).get(CALLS, self.calls)
            return reply

        return await self._session.ask(prepare, read, answer_seconds)
