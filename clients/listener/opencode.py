"""OpenCode as a harness that stays: `opencode serve`, which answers HTTP on this machine with a password."""

import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import httpx2

from teamroom.clients.listener.rpc import Json, part
from teamroom.clients.listener.supervised import ENDED_SECONDS, LINE_BYTES, HarnessError, Send, Started

USER, PASSWORD = "opencode", "OPENCODE_SERVER_PASSWORD"
SECRET_BYTES = 24

ENDS_WITH_LISTENER = """\
exec 3<&0
"$@" 3<&- </dev/null &
harness=$!
(read -r line <&3; kill "$harness") >/dev/null 2>&1 &
guard=$!
wait "$harness"
code=$?
kill "$guard" 2>/dev/null
[ "$code" -le 128 ] || kill -"$((code - 128))" "$$"
exit "$code"
"""
"""A script that runs a server and ends it once the standard input of the script ends: with its listener, however that
was ended. OpenCode's server reads no standard input, so it would run on. Once the server has ended, nothing waits to
end it: its number may soon be that of another process.
"""

ADDRESS = re.compile(rb"listening on (http://127\.0\.0\.1:[0-9]+)\s*")
"""The line with which the server says where it answers."""

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0
"""How long a connection and an answer may take. The stream of events is silent for longer."""

SESSION = re.compile(r"ses_?[A-Za-z0-9]{1,64}")
QUESTION = re.compile(r"que_?[A-Za-z0-9]{1,64}")
PERMISSION = re.compile(r"per_?[A-Za-z0-9]{1,64}")
ROOMS_PERMISSION = re.compile(r"teamroom_[a-z_]+")
"""How OpenCode names the permission to call a tool of the room."""

ERROR = re.compile(r"[A-Za-z]{1,40}")


class Opencode:
    """How OpenCode is started and spoken to."""

    name = "OpenCode"

    def __init__(self, allows_room: bool) -> None:
        self._allows_room, self._password = allows_room, secrets.token_urlsafe(SECRET_BYTES)

    @property
    def variables(self) -> Mapping[str, str]:
        """The password that its server asks for."""
        return {PASSWORD: self._password}

    def words(self, command: Sequence[str], session: str | None) -> list[str]:
        """Return the words that start it."""
        server = (*command, "serve", "--hostname", "127.0.0.1", "--port", "0")
        return ["/bin/sh", "-c", ENDS_WITH_LISTENER, "sh", *server]

    def talk(self, send: Send, session: str | None, variables: Mapping[str, str]) -> "OpencodeTalk":
        """Return how it is spoken to."""
        return OpencodeTalk(session, self._password, self._allows_room)


class OpencodeTalk:
    """A conversation with a running server."""

    def __init__(self, session: str | None, password: str, allows_room: bool) -> None:
        self.session = session
        self._password, self._allows_room = password, allows_room
        self._url, self._answers = "", anyio.Event()
        self._identity = ""

    async def begin(self) -> None:
        """Find the session that was given; create another if OpenCode does not know it."""
        await self._answers.wait()
        async with self._client() as http:
            if self.session is not None and SESSION.fullmatch(self.session):
                with suppress(HarnessError):
                    await _ask(http, "GET", f"/session/{self.session}")
                    self._identity = self.session
                    return
            self.session = None
            self._identity = str((await _ask(http, "POST", "/session", {})).get("id"))
            if not SESSION.fullmatch(self._identity):
                raise HarnessError("gave its session no id")

    async def turn(self, line: str, started: Started) -> None:
        """Send the line as a prompt once events can be heard; the turn lasts until the session is idle."""
        self.session = self._identity
        async with self._client() as http, http.stream("GET", "/event") as events:
            has_begun = False
            async for event in _events(events):
                if event.get("type") == "server.connected":
                    prompt = {"parts": [{"type": "text", "text": line}]}
                    await _ask(http, "POST", f"/session/{self._identity}/prompt_async", prompt)
                facts = part(event, "properties")
                if facts.get("sessionID") != self._identity:
                    continue
                status = _status(event, facts)
                if status == "busy":
                    has_begun = True
                    started()
                elif status == "idle" and has_begun:
                    return
                await self._hear(http, event, facts)
            raise httpx2.ReadError("the stream of events ended")

    async def _hear(self, http: httpx2.AsyncClient, event: Json, facts: Json) -> None:
        """Answer what only a person could allow. Raises HarnessError if the turn failed."""
        kind, identity = event.get("type"), str(facts.get("id"))
        if kind == "session.error":
            name = str(part(facts, "error").get("name"))
            raise HarnessError(f"ended the turn: {name if ERROR.fullmatch(name) else 'no reason given'}")
        if kind == "question.asked" and QUESTION.fullmatch(identity):
            await _ask(http, "POST", f"/question/{identity}/reject")
        if kind == "permission.asked" and PERMISSION.fullmatch(identity):
            is_rooms = ROOMS_PERMISSION.fullmatch(str(facts.get("permission"))) is not None
            reply = {"reply": "once" if self._allows_room and is_rooms else "reject"}
            await _ask(http, "POST", f"/permission/{identity}/reply", reply)

    def hear(self, line: bytes) -> None:
        """Take in where the server answers. All else that it prints is of no protocol."""
        if (found := ADDRESS.search(line)) is not None:
            self._url = found[1].decode()
            self._answers.set()

    def stop(self) -> None:
        """Its turn ends with its process."""

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx2.AsyncClient]:
        """A client of the server. Raises HarnessError where it does not answer, unless its process has ended."""
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=None)
        try:
            async with httpx2.AsyncClient(
                base_url=self._url, auth=(USER, self._password), timeout=timeout, trust_env=False
            ) as http:
                yield http
        except httpx2.TransportError as error:
            await anyio.sleep(2 * ENDED_SECONDS)
            raise HarnessError(f"does not answer ({type(error).__name__})") from None


async def _ask(http: httpx2.AsyncClient, method: str, path: str, body: Json | None = None) -> Json:
    """Send a request; returns the object in the answer. Raises HarnessError if it is refused."""
    answer = await http.request(method, path, json=body, timeout=ANSWER_SECONDS)
    if not answer.is_success:
        raise HarnessError(f"refused {method} {path.split('/')[1]} (status {answer.status_code})")
    return _object(answer.content)


async def _events(stream: httpx2.Response) -> AsyncIterator[Json]:
    """Yield the events of a stream."""
    rest = b""
    async for chunk in stream.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_BYTES:
            raise HarnessError("sent an event that is too long")
        for line in lines:
            if line.startswith(b"data:"):
                yield _object(line.removeprefix(b"data:"))


def _object(text: bytes) -> Json:
    """Return the object in a JSON text; an empty one if there is none."""
    try:
        return part({"found": json.loads(text)}, "found")
    except (ValueError, RecursionError):
        return {}


def _status(event: Json, facts: Json) -> str:
    """Return the status of a session that an event tells; "" if it tells none."""
    if event.get("type") == "session.idle":
        return "idle"
    return str(part(facts, "status").get("type")) if event.get("type") == "session.status" else ""
