"""The gate before every route: checks Host, Origin, token, size and depth, and finds the caller."""

import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from teamroom.server.acts.members.sign_in import SIGN_IN_PATH
from teamroom.server.acts.presence.me import LOOK_AROUND, Nothing
from teamroom.server.door.door import Door, UnauthorisedError
from teamroom.server.door.hooks import Hooks, Passage
from teamroom.server.handshake import HANDSHAKE_PATH, read_challenge, written_address
from teamroom.server.health import Health
from teamroom.server.http.answers import GateRefusal, refuse, send_body, send_json
from teamroom.server.http.bodies import ReplayedBody, check_json, id_of, read_body, read_json
from teamroom.server.http.connections import Connections
from teamroom.server.http.farewell import answer_killed, is_notification
from teamroom.server.http.strangers import closing
from teamroom.server.http.turns import OWN_TURN, Turns
from teamroom.server.http.visits import AS_JSON, FORM, STREAM_PATH, Answer, ForeignError, Visits
from teamroom.server.identity import BROWSER, Caller
from teamroom.server.metrics import CONTENT_TYPE, Metrics
from teamroom.server.own_socket import RECOVER_PATH
from teamroom.server.refusals import UNRECORDED, Refusal
from teamroom.server.rules.hooks import HARNESSES
from teamroom.server.settings import Settings
from teamroom.server.store.engine import StorageError

CALLER_KEY = "teamroom.caller"
TURN_KEY = "teamroom.turn"
BODY_KEY = "teamroom.body"
STAYS_KEY = "teamroom.stays"
"""In the scope of a request: who calls, its turn and body, and that its connection stays open although nobody calls."""

DECOY = b"handshake decoy"
"""What is derived of the room's secret to answer for tokens that it does not know."""

Recover = Callable[[str, str | None], Awaitable[dict[str, Any]]]
"""Gives a room owner a new token, for a code and the owner's name. Raises Refusal, OSError."""

MCP_PATH = "/mcp"
METRICS_PATH = "/metrics"

HOOKS_PATH = "/hooks/"
"""Where harnesses ask before they use a tool of their own: with the name of their format after it."""

HOOK_BYTES = 4_194_304
"""The longest body of a hook. It contains what a tool is given, which may be a whole file."""

RULES_HEADER = b"x-teamroom-rules"
"""Where the room's own gate says which rules it keeps for when it cannot ask. Others send no such header."""

RUNTIME_HEADER = b"x-teamroom-runtime"
"""Where it says where it runs."""

SENT_ONCE = frozenset({b"host", b"origin", b"authorization", b"content-type", b"content-length"})
"""The headers that the gate relies on."""

READY_PATH = "/readyz"
HEALTH_PATHS = ("/livez", "/healthz", READY_PATH)
"""The first two show that the process and its event loop answer; the third also checks the store."""

REFUSED_BODY_SECONDS = 1.0
"""How long the body of a request may take to arrive if the request is refused anyway."""

REFUSED_BODY_BYTES = 65_536
"""How long such a body may be; of a longer one, the id is not looked for."""

SIGN_IN = re.compile(r"/\.well-known/(oauth-|openid-)[A-Za-z0-9/_-]*|/(register|authorize|token)")
"""The paths at which clients look for a sign-in after a 401."""

NO_SIGN_IN = {
    "error": "invalid_request",
    "error_description": "This room has no sign-in. The token in your configuration is missing, or was revoked or "
    "replaced, or has expired. Ask your owner for a new one: teamroom enroll NAME --rotate",
}
"""The answer there, in the form of OAuth: clients show its description, and of any other answer only an error."""


