"""JSON-RPC with a program, one message a line, as ACP agents and Codex's app server speak it.

Both ask for a dozen methods at most, so no library of the protocol is loaded for them.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from teamroom.clients.listener.supervised import HarnessError, Send

Json = dict[str, Any]

UNKNOWN_METHOD = {"code": -32601, "message": "Method not found"}

Notice = Callable[[str, Json], None]
"""Takes in a notification: its method and parameters."""

Question = Callable[[str, Json], Json | None]
"""Answers a request of the program with a result; None if it has no such method."""


class Rpc:
    """The calls that a program answers, and the requests and notifications that it sends."""

    def __init__(self, send: Send, notice: Notice, question: Question) -> None:
        self._send, self._notice, self._question = send, notice, question
        self._count = 0
        self._waiting = dict[int, _Answer]()

    async def call(self, method: str, **params: Any) -> Json:
        """Call a method; returns its result. Raises HarnessError."""
        number, answer = self.ask(method, **params), _Answer()
        self._waiting[number] = answer
        try:
            await answer.came.wait()
        finally:
            del self._waiting[number]
        if answer.message.get("error") is not None:
            code = part(answer.message, "error").get("code")
            raise HarnessError(f"refused {method} (error {code if isinstance(code, int) else 'without a code'})")
        return part(answer.message, "result")

    def ask(self, method: str, **params: Any) -> int:
        """Call a method without waiting for the answer; returns the id of the call."""
        self._count += 1
        self._write({"id": self._count, "method": method, "params": params})
        return self._count

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self._write({"method": method, "params": params})

    def hear(self, line: bytes) -> None:
        """Take in a message. Raises ValueError for what is none."""
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError
        method, number, params = message.get("method"), message.get("id"), part(message, "params")
        if isinstance(method, str) and number is not None:
            self._reply(number, self._question(method, params))
        elif isinstance(method, str):
            self._notice(method, params)
        elif isinstance(number, int) and number in self._waiting:
            self._waiting[number].message = message
            self._waiting[number].came.set()
        elif "result" not in message and "error" not in message:
            raise ValueError

    def _reply(self, number: Any, result: Json | None) -> None:
        self._write({"id": number, **({"error": UNKNOWN_METHOD} if result is None else {"result": result})})

    def _write(self, message: Mapping[str, Any]) -> None:
        self._send(json.dumps({"jsonrpc": "2.0", **message}).encode())


def part(message: Mapping[str, Any], name: str) -> Json:
    """Return an object in a message; an empty one if there is none."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


class _Answer:
    """The answer of a call, once it came."""

    def __init__(self) -> None:
        self.came = anyio.Event()
        self.message: Json = {}
