"""Carries JSON-RPC frames between one client and the room, in both protocol eras.

A modern request (2026-07-28) contains its version, and headers repeat it. An older client opens a session with
`initialize`. For it, the bridge keeps the session's id and opens the stream on which the room pushes. If the room was
restarted, it continues the session without its subscriptions: the bridge renews them once the stream is open again.
"""

import contextlib
import json
import socket
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import httpx2

from teamroom.clients.bridge.frames import Frame, error, refusal_code, refused
from teamroom.clients.session.connection import CONNECT_SECONDS
from teamroom.clients.session.failure import Failure, UnprovenError, UnreachableError
from teamroom.clients.session.lineage import TOLD
from teamroom.clients.session.place import Place, check_kind, check_member, member_token, origin_of_token
from teamroom.clients.session.protocol import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    PARSE_ERROR,
    RUNTIME,
    SESSION_HEADER,
    VERSION_HEADER,
    read_answer,
    read_resource,
    resource_json,
    token_headers,
)
from teamroom.clients.session.streams import http_client
from teamroom.clients.session.whereabouts import Whereabouts

SEND_SECONDS = 30.0
NOTIFY_SECONDS = 10.0
"""The timeouts of sending a body and of a notification. Answers have no timeout."""

DRAIN_SECONDS = 1.0
"""How long calls in flight may take after standard input has ended."""

SAY_WHERE_SECONDS = 240.0
"""How often the bridge says where it runs while its client calls."""

LISTEN_AGAIN_SECONDS = (1.0, 15.0)
"""The first and the longest wait before a push stream is opened again."""

LATER = frozenset({"paused", "busy", "storage", "rate_limited"})
"""Refusals of a stream that the room may serve later."""

Write = Callable[[bytes], Awaitable[None]]


@dataclass
class InFlight:
    """A request that is being answered."""

    frame: Frame
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    is_cancelled: bool = False


@dataclass
class Session:
    """The session of an older client: its id and its subscriptions."""

    id: str | None
    version: str
    followed: dict[str, Frame] = field(default_factory=dict)

    def note(self, frame: Frame) -> None:
        """Note a subscription that the room granted. The room forgets it with the session or the token."""
        params = frame.message.get("params")
        uri = str(params.get("uri") if isinstance(params, dict) else None)
        if frame.method == "resources/subscribe":
            self.followed[uri] = frame
        elif frame.method == "resources/unsubscribe":
            self.followed.pop(uri, None)

    def headers(self) -> dict[str, str]:
        """Return the headers of every message in the session."""
        found = {VERSION_HEADER: self.version}
        return found if self.id is None else {**found, SESSION_HEADER: self.id}