class Gate:
    """Checks each request before anything else sees it."""

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        connections: Connections,
        settings: Settings,
        metrics: Metrics,
        secret: bytes,
        hooks: Hooks,
        health: Health | None = None,
        recover: Recover | None = None,
        turns: Turns | None = None,
        visits: Visits | None = None,
    ) -> None:
        """`recover`: gives a room owner a new token; None where nobody may ask for that.

        `visits`: what browsers are answered; None where there is no page.
        """
        self._app = app
        self._metrics = metrics
        self._door = door
        self._connections = connections
        self._turns = turns or Turns()
        self._visits = visits
        self._settings = settings
        self._hosts = frozenset(host.encode(errors="surrogateescape") for host in allowed_hosts(settings))
        self._prefix = settings.path_prefix
        self._origins = frozenset(settings.allowed_origins)
        self._decoy = hmac.new(secret, DECOY, hashlib.sha256)
        self._hooks = hooks
        self._recover, self._health = recover, health or Health()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        send = closing(send, lambda: CALLER_KEY not in scope and STAYS_KEY not in scope)
        scope = self._without_prefix(scope)
        try:
            headers = _single_headers(scope)
            if scope["path"] not in HEALTH_PATHS:
                self._check_host(headers)
            is_call = scope["path"] == MCP_PATH  # most requests are, so nothing else is looked for first
            if not is_call and self._visits is not None and self._visits.serves(scope["path"]):
                await self._visit(self._visits, scope, headers, receive, send)
                return
            self._check_origin(headers)
            if is_call:
                await self._enter(scope, headers, receive, send)
            elif scope["path"].startswith(HOOKS_PATH):
                await self._answer_hook(scope, headers, receive, send)
            elif scope["path"] == RECOVER_PATH and scope["method"] == "POST" and self._recover is not None:
                await send_json(send, 200, await self._give_token(self._recover, headers, receive))
            else:
                await self._answer_other(scope, headers, send)
        except GateRefusal as refusal:
            self._connections.rejections.note(refusal.status, refusal.code)
            await refuse(send, refusal)

    def _without_prefix(self, scope: Scope) -> Scope:
        """A request as it is behind a proxy that takes the path of `public_url` off, whether the proxy does or not."""
        path = scope["path"].removeprefix(self._prefix)
        if not self._prefix or path == scope["path"] or (path and not path.startswith("/")):
            return scope
        raw = scope.get("raw_path", b"").removeprefix(self._prefix.encode())
        return {**scope, "path": path or "/", "raw_path": raw or b"/"}

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        if headers.get(b"host", b"").lower() not in self._hosts:
            raise GateRefusal(
                421,
                "not_allowed",
                "The Host header is not one of this room's hosts.",
                f"Call {self._settings.members_url}, or add the host to allowed_hosts in room.toml.",
            )

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in self._origins:
            raise GateRefusal(
                403,
                "not_allowed",
                "The Origin header is not an allowed origin.",
                "Add its origin to allowed_origins in room.toml if it is yours.",
            )

    async def _enter(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        try:
            caller = await self._admit(scope, headers)
        except GateRefusal as refusal:
            self._connections.turn_away(scope)
            has_body = scope["method"] == "POST" and b"expect" not in headers
            message = await self._message_of(headers, receive) if has_body else None
            refusal.request_id = id_of(message)
            if refusal.code == "killed" and await self._say_farewell(scope, refusal, message, send):
                return
            raise
        try:
            await self._answer_member(scope, caller, headers, receive, send)
        finally:
            _let_connection_go(scope)

    async def _answer_member(
        self, scope: Scope, caller: Caller, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        # a request whose body is still arriving is an open call too
        with self._connections.answering(scope, caller, is_stream=scope["method"] == "GET"):
            if scope["method"] == "POST":
                seconds = None if self._connections.has_arrived(scope) else self._settings.body_seconds
                body = await read_json(headers, receive, seconds, self._settings.body_bytes, self._settings.json_depth)
                if body is None:
                    return  # the client left before its request was complete
                scope[BODY_KEY] = receive = ReplayedBody(body, receive)
            with await self._turns.begin(caller.member) as turn:
                scope[TURN_KEY] = turn
                if scope["method"] == "GET":
                    turn.end()  # a stream waits from the first on
                await self._app(scope, receive, send)

    async def _visit(
        self, visits: Visits, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        """Answer a browser. It is shown its refusals as a page."""
        try:
            with contextlib.ExitStack() as visiting:
                answer = await self._answer_visit(visits, scope, headers, receive, visiting)
                if answer is not None:
                    await visits.send(answer, headers, scope, receive, send)
        except GateRefusal as refusal:
            self._connections.rejections.note(refusal.status, refusal.code)
            by_script = AS_JSON in scope["query_string"].split(b"&")
            shown = visits.refuse(refusal.status, refusal.code, refusal.why, refusal.fix, by_script)
            shown = replace(shown, headers=(*shown.headers, *refusal.headers))
            await visits.send(shown, headers, scope, receive, send)

    async def _answer_visit(
        self,
        visits: Visits,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        visiting: contextlib.ExitStack,
    ) -> Answer | None:
        """What a browser gets; None if it left. `visiting` ends with the answer. Raises GateRefusal."""
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise GateRefusal(405, "invalid", "The page accepts GET and POST.", "Use GET.", [(b"allow", b"GET, POST")])
        try:
            visits.check_sender(scope["method"], scope["path"], headers)
        except ForeignError:
            raise GateRefusal(
                403, "not_allowed", "Another site sent this.", "Open the room's page, and do it there."
            ) from None
        try:
            caller, stopped = await visits.caller_of(headers)
        except StorageError as error:
            raise self._unavailable(error) from None
        if caller is not None:
            scope[CALLER_KEY] = caller
            self._connections.admit(scope, caller)
            self._limit_calls(caller)
            visiting.enter_context(self._connections.answering(scope, caller, scope["path"] == STREAM_PATH))
        body: bytes | None = b""
        if scope["method"] == "POST" and (caller is not None or scope["path"] == SIGN_IN_PATH):
            seconds, limit = self._settings.body_seconds, self._settings.body_bytes
            if caller is None:
                seconds, limit = REFUSED_BODY_SECONDS, REFUSED_BODY_BYTES
            body = await read_body(headers, receive, seconds, limit, FORM)
        if body is None:
            return None
        try:
            visit = visits.read(scope, headers, body, caller, stopped)
        except ValueError:
            raise GateRefusal(400, "invalid", "This form cannot be read.", "Go back, and send it again.") from None
        if caller is None:
            return await visits.answer(visit)
        with await self._turns.begin(caller.member) as turn:
            OWN_TURN.set(turn)
            return await visits.answer(visit)

    async def _answer_hook(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        """Answer a harness that asks whether a tool may run. Raises GateRefusal.

        Every token that the room knows is answered with 200, and a stop does not depend on what is asked, or how often.
        """
        format_ = scope["path"].removeprefix(HOOKS_PATH)
        if format_ not in HARNESSES:
            known = ", ".join(sorted(HARNESSES))
            raise GateRefusal(404, "not_found", "The room knows no such harness.", f"{HOOKS_PATH}NAME takes: {known}.")
        if scope["method"] != "POST":
            raise GateRefusal(405, "invalid", "Hooks are posted.", "Use POST.", [(b"allow", b"POST")])
        try:
            passage = await self._hooks.find_passage(_bearer(headers))
        except StorageError as error:
            raise self._unavailable(error) from None
        if passage is None:
            raise GateRefusal(
                401, "not_allowed", "The token is missing or unknown.", "Join again with `teamroom join`."
            )
        if passage.is_known_to_act:
            scope[CALLER_KEY] = passage.caller
            self._connections.admit(scope, passage.caller)
            self._hooks.hear_runtime(passage, headers.get(RUNTIME_HEADER, b""))
        body = await self._body_of_hook(headers, receive)
        if body is not None:
            answer = await self._hooks.answer(passage, format_, body)
            await _send_for_gate(send, answer, headers.get(RULES_HEADER), passage)

    async def _body_of_hook(self, headers: dict[bytes, bytes], receive: Receive) -> Any:
        """What a hook says; {} if it cannot be read, None if the client left."""
        try:
            body = await read_body(headers, receive, self._settings.body_seconds, HOOK_BYTES)
            if body is None:
                return None
            if len(body) > self._settings.body_bytes:
                return {}
            check_json(body, self._settings.json_depth)
            return json.loads(body) or {}
        except (GateRefusal, ValueError, RecursionError):
            return {}

    async def _give_token(self, recover: Recover, headers: dict[bytes, bytes], receive: Receive) -> dict[str, Any]:
        """Give a room owner a new token, for who has the folder. Raises GateRefusal."""
        body = await self._read_refused(headers, receive)
        try:
            asked = json.loads(body or b"")
            code, name = str(asked["code"]), asked["name"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise GateRefusal(400, "invalid", "This is no request for a token.", "Run `teamroom recover`.") from None
        try:
            return await recover(code, None if name is None else str(name))
        except Refusal as refusal:
            raise GateRefusal(403, refusal.code, refusal.why, refusal.fix) from None
        except OSError as error:
            raise GateRefusal(
                403, "not_allowed", f"The code's file cannot be used: {error}.", "Remove it, then run this again."
            ) from None

    async def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        caller = await self._authenticate(scope, headers)
        self._limit_calls(caller)
        return caller

    def _limit_calls(self, caller: Caller) -> None:
        if self._connections.open_calls(caller.member) >= self._settings.open_calls:
            raise GateRefusal(
                429,
                "rate_limited",
                f"@{caller.name} already has {self._settings.open_calls} open calls.",
                "Wait until one of them ends, then call again.",
                [(b"retry-after", b"1")],
            )

    async def _read_refused(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The short body of a request that is refused, or has no caller. Raises GateRefusal."""
        return await read_json(headers, receive, REFUSED_BODY_SECONDS, REFUSED_BODY_BYTES, self._settings.json_depth)

    async def _message_of(self, headers: dict[bytes, bytes], receive: Receive) -> Any:
        """The message of a refused request; None if it has none that can be read."""
        try:
            body = await self._read_refused(headers, receive)
            return json.loads(body) if body is not None else None
        except (GateRefusal, ValueError, RecursionError):
            return None

    async def _say_farewell(self, scope: Scope, refusal: GateRefusal, message: Any, send: Send) -> bool:
        """Answer the client of a killed member so that its model sees the refusal; returns whether that was possible.

        An older client's stream and the end of its session get 405, which says that there is none.
        """
        if scope["method"] in ("GET", "DELETE"):
            refusal.status, refusal.headers = 405, ((b"allow", b"POST"),)
            return False
        answer = answer_killed(message, refusal.body)
        if answer is None and not is_notification(message):
            return False
        self._connections.rejections.note(200, refusal.code)
        if answer is None:
            await send_body(send, 202, b"", b"application/json")
        else:
            await send_json(send, 200, answer)
        return True

    async def _require_metrics_reader(self, caller: Caller) -> None:
        """Check at the door, as for any read, that a caller may see the metrics. Raises GateRefusal."""
        try:
            await self._door.read(caller, LOOK_AROUND, Nothing())
        except Refusal as refusal:
            status = 429 if refusal.code in UNRECORDED else 403
            raise GateRefusal(status, refusal.code, refusal.why, refusal.fix) from None

    async def _authenticate(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        try:
            caller = await self._door.identify(_bearer(headers))
            if caller.token_kind == BROWSER:
                raise UnauthorisedError(
                    "not_allowed",
                    "This token is the session of a browser, and opens only the room's page.",
                    "Use a token from `teamroom enroll NAME`.",
                )
        except UnauthorisedError as error:
            invite = [] if error.code == "killed" else [(b"www-authenticate", b'Bearer realm="teamroom"')]
            raise GateRefusal(401, error.code, error.why, error.fix, invite, error.more) from None
        except StorageError as error:
            raise self._unavailable(error) from None
        scope[CALLER_KEY] = caller
        self._connections.admit(scope, caller)
        return caller

    async def _answer_other(self, scope: Scope, headers: dict[bytes, bytes], send: Send) -> None:
        if SIGN_IN.fullmatch(scope["path"]):
            self._connections.rejections.note(404, "not_found")
            await send_json(send, 404, NO_SIGN_IN)
            return
        if scope["path"] not in (*HEALTH_PATHS, METRICS_PATH, HANDSHAKE_PATH):
            raise GateRefusal(404, "not_found", "This path does not exist.", f"MCP is at {MCP_PATH}.")
        if scope["method"] not in ("GET", "HEAD"):
            raise GateRefusal(405, "invalid", "This path accepts only GET.", "Use GET.", [(b"allow", b"GET, HEAD")])
        if scope["path"] == HANDSHAKE_PATH:
            await self._shake_hands(scope, send)
            return
        if scope["path"] == METRICS_PATH:
            await self._require_metrics_reader(await self._authenticate(scope, headers))
            await send_body(send, 200, await self._metrics.text(), CONTENT_TYPE)
            return
        if scope["path"] != READY_PATH:
            await send_json(send, 200, {"ok": True})
            return
        good = await self._door.is_ready() and self._health.is_ready()
        is_folders_user = self._recover is not None  # on the folder's own socket; everybody else is told what is bad
        parts = self._health.states() if is_folders_user else self._health.bad()
        await send_json(send, 200 if good else 503, {"ok": good, **({"parts": parts} if parts else {})})

    async def _shake_hands(self, scope: Scope, send: Send) -> None:
        """Prove that this room knows the hash of a token, to a client that will send the token on this connection.

        The answer for a token that the room does not know has the same form, takes the same steps, and is as constant.
        """
        challenge = read_challenge(scope["query_string"].decode("latin-1"))
        if challenge is None:
            raise GateRefusal(400, "invalid", "This is not a challenge.", "Send start, nonce and address, in order.")
        if challenge.address not in own_addresses(scope, self._settings):
            raise GateRefusal(
                421,
                "not_allowed",
                f"This room does not answer at {challenge.address}.",
                f'If you forward that address to the room, add "{challenge.address}" to allowed_hosts in room.toml.',
            )
        try:
            known = await self._door.find_hash(challenge.start)
        except StorageError as error:
            raise self._unavailable(error) from None
        decoy = self._decoy.copy()
        decoy.update(challenge.start.encode())
        unknown = decoy.hexdigest()
        if self._connections.begin_handshake(scope):
            scope[STAYS_KEY] = True
        await send_json(send, 200, {"proof": challenge.proof(known or unknown)})

    def _unavailable(self, error: StorageError) -> GateRefusal:
        refusal = self._door.storage_refusal(error)
        return GateRefusal(429, refusal.code, refusal.why, refusal.fix, [(b"retry-after", b"5")])


def _let_connection_go(scope: Scope) -> None:
    """Keep nothing of a request that is over: a session remembers its last one, whose connection may be closed."""
    scope["state"] = {}
    if (body := scope.pop(BODY_KEY, None)) is not None:
        body.end()


def own_addresses(scope: Scope, settings: Settings) -> Collection[str]:
    """The addresses that a room is responsible for: where the connection arrived, and those that its owner named.

    The other addresses of this machine are not among them, because another program may have taken the port there.
    """
    host, port = scope["server"] or ("", None)
    arrived_at = () if port is None else (written_address(host, port),)  # the room's own socket has no port
    return (*arrived_at, *settings.allowed_hosts, *settings.public_hosts)


def allowed_hosts(settings: Settings) -> list[str]:
    """The Host header values that the room accepts, exact and with their port."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    given = (*settings.allowed_hosts, *settings.public_hosts)
    return [*(f"{name}:{settings.port}" for name in names), *(host.lower() for host in given)]


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    """The bearer token of a request; "" if it has none."""
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _single_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name. Raises GateRefusal if one that the gate relies on occurs twice."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name not in headers:
            headers[name] = value
        elif name in SENT_ONCE:
            raise GateRefusal(400, "invalid", f"The header {name.decode('latin-1')} occurs twice.", "Send it once.")
        elif name == b"cookie":
            headers[name] += b"; " + value  # a proxy can split what a browser sent as one
    return headers


async def _send_for_gate(send: Send, answer: dict[str, Any], kept: bytes | None, passage: Passage) -> None:
    """Answer a hook. The room's own gate also gets its member's rules, after the answer, unless it keeps just these."""
    mark, rules = passage.rules_to_keep
    if kept is None or kept == mark.encode():
        await send_json(send, 200, answer)
        return
    await send_body(send, 200, f"{json.dumps(answer)}\n{mark}\n{rules}".encode(), b"application/json")
