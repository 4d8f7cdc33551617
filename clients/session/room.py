"""The room as a program calls it: its tools and resources as Python calls, one request each."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any, Self

from teamroom.clients.session.connection import ANSWER_SECONDS, Connection
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place, token
from teamroom.clients.session.protocol import (
    Request,
    call_tool,
    read_answer,
    read_resource,
    resource_json,
    tool_reply,
)

__all__ = ["Failure", "Place", "Room", "ask", "connected"]

ROUNDS = 10
"""How often one call is answered with a question at most."""

Confirm = Callable[[str], bool]
"""Asks a person a question; returns whether the answer is yes."""


class Room:
    """A room with a member's token. Every method raises Failure.

    `confirm` asks a person before what cannot be undone; without it the room asks only where it must, and refuses.
    """

    def __init__(
        self, url: str, bearer: str, answer_seconds: float = ANSWER_SECONDS, confirm: Confirm | None = None
    ) -> None:
        self._url, self._bearer, self._confirm = url, bearer, confirm
        self._connection = Connection(url, answer_seconds)
        self._numbers = count(1)

    def call(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool with the arguments that are not None; returns its structured reply.

        The room carries out calls with the same `request_id` once.
        """
        return tool_reply(self._result(call_tool(tool, arguments, request_id)))

    def read(self, uri: str) -> dict[str, Any]:
        """Read a resource; returns its JSON."""
        return resource_json(self._result(read_resource(uri)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result(self, request: Request) -> dict[str, Any]:
        """The result of a request, after the questions that the room asks first."""
        if self._confirm is not None:
            request = replace(request, capabilities={"elicitation": {"form": {}}})
        for _ in range(ROUNDS):
            result = self._ask(request)
            if result.get("resultType") != "input_required":
                return result
            answers = {"inputResponses": self._answers(result), "requestState": result.get("requestState")}
            request = replace(request, params={**request.params, **answers})
        raise Failure("The room asks again and again.", "Look at the room: teamroom doctor")

    def _ask(self, request: Request) -> dict[str, Any]:
        answer = self._connection.post(request.body(next(self._numbers)), request.headers(self._bearer))
        return read_answer(self._url, answer.kind, answer.body)

    def _answers(self, result: dict[str, Any]) -> dict[str, Any]:
        """What the person answers to each question: a form with one box, which is ticked for a yes."""
        answers = dict[str, Any]()
        for name, asked in (result.get("inputRequests") or {}).items():
            params = asked.get("params", {})
            boxes = params.get("requestedSchema", {}).get("properties", {})
            is_yes = self._confirm is not None and self._confirm(str(params.get("message", "")))
            answers[name] = (
                {"action": "accept", "content": dict.fromkeys(boxes, True)} if is_yes else {"action": "decline"}
            )
        return answers


@contextlib.contextmanager
def connected(place: Place, bearer: str | None = None, confirm: Confirm | None = None) -> Iterator[Room]:
    """The room of a place, with the caller's token or with the one that is given. Raises Failure."""
    with Room(place.endpoint, bearer or token(place), confirm=confirm) as room:
        yield room


def ask(place: Place, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """Call one tool once. Raises Failure."""
    with connected(place) as room:
        return room.call(tool, **arguments)
