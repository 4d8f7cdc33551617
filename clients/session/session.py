"""The calls of one member: what is sent again, what is waited for, and how a reply is read.

Both clients are built on it: `blocking` without an event loop, and `room` with one. It waits only through its carrier,
so a program without an event loop runs it too: see `finished`.
"""

import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from teamroom.clients.session.connection import Answer
from teamroom.clients.session.failure import NOT_AUTHORISED, USAGE, Failure, UnprovenError, UnreachableError
from teamroom.clients.session.protocol import REQUEST_ID, Request, call_tool, read_answer, tool_reply

AGAIN_SECONDS = (0.5, 30.0)
"""The first and the longest wait before calling a room that does not answer again."""

TOLD_SECONDS = 300.0
"""The longest wait that a room may ask for before a call is sent again."""

PAUSED_SECONDS = 10.0
"""How often a paused member asks whether it was resumed."""

PAUSED_ANSWER_SECONDS = 30.0
"""How long it waits for the answer to that."""

ROUNDS = 10
"""The most questions that the room may ask before it carries out one call."""

ASK_AGAIN = frozenset({"busy", "storage"})
"""Refusals that a later try may not get."""

Confirm = Callable[[str, dict[str, str]], dict[str, str] | None]
"""Asks a person a question, with the titles of its fields; returns what they typed in each, or None for a no."""

Tell = Callable[..., None]
"""Reports an event: its name, its words, and facts for programs. The names are away, back, paused and resumed."""

T = TypeVar("T")

Prepare = Callable[[], Awaitable[Request]]
"""Prepares the request for one try."""

Read = Callable[[Mapping[str, Any]], T]
"""Reads the reply from a result. Raises Failure."""


class Carrier(Protocol):
    """Carries the requests of a session to the room, and lets time pass."""

    @property
    def url(self) -> str:
        """The endpoint to which it carried a request last."""

    @property
    def turn(self) -> AbstractAsyncContextManager[Any]:
        """Held by the one call that asks for all whether a pause is over."""

    async def carry(self, request: Request, token: str, answer_seconds: float) -> Answer:
        """Send a request once; returns the answer. Raises Failure."""

    async def rest(self, seconds: float) -> None:
        """Let time pass."""


@dataclass(frozen=True)
class Patience:
    """How long a call is tried: again for some `seconds`, and `lost` times at once where only its answer was lost."""

    seconds: float = math.inf
    lost: int = 0


STEADY = Patience()
"""That of a long-running program: it waits through restarts of the room and through pauses."""

HASTY = Patience(0.0, lost=1)
"""That of a command: it tries a second time if the answer is lost, since the room carries the call out once."""


class Session:
    """Calls a room as one member. Methods raise Failure where waiting does not help, or where patience ends.

    A call that is tried again has the request id of the first try, so the room carries it out once. `token` returns the
    member's token of the moment. `listener`: the id of the calling listener, if one calls. `again`: refusals after
    which a call is tried again. With `confirm`, the room has a person asked before acts that cannot be undone.
    """

    def __init__(
        self,
        carrier: Carrier,
        token: Callable[[], str],
        patience: Patience = STEADY,
        tell: Tell = lambda *_, **__: None,
        *,
        paused_seconds: float = PAUSED_SECONDS,
        confirm: Confirm | None = None,
        listener: str | None = None,
        again: frozenset[str] = ASK_AGAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._carrier, self._token, self._patience, self._tell = carrier, token, patience, tell
        self._paused_seconds, self._confirm, self._listener = paused_seconds, confirm, listener
        self._again, self._clock = again, clock
        self._is_away = False
        self.has_answered = False
        """Whether the room ever answered."""

    async def ask(self, prepare: Prepare, read: Read[T], answer_seconds: float) -> T:
        """Send a request until it succeeds; returns its reply. Each try sends what `prepare` returns then."""
        give_up_at = self._clock() + self._patience.seconds
        lost, (pause, longest) = self._patience.lost, AGAIN_SECONDS
        while True:
            request = await prepare()
            try:
                reply = read(await self._result(request, answer_seconds))
            except Failure as failure:
                if lost > 0 and REQUEST_ID in request.meta and _is_lost(failure):
                    lost -= 1
                    continue
                left = give_up_at - self._clock()
                if left <= 0 or self._is_final(failure):
                    raise
                if failure.code == "paused":
                    await self._wait_until_resumed(failure, give_up_at)
                    continue
                self._away(failure)
                await self._carrier.rest(min(max(pause, min(failure.retry_after or 0.0, TOLD_SECONDS)), left))
                pause = min(2 * pause, longest)
            else:
                self._back()
                return reply

    def _is_final(self, failure: Failure) -> bool:
        """Whether no later try can succeed.

        Once the room has answered, a server that cannot prove itself is another program, while the room is down.
        """
        if isinstance(failure, UnprovenError):
            return not self.has_answered
        if failure.exit_code in (USAGE, NOT_AUTHORISED):
            return True
        return failure.code not in (None, "paused", *self._again)

    # -------------------------------------------------------------- one try

    async def _result(self, request: Request, answer_seconds: float) -> dict[str, Any]:
        """Return the result of a request, after answering the room's questions."""
        if self._confirm is not None:
            request = replace(request, capabilities={"elicitation": {"form": {}}})
        for _ in range(ROUNDS):
            result = await self._once(request, answer_seconds)
            if result.get("resultType") != "input_required":
                return result
            answers = {"inputResponses": self._answers(result), "requestState": result.get("requestState")}
            request = replace(request, params={**request.params, **answers})
        raise Failure(f"The room asked more than {ROUNDS} questions.", "Check the room with `teamroom doctor`.")

    async def _once(self, request: Request, answer_seconds: float) -> dict[str, Any]:
        """Send a request once, with the current token; returns its result."""
        answer = await self._carrier.carry(request, self._token(), answer_seconds)
        self.has_answered = True
        try:
            return read_answer(self._carrier.url, answer.kind, answer.body)
        except Failure as failure:
            if failure.code is None and answer.retry_after is not None:
                failure.body["retry_after_seconds"] = answer.retry_after
            raise

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

    # -------------------------------------------------------------- waiting

    async def _wait_until_resumed(self, failure: Failure, give_up_at: float) -> None:
        """Wait until the pause is over. Of several waiting calls, only one asks."""
        async with self._carrier.turn:
            is_reported = False
            while True:
                try:
                    request = call_tool("heartbeat", {}, listener=self._listener)
                    if tool_reply(await self._once(request, PAUSED_ANSWER_SECONDS))["standing"] != "paused":
                        break
                except Failure as other:
                    if self._is_final(other):
                        raise
                if not is_reported:
                    self._tell("paused", f"Paused: {failure.why} Waiting to be resumed.", why=failure.why)
                    is_reported = True
                if (left := give_up_at - self._clock()) <= 0:
                    raise failure
                await self._carrier.rest(min(self._paused_seconds, left))
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


def always(request: Request) -> Prepare:
    """Return what prepares the same request for each try."""

    async def prepare() -> Request:
        return request

    return prepare


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose carrier never gives control away, as `blocking` has one; returns its result."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("the carrier of a blocking client gave control away")


def _is_lost(failure: Failure) -> bool:
    """Whether the room may have carried out a request although no answer came."""
    return isinstance(failure, UnreachableError) and failure.was_sent
