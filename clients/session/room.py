"""The client of an agent's program: typed calls of every tool, and a loop over the wakes of the member.

It waits through restarts of the room and through pauses. `docs/agents.md` shows a whole agent.
"""

import math
import os
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc

from teamroom.clients.session.carrier import HttpCarrier
from teamroom.clients.session.connection import ANSWER_SECONDS
from teamroom.clients.session.failure import USAGE, Failure, leaves
from teamroom.clients.session.place import Place, agents_token, endpoint_of
from teamroom.clients.session.protocol import WAIT_TOOL, call_tool, read_resource, resource_json, tool_reply
from teamroom.clients.session.session import PAUSED_SECONDS, Patience, Session, Tell, always
from teamroom.clients.session.tools import Tools
from teamroom.clients.session.whereabouts import Whereabouts

if TYPE_CHECKING:
    from teamroom.clients.session.shapes import Wake

REQUEST_ID_BYTES = 12

SERVERS_WAIT_SECONDS = 50.0
"""The longest time for which the room holds a call that waits for wakes."""


class Room(Tools):
    """A room that a member's program calls. Each tool is a method; every method raises Failure.

    A call is tried again while the room cannot be reached, is busy, or has paused the member. It has one request id,
    so the room carries it out once. `patience_seconds` is the longest time for that: 0 raises at once. What the room
    refuses for good raises Refused. `tell` gets the events away, back, paused and resumed; by default they are logged.

    `async with` keeps connections open, and listening needs it.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        token: str | Callable[[], str],
        *,
        tell: Tell | None = None,
        patience_seconds: float = math.inf,
        paused_seconds: float = PAUSED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        carrier: HttpCarrier | None = None,
    ) -> None:
        """`url`: the address of the room. It and `token` may be functions, which are called for each request.

        `carrier`: that of another client of the same room, to share its connections.
        """
        self._find_url = url if callable(url) else partial(endpoint_of, url)
        self._token = token if callable(token) else partial(str, token)
        self._tell = tell or log
        self._patience_seconds, self._paused_seconds, self._clock = patience_seconds, paused_seconds, clock
        self._carrier = carrier or HttpCarrier(self._find_url)
        self._session = self._open_session()
        self._calls = 0
        self._tasks: anyio.abc.TaskGroup | None = None

    def _open_session(self, **options: Any) -> Session:
        """Return a session with the options of this room. `options`: more of them, as for Session."""
        patience = Patience(self._patience_seconds)
        options = {"paused_seconds": self._paused_seconds, "clock": self._clock, **options}
        return Session(self._carrier, self._token, patience, self._tell, **options)

    @classmethod
    def from_environment(
        cls,
        name: str | None = None,
        *,
        data: Path | None = None,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Self:
        """Return the room that the environment names, for the member whose token it has.

        The address is TEAMROOM_URL, else that of the room in the data folder (`data`, else TEAMROOM_DATA). The token is
        TEAMROOM_TOKEN, else the saved token of the member `name`; it is never the owner's. `options`: as for Room.
        """
        place = Place(data, environment=dict(os.environ if environment is None else environment))
        return cls(lambda: place.endpoint, partial(agents_token, place, name), **options)

    # -------------------------------------------------------------- calls

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float | None = None, **arguments: Any
    ) -> Any:
        """Call a tool with the arguments that are not None; returns its structured reply.

        With a `request_id` of yours, the room carries the call out once even if your program repeats it later.
        """
        self._calls += 1
        request = call_tool(tool, arguments, request_id or secrets.token_hex(REQUEST_ID_BYTES))
        return await self._session.ask(always(request), tool_reply, answer_seconds or longest_answer(tool, arguments))

    async def read(self, uri: str) -> dict[str, Any]:
        """Read a resource, such as `teamroom://me`; returns its JSON."""
        return await self._session.ask(always(read_resource(uri)), resource_json, ANSWER_SECONDS)

    async def me(self) -> dict[str, Any]:
        """Read who the caller is. A paused member may ask."""
        return await self.read("teamroom://me")

    # -------------------------------------------------------------- wakes

    def listen(self) -> "AsyncGenerator[Wake, None]":
        """Yield the member's wakes one after the other, as its one live listener. It begins with those that wait.

        A wake is acknowledged once the loop asks for the next one, so a program that crashes before gets it again. A
        kill cancels within about a second what the loop does, and `async with` raises Killed. A newer listener of the
        member lets the loop finish with its wake; then the loop raises Superseded.
        """
        from teamroom.clients.session.listening import ListeningRoom, new_listener  # which is built on this module
        from teamroom.clients.session.wakes import each_wake

        if self._tasks is None:
            raise Failure("This room is not open.", "Listen inside of `async with room:`.", USAGE)
        room = ListeningRoom(
            self._find_url,
            self._token,
            new_listener(),
            where=Whereabouts(Path(sys.argv[0]).name),
            tell=self._tell,
            patience_seconds=self._patience_seconds,
            paused_seconds=self._paused_seconds,
            carrier=self._carrier,
        )
        return each_wake(room, self._tasks, lambda: self._calls)

    # -------------------------------------------------------------- open and close

    async def __aenter__(self) -> Self:
        self._carrier.keep()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Raise what ended the block: a failure while it listened, else what the block itself raised."""
        assert self._tasks is not None
        tasks, self._tasks = self._tasks, None
        tasks.cancel_scope.cancel()
        try:
            return await tasks.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            others = [one for one in group.exceptions if one is not error]
            raised = list(leaves(BaseExceptionGroup("besides the block's own", others))) if others else []
            if raised:
                raise next((one for one in raised if isinstance(one, Failure)), raised[0]) from error
            return False
        finally:
            with anyio.CancelScope(shield=True):
                await self._carrier.close()


def longest_answer(tool: str, arguments: Mapping[str, Any]) -> float:
    """Return how long to wait for the answer to a call."""
    if tool != WAIT_TOOL:
        return ANSWER_SECONDS
    asked = arguments.get("timeout_seconds")
    return ANSWER_SECONDS + (SERVERS_WAIT_SECONDS if asked is None else float(asked))


def log(event: str, words: str, /, **facts: Any) -> None:
    """Report an event of a room to the log of the program."""
    import logging

    logging.getLogger("teamroom").warning("%s", words)
