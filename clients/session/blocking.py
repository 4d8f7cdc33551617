"""The client of a program without an event loop, such as the shell. A person may be asked before a call.

A program that waits for wakes uses `teamroom.client.Room`.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Self

from teamroom.clients.session.connection import ANSWER_SECONDS, Answer, Connection
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.lineage import marked
from teamroom.clients.session.place import Place, check_kind, naming_caller, token
from teamroom.clients.session.protocol import Request, call_tool, read_resource, resource_json, tool_reply
from teamroom.clients.session.session import HASTY, Confirm, Session, always, finished
from teamroom.clients.session.terminal import plain, say
from teamroom.server.rules.characters import count_removed
from teamroom.server.rules.text import cite_name


class BlockingRoom:
    """A room that is called with a member's token. Every method raises Failure, and nothing waits for the room.

    With `confirm`, the room has a person asked before acts that cannot be undone. With `socket_folder`, calls go over
    the room's own socket in that folder if a server has one, which a busy network cannot delay.
    """

    def __init__(
        self,
        url: str,
        bearer: str,
        answer_seconds: float = ANSWER_SECONDS,
        confirm: Confirm | None = None,
        socket_folder: Path | None = None,
    ) -> None:
        self._carrier = _OneConnection(url, answer_seconds, socket_folder)
        self._session = Session(self._carrier, lambda: bearer, HASTY, confirm=confirm)
        self._answer_seconds = answer_seconds

    def call(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool with the arguments that are not None; returns its structured reply.

        With a `request_id`, the call is sent a second time if its answer is lost; the room carries it out once.
        """
        request = call_tool(tool, arguments, request_id)
        return finished(self._session.ask(always(request), tool_reply, self._answer_seconds))

    def read(self, uri: str) -> dict[str, Any]:
        """Read a resource; returns its JSON."""
        return finished(self._session.ask(always(read_resource(uri)), resource_json, self._answer_seconds))

    def who_calls(self) -> str | None:
        """Return the name of the member whose token this is; None if the room does not say."""
        if not self._session.has_answered:
            return None
        with contextlib.suppress(Failure):
            return str(self.read("teamroom://me")["name"])
        return None

    def close(self) -> None:
        """Close the connection."""
        self._carrier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _OneConnection:
    """Carries one request after the other over one connection, and blocks until each is answered."""

    def __init__(self, url: str, answer_seconds: float, socket_folder: Path | None) -> None:
        self.url, self._connection = url, Connection(url, answer_seconds, socket_folder)
        self._numbers = count(1)
        self.turn = contextlib.nullcontext()

    async def carry(self, request: Request, token: str, answer_seconds: float) -> Answer:
        """Send a request, and wait for the answer."""
        return self._connection.post(request.body(next(self._numbers)), request.headers(token))

    async def rest(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)  # noqa: ASYNC251 - no event loop runs this

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def connected(place: Place, bearer: str | None = None, confirm: Confirm | None = None) -> Iterator[BlockingRoom]:
    """Connect to the room of a place, with the given token or the caller's. Raises Failure."""
    room = BlockingRoom(place.endpoint, bearer or token(place), confirm=confirm, socket_folder=place.socket_folder)
    naming = contextlib.nullcontext() if bearer is not None else naming_caller(place, None, room.who_calls)
    with room, naming:
        if marked(place.environment) is not None:
            check_kind(place, room.read("teamroom://me"))
        yield room


def ask(place: Place, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """Call one tool once, and say what the room remarks on its texts and names. Raises Failure."""
    with connected(place) as room:
        reply = room.call(tool, **arguments)
    say_remarks(reply)
    return reply


def say_remarks(reply: Mapping[str, Any]) -> None:
    """Say what a call's texts lost, which mentions in them reach nobody, and which names that it gave are former."""
    if reply.get("removed"):
        say(f"Removed from your text: {count_removed(reply['removed'])}.")
    for mention in reply.get("not_reached", ()):
        near = f"; near: {', '.join('@' + name for name in mention['near'])}" if mention["near"] else ""
        say(f"{cite_name('@' + plain(mention['name']))} reaches nobody: {plain(mention['why'] + near)}")
    for new in reply.get("new_names", ()):
        say(f"@{plain(new['name'])} is @{plain(new['now'])} now.")


def ask_once(place: Place, tool: str, request_id: str, /, **arguments: Any) -> dict[str, Any]:
    """Call a tool, and a second time if the answer is lost: the room carries it out once. Raises Failure."""
    with connected(place) as room:
        return room.call(tool, request_id=request_id, **arguments)
