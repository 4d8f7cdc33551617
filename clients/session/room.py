"""The Python client of a room: each call of a tool or read of a resource is one request."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Self

from teamroom.clients.session.connection import ANSWER_SECONDS, Connection
from teamroom.clients.session.failure import Failure, UnreachableError
from teamroom.clients.session.lineage import marked
from teamroom.clients.session.place import Place, check_kind, naming_caller, token
from teamroom.clients.session.protocol import (
    Request,
    call_tool,
    read_answer,
    read_resource,
    resource_json,
    tool_reply,
)
from teamroom.clients.session.terminal import plain, say
from teamroom.server.rules.characters import count_removed
from teamroom.server.rules.text import cite_name

__all__ = ["Failure", "Place", "Room", "ask", "connected"]

ROUNDS = 10
"""The most questions that the room may ask before it carries out one call."""

Confirm = Callable[[str, dict[str, str]], dict[str, str] | None]
"""Asks a person a question, with the titles of its fields; returns what they typed in each, or None for a no."""


class Room:
    """A room that is called with a member's token. Every method raises Failure.

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
        self._url, self._bearer, self._confirm = url, bearer, confirm
        self._connection = Connection(url, answer_seconds, socket_folder)
        self._numbers = count(1)
        self._has_answered = False

    def call(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool with the arguments that are not None; returns its structured reply.

        The room carries out calls with the same `request_id` once.
        """
        return tool_reply(self._result(call_tool(tool, arguments, request_id)))

    def read(self, uri: str) -> dict[str, Any]:
        """Read a resource; returns its JSON."""
        return resource_json(self._result(read_resource(uri)))

    def who_calls(self) -> str | None:
        """Return the name of the member whose token this is; None if the room does not say."""
        if not self._has_answered:
            return None
        with contextlib.suppress(Failure):
            return str(self.read("teamroom://me")["name"])
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result(self, request: Request) -> dict[str, Any]:
        """Return the result of a request, after answering the room's questions."""
        if self._confirm is not None:
            request = replace(request, capabilities={"elicitation": {"form": {}}})
        for _ in range(ROUNDS):
            result = self._ask(request)
            if result.get("resultType") != "input_required":
                return result
            answers = {"inputResponses": self._answers(result), "requestState": result.get("requestState")}
            request = replace(request, params={**request.params, **answers})
        raise Failure(f"The room asked more than {ROUNDS} questions.", "Check the room with `teamroom doctor`.")

    def _ask(self, request: Request) -> dict[str, Any]:
        answer = self._connection.post(request.body(next(self._numbers)), request.headers(self._bearer))
        self._has_answered = True
        return read_answer(self._url, answer.kind, answer.body)

    def _answers(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the person's answer to each question."""
        answers = dict[str, Any]()
        for name, asked in (result.get("inputRequests") or {}).items():
            params = asked.get("params", {})
            fields = params.get("requestedSchema", {}).get("properties", {})
            titles = {field: str(schema.get("title", field)) for field, schema in fields.items()}
            typed = None if self._confirm is None else self._confirm(str(params.get("message", "")), titles)
            answers[name] = {"action": "decline"} if typed is None else {"action": "accept", "content": typed}
        return answers


@contextlib.contextmanager
def connected(place: Place, bearer: str | None = None, confirm: Confirm | None = None) -> Iterator[Room]:
    """Connect to the room of a place, with the given token or the caller's. Raises Failure."""
    room = Room(place.endpoint, bearer or token(place), confirm=confirm, socket_folder=place.socket_folder)
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
    try:
        with connected(place) as room:
            return room.call(tool, request_id=request_id, **arguments)
    except UnreachableError as error:
        if not error.was_sent:
            raise
    with connected(place) as room:
        return room.call(tool, request_id=request_id, **arguments)