class Bridge:
    """Connects one client to its room. `failure` is why the room cannot be reached at the moment."""

    def __init__(self, place: Place, name: str, write: Write, say: Callable[[str], None]) -> None:
        self.failure: Failure | None = None
        self._place = place
        self._name = name.removeprefix("@")
        self._write = write
        self._say = say
        self._where = Whereabouts()
        self._told_at = place.environment.get(TOLD)
        self._token = ""
        self._is_admitted = False
        self._admitting = anyio.Lock()
        self._in_flight: dict[str, InFlight] = {}
        self._answered = anyio.Event()
        self._session: Session | None = None
        self._listening: anyio.CancelScope | None = None
        self._http: httpx2.AsyncClient
        self._tasks: anyio.abc.TaskGroup

    async def run(self, lines: AsyncIterable[bytes | None]) -> None:
        """Carry the client's frames until they end; then wait up to a second for the calls in flight.

        None represents a line that was too long.
        """
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS, write=SEND_SECONDS)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=16)
        async with (
            http_client(self._place.endpoint, timeout, limits) as self._http,
            anyio.create_task_group() as self._tasks,
        ):
            async for line in lines:
                await self._take(line)
            with anyio.move_on_after(DRAIN_SECONDS):
                await self._until_answered()
            self._tasks.cancel_scope.cancel()
            with anyio.move_on_after(DRAIN_SECONDS, shield=True):
                await self._end_session()

    async def _until_answered(self) -> None:
        """Wait for the calls in flight, except for streams and cancelled calls."""
        while any(not (flight.is_cancelled or flight.frame.is_stream) for flight in self._in_flight.values()):
            self._answered = anyio.Event()
            await self._answered.wait()

    async def _take(self, line: bytes | None) -> None:
        if line is None:
            await self._write(error(None, INVALID_REQUEST, "This line is too long."))
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._write(error(None, PARSE_ERROR, "This line is not JSON."))
            return
        if not isinstance(message, dict):
            await self._write(error(None, INVALID_REQUEST, "Send one JSON-RPC message per line."))
            return
        frame = Frame(line, message)
        if (client := frame.client)[0]:
            self._where.harness, self._where.version = client
        if frame.is_request:
            flight = InFlight(frame)
            self._in_flight[frame.key] = flight
            self._tasks.start_soon(self._answer, frame, flight)
        elif not self._is_cancelled_here(frame):
            await self._pass_on(frame)

    def _is_cancelled_here(self, frame: Frame) -> bool:
        """Cancel a modern call by closing its stream. Older sessions get the frame itself."""
        if frame.method != "notifications/cancelled":
            return False
        params = frame.message.get("params")
        flight = self._in_flight.get(json.dumps(params.get("requestId") if isinstance(params, dict) else None))
        if flight is None:
            return self._session is None
        flight.is_cancelled = True
        if flight.frame.is_modern:
            flight.scope.cancel()
        return flight.frame.is_modern

    # -------------------------------------------------------------- requests

    async def _answer(self, frame: Frame, flight: InFlight) -> None:
        try:
            with flight.scope:
                await self._admit()
                self._say_where()
                await self._ask(frame, flight)
        except Failure as failure:
            if isinstance(failure, UnprovenError):
                self._is_admitted = False  # the room may have forgotten the token, and its file may have another one
            self._note(failure)
            await self._write(refused(frame, failure))
        except httpx2.TransportError as fault:
            away = self._transport_failure(fault)
            self._note(away)
            if not flight.is_cancelled:
                await self._write(refused(frame, away))
        finally:
            if self._in_flight.get(frame.key) is flight:
                del self._in_flight[frame.key]
            self._answered.set()

    async def _ask(self, frame: Frame, flight: InFlight) -> None:
        """Send a request and carry its answer back. A stream is held while the room cannot serve it.

        Clients give the whole room up for their session after a few refusals of their stream.
        """
        pause, longest = LISTEN_AGAIN_SECONDS
        while True:
            try:
                if await self._ask_once(frame, flight):
                    return
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if not frame.is_stream:
                    raise
            await anyio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _ask_once(self, frame: Frame, flight: InFlight) -> bool:
        """Send a request; returns False if it is for a stream that the room may serve later."""
        async with self._post(frame) as response:
            if not self._must_retry(response):
                return await self._carry_back(response, frame, flight)
        await self._admit()
        await self._subscribe_again()
        async with self._post(frame) as response:
            return await self._carry_back(response, frame, flight)

    def _must_retry(self, response: httpx2.Response) -> bool:
        """Whether to retry: the token was replaced in its file."""
        if response.status_code != 401:
            return False
        self._is_admitted = False
        return self._read_token() != self._token

    @asynccontextmanager
    async def _post(self, frame: Frame) -> AsyncIterator[httpx2.Response]:
        headers = token_headers(self._token)
        if frame.modern_version is not None:
            headers |= frame.modern_headers()
        elif frame.method != "initialize" and self._session is not None:
            headers |= self._session.headers()
        async with self._http.stream("POST", self._place.endpoint, content=frame.raw, headers=headers) as response:
            yield response

    async def _carry_back(self, response: httpx2.Response, frame: Frame, flight: InFlight) -> bool:
        """Pass the answer on; returns False for the refusal of a stream that may be served later."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            async for data in _events(response):
                if await self._hand_over(data, frame, response):
                    return True
        elif kind == "application/json":
            body = await response.aread()
            if frame.is_stream and refusal_code(body) in LATER:
                return False
            if await self._hand_over(body, frame, response):
                return True
        if not flight.is_cancelled:
            why = f"The room closed the call without an answer (HTTP {response.status_code})."
            await self._write(error(frame.message["id"], CONNECTION_CLOSED, why))
        return True

    async def _hand_over(self, data: bytes, frame: Frame, response: httpx2.Response) -> bool:
        """Pass on a message of the room; returns whether it answers this frame."""
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(message, dict):
            return False
        is_answer = "method" not in message and ("result" in message or "error" in message)
        if is_answer and message.get("id") != frame.message["id"]:
            message["id"] = frame.message["id"]  # the room refused it before reading its id
            data = json.dumps(message).encode()
        if is_answer and frame.method == "initialize" and isinstance(message.get("result"), dict):
            version = str(message["result"].get("protocolVersion", ""))
            session_id = response.headers.get(SESSION_HEADER)
            self._session = Session(session_id, version)
        elif is_answer and "result" in message and self._session is not None and frame.modern_version is None:
            self._session.note(frame)
        await self._write(data if b"\n" not in data and b"\r" not in data else json.dumps(message).encode())
        if is_answer and frame.method == "tools/list":
            self._note_told()
        return is_answer

    def _note_told(self) -> None:
        """Tell a listener that waits for it that the client has the room's tools."""
        address, self._told_at = self._told_at, None
        if address is not None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
                listener.setblocking(False)  # it connects at once, or nobody listens
                listener.connect(address)

    # -------------------------------------------------------------- notifications, answers of the client, sessions

    async def _pass_on(self, frame: Frame) -> None:
        """Send a message that needs no answer. Without a session, there is no recipient."""
        if self._session is None and frame.modern_version is None:
            return
        try:
            with anyio.fail_after(NOTIFY_SECONDS):
                async with self._post(frame) as response:
                    await response.aread()
        except (httpx2.TransportError, TimeoutError, Failure):
            self._say(f"teamroom: {frame.method or 'an answer'} did not reach the room.")
        if frame.method == "notifications/initialized":
            self._listen()

    def _listen(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self._listening = anyio.CancelScope()
        self._tasks.start_soon(self._carry_pushes, self._listening)

    async def _carry_pushes(self, scope: anyio.CancelScope) -> None:
        """Keep the push stream of an older client open."""
        (pause, longest), is_again = LISTEN_AGAIN_SECONDS, False
        with scope:
            while (session := self._session) is not None and session.id is not None:
                try:
                    headers = {**token_headers(self._token), **session.headers()}
                    async with self._http.stream("GET", self._place.endpoint, headers=headers) as response:
                        if response.status_code == 200:
                            pause = LISTEN_AGAIN_SECONDS[0]
                            if is_again:
                                await self._subscribe_again()
                            is_again = True
                            async for data in _events(response):
                                await self._write(data)
                    if response.status_code == 405:
                        return
                    if response.status_code == 401 and self._must_retry(response):
                        await self._admit()
                        await self._subscribe_again()
                except (httpx2.TransportError, Failure):
                    pass  # the room cannot be reached: back off and retry
                await anyio.sleep(pause)
                pause = min(2 * pause, longest)

    async def _subscribe_again(self) -> None:
        """Renew the client's subscriptions."""
        for frame in list(self._session.followed.values()) if self._session is not None else ():
            async with self._post(frame) as response:
                await response.aread()

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None and session.id is not None:
            try:
                headers = {**token_headers(self._token), **session.headers()}
                await self._http.delete(self._place.endpoint, headers=headers)
            except (httpx2.TransportError, Failure):
                pass

    # -------------------------------------------------------------- who we are

    async def _admit(self) -> None:
        """Check once that the token belongs to the named member. Raises Failure."""
        async with self._admitting:
            if self._is_admitted:
                return
            self._token = self._read_token()
            me = await self._who_am_i(self._where.due(0.0))
            name = str(me["name"])
            check_member(self._name, me, "Connect", {"code": "not_allowed"})
            check_kind(self._place, me)
            self._is_admitted = True
            self.failure = None
            self._say(f"teamroom: connected to {self._place.endpoint} as @{name}.")

    def _read_token(self) -> str:
        return member_token(self._place, self._name)

    def _say_where(self) -> None:
        """Say where this process runs, now and then, while its client calls: in a request of its own.

        The client's frames stay as they are.
        """
        if (found := self._where.due(SAY_WHERE_SECONDS)) is not None:
            self._tasks.start_soon(self._tell_room, found)

    async def _tell_room(self, where: dict[str, str]) -> None:
        with contextlib.suppress(Failure, httpx2.TransportError, TimeoutError), anyio.fail_after(NOTIFY_SECONDS):
            await self._who_am_i(where)

    async def _who_am_i(self, where: dict[str, str] | None = None) -> dict[str, Any]:
        request = read_resource("teamroom://me", None if where is None else {RUNTIME: where})
        url, headers = self._place.endpoint, request.headers(self._token)
        answer = await self._http.post(url, content=request.body(0), headers=headers)
        return resource_json(read_answer(url, answer.headers.get("content-type", ""), answer.content))

    def _transport_failure(self, fault: httpx2.TransportError) -> Failure:
        if isinstance(fault, httpx2.ConnectError | httpx2.ConnectTimeout):
            return UnreachableError(self._place.endpoint)
        return Failure(
            "The connection was lost before the room answered.",
            "Check whether the call was carried out before you repeat it. If no room answers, run `teamroom up`.",
        )

    def _note(self, failure: Failure) -> None:
        """Report a failure on standard error, once."""
        failure.name_caller(self._name, origin_of_token(self._place, self._name))
        if self.failure is None or self.failure.why != failure.why:
            self._say(failure.text())
        self.failure = failure


async def _events(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Yield the messages of an event stream."""
    async for event in httpx2.EventSource(response, max_event_size=None):
        if event.event == "message" and event.data:
            yield event.data.encode()
